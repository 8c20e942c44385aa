// A product's mapping: how a plain JSON document becomes a CloudEvent, and which of its values are governed. One immutable version
// per change; an event keeps the number of the version it was accepted under. Written by product owners over REST, read by ingest
// (attributes, spans) and by policy compilation (which fields exist). Pure.
//
//   {"attributes": {"id": {"digest": true}, "source": {"constant": "/feed"}, "type": {"constant": "edit"},
//                   "time": {"pointer": "/time"}, "datasubject": {"pointer": "/user", "infoType": "IP_ADDRESS"}},
//    "fields": [{"pointer": "/user", "category": "pd:IPAddress", "infoType": "IP_ADDRESS"}]}
//
// An attribute rule has exactly one of `pointer` (RFC 6901), `constant`, `digest` (id only: SHA-256 of the minified data, so that a repeated load is
// idempotent). `infoType` beside a pointer: the attribute is set only when the value is of that (detectable) type. `required`: refuse the
// event when absent. `id`, `source`, `type` need a rule for plain JSON; CloudEvents bring their own, and the mapping only fills what they lack.
// Governing attributes (`license`, `jurisdiction`, `residency`, `datasubject`, ...) given by a rule win over the event's own. Where the rule finds
// nothing, a licence or jurisdiction of the event's own counts as unknown, but what restricts (`residency`, `datasubject`, `expirytime`, ...) stays
// as the event says.
//
// In a field's pointer the token `*` is every element of an array (of an object, the member of that name). `"scan": true`: strings at the field, or
// inside it, are searched for the info types that can be found in text (event/info_type_finder.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "event/info_type.h"

namespace licet::event {

struct AttributeRule {
    std::string attribute;
    enum class Kind : std::uint8_t { pointer, constant, digest } kind{};
    std::vector<std::string> path;  // unescaped reference tokens of the pointer
    std::string constant;
    InfoType info_type = InfoType::none;
    bool required = false;
};

struct GovernedField {
    std::string pointer;            // RFC 6901 within `data`, and `*` for all elements of an array
    std::vector<std::string> path;  // its unescaped reference tokens
    std::string category;           // DPV personal-data category, e.g. "pd:IPAddress"; empty: not personal
    InfoType info_type = InfoType::none;
    bool scan = false;  // strings here are free text, searched for info types
};

struct Mapping {
    std::uint32_t version{};
    std::vector<AttributeRule> attributes;
    std::vector<GovernedField> fields;

    [[nodiscard]] const AttributeRule* rule(std::string_view attribute) const noexcept;
    [[nodiscard]] std::optional<std::size_t> field(std::string_view pointer) const noexcept;
};

// Checks and reads a mapping document. Errors: invalid_document with a JSON Pointer into the document. Unknown members are refused.
[[nodiscard]] Result<Mapping> parse_mapping(const nlohmann::json& document, std::uint32_t version);
[[nodiscard]] nlohmann::json to_json(const Mapping& mapping);

// Unescaped reference tokens of an RFC 6901 pointer; nullopt when malformed. "" is the whole document: no tokens.
[[nodiscard]] std::optional<std::vector<std::string>> parse_pointer(std::string_view pointer);

}  // namespace licet::event
