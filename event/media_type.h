// Media types (RFC 9110 section 8.3.1) as far as they decide how data is read: whether it is JSON. Used by ingest and by the protobuf format. Pure.
#pragma once

#include <string>
#include <string_view>

namespace licet::event {

// Without parameters, in lower case.
[[nodiscard]] std::string media_type(std::string_view content_type);
// Whether a Content-Type (with or without parameters) says JSON: subtype `json` or suffix `+json` (CloudEvents JSON format 1.0.2, section 3.1).
[[nodiscard]] bool is_json_media_type(std::string_view content_type);

}  // namespace licet::event
