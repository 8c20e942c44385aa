// Spans of a mapping's governed values, as the record keeps them: what find_values found, with the info type recognised in each value, and the parts
// found inside the text of fields that are scanned. Used by ingest, once per event. Pure.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "event/mapping.h"
#include "event/span_scanner.h"

namespace licet::event {

// Appends the spans, sorted as records want them: by value_begin, outer before inner. `found`: values with targets from `first_target` on, which are
// the mapping's fields in order; other targets are passed over. Error: invalid_event when there are more than limits::governed_spans_max.
// Precondition: `json` is valid minified JSON, `found` comes from find_values over it.
[[nodiscard]] Status append_field_spans(const Mapping& mapping, std::string_view json, std::span<const FoundValue> found, std::size_t first_target,
                                        std::vector<Span>& out);

}  // namespace licet::event
