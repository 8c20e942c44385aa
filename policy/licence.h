// What an event's `license` allows: one licence or an SPDX expression of several (AND, OR, WITH, parentheses), read against the vocabulary. Used by
// the engine (check and constraint) and by explanations. Pure. The rules in words, with examples: docs/licences.md.
//   A AND B    both at once: permits are intersected, requires and prohibits united; two different ShareAlike licences have no known terms together
//   A OR B     the recipient's choice: any alternative that allows is enough
//   A WITH x   an exception: what it changes is not in the tables, so its terms are unknown
//   A+         that version or a later one, as the recipient chooses: at least what A allows
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/vocabulary.h"

namespace licet::policy {

// One way to take the event: the terms of one licence, or of several combined.
struct LicenceAlternative {
    bool known = true;  // false: some licence is not known, or two ask for different licences of derivatives
    Acts permits{}, requires_{}, prohibits{};
    std::vector<std::string_view> ids;  // as written, without "+"; views into the expression
};
// The alternatives of an expression; empty when it is no expression, or one past limits::licence_*.
[[nodiscard]] std::vector<LicenceAlternative> licence_alternatives(std::string_view expression, const Vocabulary& vocabulary);

// What a delivery does, as acts that a licence permits or prohibits: those it needs, and those it may turn out to need.
struct LicenceUse {
    Acts needs{}, may_need{};
};
// `transforms`: whether this event would be changed. No stated purpose may be any.
[[nodiscard]] LicenceUse licence_use(const Vocabulary& vocabulary, std::optional<PurposeId> purpose, bool transforms);

// yes: some alternative permits every needed act and prohibits none. no: every alternative forbids. Else unknown. TrainAI and Search, of which most
// licences say nothing, are unknown where a licence is silent; any other act it is silent about is not permitted.
[[nodiscard]] Ternary licence_allows(std::string_view expression, const Vocabulary& vocabulary, const LicenceUse& use);

// For a constraint that lists licences: yes when every licence the expression names is listed, no when none is, else unknown; unknown too when one of
// them is not known.
[[nodiscard]] Ternary licence_among(std::string_view expression, const Vocabulary& vocabulary, std::span<const std::string> listed);

}  // namespace licet::policy
