// What can be said of a policy before it is in force: rules that can never apply, permissions that a prohibition takes back or that no contract
// reaches, transforms that withhold because they are incomparable. Hints for its author, never a refusal. Used by the control plane at write. Pure.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event/mapping.h"
#include "policy/document.h"
#include "policy/engine.h"

namespace licet::policy {

enum class FindingKind : std::uint8_t {
    never_applies,           // its constraints contradict each other, or no contract asks for its action
    shadowed,                // whenever it applies, a prohibition does too
    conflicting_transforms,  // with another permission it withholds: transforms of one field, equally strict and different
    unreachable,             // no contract there is could be served by it
    not_examined,            // the limit on the work of one examination was reached
};
[[nodiscard]] std::string_view finding_name(FindingKind kind) noexcept;

struct Finding {
    FindingKind kind{};
    std::string rule;     // uid, or its JSON Pointer
    std::string pointer;  // of the rule in the document examined
    std::string detail;
    std::string other_policy, other_rule;  // what shadows it or conflicts with it; the policy is empty for a rule of the same document
};

// What a policy is seen beside. Anything may be left out: less is then found.
struct FindingContext {
    std::span<const PolicyVersion> active;  // the other policies in force
    std::span<const Entitlement> contracts;
    bool contracts_known = false;  // without them nothing is said of what they reach
    struct ProductMapping {
        std::string product;
        std::shared_ptr<const event::Mapping> mapping;
    };
    std::span<const ProductMapping> mappings;
};

// In document order. Sound, not complete: what is reported holds; a contradiction between different operands, or one past
// limits::policy_findings_steps_max, is not seen.
[[nodiscard]] std::vector<Finding> examine(const PolicyDocument& document, const FindingContext& context,
                                           std::shared_ptr<const Vocabulary> vocabulary);

}  // namespace licet::policy
