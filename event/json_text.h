// Text of JSON tokens: unescaping and escaping strings, code points, pointer tokens. Used by ingest and redaction; all functions are pure and refuse
// what is malformed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace licet::event {

// Content of a JSON string token (with its quotes) as UTF-8; false when malformed (lone surrogates, bad escapes): `out` is then unspecified.
[[nodiscard]] bool unescape_json(std::string_view token, std::string& out);
// The same, and for each byte of `out` where in `token` its character or escape begins; one entry more is where the closing quote is.
[[nodiscard]] bool unescape_json(std::string_view token, std::string& out, std::vector<std::uint32_t>& positions);
// Appends `text` (UTF-8) as a JSON string token.
void append_json_string(std::string_view text, std::string& out);
// The same without the quotes.
void append_json_escaped(std::string_view text, std::string& out);
// Size in bytes of the UTF-8 code point that starts `text`; 0 when malformed (RFC 3629: overlong, surrogate, past U+10FFFF) or empty.
[[nodiscard]] std::size_t code_point_size(std::string_view text) noexcept;
// Code points of `text`; 0 when empty or malformed.
[[nodiscard]] std::size_t count_code_points(std::string_view text) noexcept;
[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;
// No control characters (U+0000-U+001F, U+007F-U+009F), which CloudEvents strings may not hold. `text` is UTF-8.
[[nodiscard]] bool clean_text(std::string_view text) noexcept;
// RFC 6901 escaping of one reference token.
[[nodiscard]] std::string pointer_token(std::string_view token);

}  // namespace licet::event
