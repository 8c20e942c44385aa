// Text encodings of bytes: base64url without padding (RFC 4648 section 5), base64, lower-case hex, percent-decoding. Pure; used by cursors, tokens,
// digests, ingest, targets.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace licet {

using Bytes = std::span<const std::uint8_t>;
[[nodiscard]] inline Bytes as_bytes(std::string_view s) noexcept { return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}; }

[[nodiscard]] std::string base64url(Bytes bytes);
// Writes base64url of `bytes` to `out`, which must hold (4 * size + 2) / 3 characters; returns characters written.
std::size_t base64url_to(Bytes bytes, char* out) noexcept;
// Strict: no padding, no other alphabet, no non-zero trailing bits. nullopt otherwise.
[[nodiscard]] std::optional<std::string> parse_base64url(std::string_view text);
// RFC 4648 section 4: the standard alphabet with padding; parsing is strict (canonical text only).
[[nodiscard]] std::string base64(Bytes bytes);
[[nodiscard]] std::optional<std::string> parse_base64(std::string_view text);
[[nodiscard]] std::string hex(Bytes bytes);
[[nodiscard]] std::optional<std::string> parse_hex(std::string_view text);
// Percent-decoding (RFC 3986 section 2.1); with `plus_is_space` as in forms. nullopt for malformed escapes.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace licet
