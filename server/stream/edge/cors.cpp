#include "server/stream/edge/cors.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::stream {

bool Origins::allows(std::string_view origin) const { return std::find(allowed.begin(), allowed.end(), origin) != allowed.end(); }
bool Origins::own_or_allowed(std::string_view origin) const { return (!own.empty() && origin == own) || allows(origin); }

std::string cors_lines(const Origins& origins, std::string_view origin) {
    if (origins.allowed.empty()) return {};
    std::string out = "Vary: Origin\r\n";
    if (!origins.allows(origin)) return out;
    out += "Access-Control-Allow-Origin: ";
    out += origin;
    out += "\r\nAccess-Control-Expose-Headers: Licet-Cursor, Licet-Request-Id, Retry-After\r\n";
    return out;
}

std::vector<std::pair<std::string, std::string>> preflight_headers(std::string_view methods, std::string_view asked) {
    std::string headers = "Authorization, Content-Type, Last-Event-ID";
    while (!asked.empty()) {
        auto name = asked.substr(0, asked.find(','));
        asked.remove_prefix(std::min(asked.size(), name.size() + 1));
        while (name.starts_with(' ')) name.remove_prefix(1);
        while (name.ends_with(' ')) name.remove_suffix(1);
        // Attributes of a binary-mode event. Browsers send names in lower case; those of other shapes are not echoed.
        const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
        if (name.size() > 3 && name.starts_with("ce-") && std::all_of(name.begin() + 3, name.end(), plain)) headers += ", " + std::string(name);
    }
    return {{"Access-Control-Allow-Methods", std::string(methods)},
            {"Access-Control-Allow-Headers", std::move(headers)},
            {"Access-Control-Max-Age", std::to_string(limits::preflight_max_age_s)}};
}

}  // namespace licet::stream
