// Text encodings of bytes: base64url without padding (RFC 4648 section 5) and lower-case hex. Pure; used by cursors, tokens, digests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace licet {

using Bytes = std::span<const std::uint8_t>;
[[nodiscard]] inline Bytes as_bytes(std::string_view s) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

[[nodiscard]] std::string base64url(Bytes bytes);
// Writes base64url of `bytes` to `out`, which must hold (4 * size + 2) / 3 characters; returns characters written.
std::size_t base64url_to(Bytes bytes, char* out) noexcept;
// Strict: no padding, no other alphabet, no non-zero trailing bits. nullopt otherwise.
[[nodiscard]] std::optional<std::string> parse_base64url(std::string_view text);
[[nodiscard]] std::string hex(Bytes bytes);
[[nodiscard]] std::optional<std::string> parse_hex(std::string_view text);

}  // namespace licet
