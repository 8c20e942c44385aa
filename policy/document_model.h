// The rules of a policy document after it was checked: what compile, findings, explain and tests read. Private to policy/ and its tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "event/info_type.h"
#include "policy/action.h"
#include "policy/vocabulary.h"

namespace licet::policy {

enum class LeftOperand : std::uint8_t {
    purpose,
    consent,
    jurisdiction,
    licence,
    classification,
    category,
    recipient,
    recipient_country,
    product,
    event_type,
    event_source,
    event_time,  // the event's own time
    date_time,   // the moment of delivery
};
enum class Operator : std::uint8_t { eq, neq, is_a, is_any_of, is_none_of, is_part_of, has_part, is_all_of, lt, lteq, gt, gteq };

// What a date or a date-time covers: a day, or a millisecond. Comparisons are with the whole of it.
struct Moment {
    UtcMillis begin, end;  // [begin, end)
    bool operator==(const Moment&) const = default;
};

struct Constraint {
    enum class Kind : std::uint8_t { leaf, all, any, exactly_one } kind = Kind::leaf;
    LeftOperand left{};
    Operator op{};
    std::vector<std::string> right;    // as compared: countries upper case, party names without the URN
    std::vector<PurposeId> purposes;   // right, when left is purpose
    std::vector<Moment> moments;       // right, when left is a time
    std::vector<Constraint> children;  // of logical constraints
    std::string pointer;               // where in the document
};

enum class TransformKind : std::uint8_t { character_mask, crypto_hash, replace, replace_with_info_type, null, redact };
// Drop > null > constant > hash > mask. Equal ranks with different results are incomparable.
[[nodiscard]] constexpr int strictness(TransformKind kind) noexcept {
    switch (kind) {
        case TransformKind::redact:
            return 5;
        case TransformKind::null:
            return 4;
        case TransformKind::replace:
        case TransformKind::replace_with_info_type:
            return 3;
        case TransformKind::crypto_hash:
            return 2;
        case TransformKind::character_mask:
            return 1;
    }
    return 0;
}

struct Transform {
    TransformKind kind{};
    // Exactly one selector.
    std::string pointer;
    bool by_pointer = false;
    event::InfoType info_type = event::InfoType::none;
    std::string category;
    // Parameters.
    std::string replacement;  // replace: a JSON string token
    std::string masking_character = "*";
    std::uint32_t number_to_mask = 0;  // 0: all
    bool reverse_order = false;
    std::string characters_to_skip;
    bool operator==(const Transform&) const = default;
};

struct Rule {
    std::string uid;  // as given, or its JSON Pointer
    bool prohibition = false;
    std::vector<std::string> targets;                                 // product names; empty: every product
    std::vector<std::string> assignee_parties, assignee_collections;  // both empty: anyone
    std::vector<ActionId> actions;                                    // any of them
    Constraint constraint;                                            // refinements and constraints, all of them together; no children: true
    std::vector<Transform> transforms;
    std::string pointer;  // where in the document
};

struct PolicyDocument {
    std::string uid;
    bool agreement = false;
    std::vector<Rule> rules;
};

}  // namespace licet::policy
