#include "server/stream/edge/route_table.h"

namespace licet::stream {
namespace {

bool fits(std::string_view pattern, std::span<const std::string> segments, std::string& product) {
    for (const std::string& segment : segments) {
        if (pattern.empty()) return false;
        pattern.remove_prefix(1);
        const auto slash = pattern.find('/');
        const auto expected = pattern.substr(0, slash);
        pattern = slash == std::string_view::npos ? std::string_view{} : pattern.substr(slash);
        if (expected.starts_with('{'))
            product = segment;
        else if (expected != segment)
            return false;
    }
    return pattern.empty();
}

}  // namespace

EdgeMatch match_edge(std::string_view method, std::span<const std::string> segments) {
    EdgeMatch out;
    for (const EdgeRoute& route : kEdgeRoutes) {
        if (!fits(route.path, segments, out.product)) continue;
        out.path = route.path;
        out.shared = route.shared;
        out.browsers = route.browsers;
        if (route.method == method || (method == "HEAD" && route.method == "GET")) {
            out.route = &route;
            out.allow.clear();
            return out;
        }
        out.allow += (out.allow.empty() ? "" : ", ") + std::string(route.method == "GET" ? "GET, HEAD" : route.method);
    }
    if (out.browsers) out.allow += ", OPTIONS";
    return out;
}

bool for_control(std::span<const std::string> segments) {
    return segments.size() >= 2 && segments[0] == "v1" &&
           (segments[1] == "admin" || segments[1] == "finance" || segments[1] == "me" || segments[1] == "statements" ||
            segments[1] == "openapi.json");
}

}  // namespace licet::stream
