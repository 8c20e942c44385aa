// Which pages may call us from a browser (Fetch standard, CORS protocol): origins named in the configuration, compared byte by byte. Nothing here
// rests on what a browser attaches by itself, so credentials mode is never allowed and no wildcard is ever given. Pure. Private to edge/.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace licet::stream {

struct Origins {
    std::string own;                   // of public_url: pages served from there need no leave
    std::vector<std::string> allowed;  // "https://app.example"

    [[nodiscard]] bool own_or_allowed(std::string_view origin) const;
    [[nodiscard]] bool allows(std::string_view origin) const;
};

// Header lines of every answer on a path for browsers: whether the page of `origin` may read it (none given: empty), and which of its headers.
[[nodiscard]] std::string cors_lines(const Origins& origins, std::string_view origin);
// What a preflight of an allowed origin is told besides. `asked`: its Access-Control-Request-Headers, of which ce- headers are granted by name.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> preflight_headers(std::string_view methods, std::string_view asked);

}  // namespace licet::stream
