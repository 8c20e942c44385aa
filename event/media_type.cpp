#include "event/media_type.h"

#include <algorithm>

namespace licet::event {

std::string media_type(std::string_view content_type) {
    std::string_view bare = content_type.substr(0, content_type.find(';'));
    while (!bare.empty() && (bare.back() == ' ' || bare.back() == '\t')) bare.remove_suffix(1);
    while (!bare.empty() && (bare.front() == ' ' || bare.front() == '\t')) bare.remove_prefix(1);
    std::string out(bare);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

bool is_json_media_type(std::string_view content_type) {
    const std::string type = media_type(content_type);
    return type.ends_with("/json") || type.ends_with("+json");
}

}  // namespace licet::event
