// The rules of a policy document after it was checked: what compile, findings, explain and tests read. Private to policy/ and its tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "event/info_type.h"
#include "policy/action.h"
#include "policy/transform.h"
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
