// Request targets, taken apart strictly: one spelling per resource, so that no later stage can read another one into it. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace licet::stream {

struct Target {
    std::string path;                          // as sent, without the query
    std::vector<std::string> segments;         // decoded
    std::map<std::string, std::string> query;  // decoded
    std::string raw_query;                     // as sent
};
// Origin form, or absolute form (RFC 9112 section 3.2.2) that names `host`, the Host header. Refuses empty, "." and ".." segments, encoded slashes
// and control characters, malformed escapes, a query key given twice. Errors: bad_request, uri_too_long.
[[nodiscard]] Result<Target> parse_target(std::string_view text, std::string_view host);
// Percent-decoded, without control characters. Errors: bad_request.
[[nodiscard]] Result<std::string> decode_text(std::string_view text, bool plus_is_space);
// application/x-www-form-urlencoded. Errors: bad_request.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_form(std::string_view text);

}  // namespace licet::stream
