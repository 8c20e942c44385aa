// Request bodies of the control plane as JSON, read strictly: what two readers could understand differently is refused, with a pointer to it. Pure;
// used by routes.cpp.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace licet::control {

// `at` is put before every pointer. Errors: invalid_json; invalid_document for a member given twice, U+0000 (the catalog cannot keep it), and nesting
// deeper than limits::control_json_depth_max.
[[nodiscard]] Result<nlohmann::json> parse_body(std::string_view text, const std::string& at = {});

// Whether a Content-Type names this media type (RFC 9110: case does not matter, parameters may follow).
[[nodiscard]] bool is_media_type(std::string_view content_type, std::string_view type);

}  // namespace licet::control
