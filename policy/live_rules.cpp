// What of a rule is settled when it is compiled: purpose, recipient and product are the entitlement's, not the event's. A rule that is false by them
// is false for every event, and need not be looked at again.
#include "policy/program.h"

namespace licet::policy {
namespace {

// The values a constraint can have, as bits 1 << Ternary.
using Values = unsigned;
constexpr Values bit(Ternary t) { return 1u << static_cast<unsigned>(t); }
constexpr Values kAny = bit(Ternary::no) | bit(Ternary::yes) | bit(Ternary::unknown);

template <class Combine>
Values combine(Values a, Values b, Combine&& two) {
    Values out = 0;
    for (const Ternary x : {Ternary::no, Ternary::yes, Ternary::unknown})
        for (const Ternary y : {Ternary::no, Ternary::yes, Ternary::unknown})
            if ((a & bit(x)) != 0 && (b & bit(y)) != 0) out |= bit(two(x, y));
    return out;
}

Values values(const Constraint& c, const Evaluation& e) {
    switch (c.kind) {
        case Constraint::Kind::leaf: {
            const bool settled = c.left == LeftOperand::purpose || c.left == LeftOperand::recipient || c.left == LeftOperand::product;
            return settled ? bit(evaluate(c, e)) : kAny;
        }
        case Constraint::Kind::all: {
            Values out = bit(Ternary::yes);
            for (const auto& child : c.children) out = combine(out, values(child, e), kleene_and);
            return out;
        }
        case Constraint::Kind::any: {
            Values out = bit(Ternary::no);
            for (const auto& child : c.children) out = combine(out, values(child, e), kleene_or);
            return out;
        }
        case Constraint::Kind::exactly_one:
            return kAny;
    }
    return kAny;
}

// What first_failing() finds in a constraint that is never true, whatever the event; null when that depends on the event.
const Constraint* settled_failing(const Constraint& c, const Evaluation& e) {
    for (const auto& child : c.children) {
        const Values can_be = values(child, e);
        if (can_be == bit(Ternary::yes)) continue;
        return (can_be & bit(Ternary::yes)) != 0 ? nullptr : settled_failing(child, e);
    }
    return &c;
}

}  // namespace

LiveRules find_live_rules(const CompiledProgram& program, std::optional<PurposeId> purpose) {
    const Facts nothing;
    const Evaluation e{program, nothing, purpose};
    LiveRules out;
    for (const auto& p : program.prohibitions)
        if (values(p.rule->constraint, e) != bit(Ternary::no)) out.prohibitions.push_back(p);
    // Of the permissions that fail by their purpose for sure, a reason can only come from the first.
    bool by_purpose = false;
    for (const auto& p : program.permissions) {
        const Values can_be = values(p.rule->constraint, e);
        if ((can_be & bit(Ternary::yes)) != 0) {
            out.permissions.push_back(p);
        } else if (const Constraint* failing = settled_failing(p.rule->constraint, e);
                   failing != nullptr && failing->kind == Constraint::Kind::leaf && failing->left == LeftOperand::purpose) {
            if (by_purpose) continue;
            by_purpose = true;
        }
        out.telling.push_back(p);
    }
    return out;
}

}  // namespace licet::policy
