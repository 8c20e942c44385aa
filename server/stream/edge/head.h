// Request heads, checked byte by byte before the HTTP library reads them: one framing, one spelling. What two parsers could read differently (request
// smuggling) is refused. Pure. Private to edge/.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace licet::stream {

// Size of the head at the start of `bytes`, its empty line included; 0: more bytes are needed. Errors: bad_request (a line end that is not CRLF),
// header_too_large.
[[nodiscard]] Result<std::size_t> find_head(std::string_view bytes);

// `head`: what find_head found. Refuses folded lines, white space before a colon, control characters, a field given twice that may occur once,
// Content-Length that is not plain digits, any Transfer-Encoding but "chunked", both of them, and a missing Host. Errors: bad_request,
// header_too_large (too many fields).
[[nodiscard]] Status check_head(std::string_view head);

}  // namespace licet::stream
