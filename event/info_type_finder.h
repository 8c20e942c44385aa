// Finds values of an info type inside free text: e-mail and IP addresses, phone numbers with a country code, IBANs and payment cards. Used at ingest
// for the fields whose mapping says `"scan": true`. Pure. What is found and what is not: docs/transforms.md. In doubt more is found rather than less.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "event/info_type.h"

namespace licet::event {

struct InfoFinding {
    InfoType type{};
    std::size_t begin = 0, end = 0;  // bytes of the text, on code point boundaries when the text is UTF-8
    bool operator==(const InfoFinding&) const = default;
};

// Appends every finding in `text` (unescaped), sorted by begin. Findings of one type do not overlap; those of different types may. Takes time in
// proportion to the text.
void find_info_types(std::string_view text, std::vector<InfoFinding>& out);

}  // namespace licet::event
