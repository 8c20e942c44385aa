// Says where JSON text breaks the grammar (RFC 8259), for error messages: a pointer to the value and the byte. Used by ingest after simdjson refused
// a text; slow path, so it may be exact. Stricter than the grammar where data must survive other parsers: no unpaired surrogates. Numbers of any size
// are fine. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace licet::event {

inline constexpr std::size_t kJsonDepthMax = 1024;

struct JsonFault {
    std::string pointer;   // RFC 6901: the innermost value that is at fault, or an ancestor when that is deeper or longer than worth telling
    std::size_t byte = 0;  // offset of the first byte that cannot be
    const char* what = "";
};

// nullopt: `text` is one JSON document nested no deeper than kJsonDepthMax.
[[nodiscard]] std::optional<JsonFault> find_json_fault(std::string_view text);

}  // namespace licet::event
