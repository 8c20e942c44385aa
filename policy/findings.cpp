#include "policy/findings.h"

#include <algorithm>

#include "base/limits.h"
#include "policy/satisfiable.h"

namespace licet::policy {
namespace {

template <class List>
bool contains_all(const List& whole, const List& part) {
    return std::all_of(part.begin(), part.end(), [&](const auto& item) { return std::find(whole.begin(), whole.end(), item) != whole.end(); });
}
template <class List>
bool meet(const List& a, const List& b) {
    return std::any_of(a.begin(), a.end(), [&](const auto& item) { return std::find(b.begin(), b.end(), item) != b.end(); });
}
bool anyone(const Rule& r) { return r.assignee_parties.empty() && r.assignee_collections.empty(); }

// Whether every contract that `part` is about, `whole` is about too.
bool covers(const Rule& whole, const Rule& part) {
    if (!whole.targets.empty() && (part.targets.empty() || !contains_all(whole.targets, part.targets))) return false;
    return anyone(whole) || (!anyone(part) && contains_all(whole.assignee_parties, part.assignee_parties) &&
                             contains_all(whole.assignee_collections, part.assignee_collections));
}
// Whether one contract can have both: the same product, and parties that are not different ones for sure.
bool may_meet(const Rule& a, const Rule& b) {
    if (!a.targets.empty() && !b.targets.empty() && !meet(a.targets, b.targets)) return false;
    return anyone(a) || anyone(b) || !a.assignee_collections.empty() || !b.assignee_collections.empty() ||
           meet(a.assignee_parties, b.assignee_parties);
}

// A transform without its selector: what it does.
Transform effect(Transform t) {
    t.pointer.clear();
    t.by_pointer = false;
    t.info_type = event::InfoType::none;
    t.category.clear();
    return t;
}
bool selects(const Transform& t, const event::GovernedField& field) {
    if (t.by_pointer) return t.pointer == field.pointer;
    return t.category.empty() ? t.info_type == field.info_type : t.category == field.category;
}
bool same_selector(const Transform& a, const Transform& b) {
    return a.by_pointer == b.by_pointer && a.pointer == b.pointer && a.info_type == b.info_type && a.category == b.category;
}
std::string selector_text(const Transform& t) {
    if (t.by_pointer) return t.pointer.empty() ? "the whole data" : t.pointer;
    return t.category.empty() ? std::string(event::info_type_name(t.info_type)) : t.category;
}

// Of transforms that select one value: two of the strictest rank that differ.
bool incomparable(const std::vector<const Transform*>& on_one) {
    int strictest = 0;
    for (const auto* t : on_one) strictest = std::max(strictest, strictness(t->kind));
    const Transform* first = nullptr;
    for (const auto* t : on_one) {
        if (strictness(t->kind) != strictest) continue;
        if (first != nullptr && !(effect(*first) == effect(*t))) return true;
        first = t;
    }
    return false;
}

// A field, or a selector, on which the transforms of both withhold; empty when there is none.
std::string conflict_of(const Rule& a, const Rule& b, std::span<const FindingContext::ProductMapping> mappings) {
    std::vector<const Transform*> all;
    for (const auto* rule : {&a, &b})
        for (const auto& t : rule->transforms) all.push_back(&t);
    for (const auto& product : mappings) {
        const auto about = [&](const Rule& r) { return r.targets.empty() || contains_all(r.targets, std::vector<std::string>{product.product}); };
        if (!about(a) || !about(b)) continue;
        for (const auto& field : product.mapping->fields) {
            std::vector<const Transform*> on_field;
            for (const auto* t : all)
                if (selects(*t, field)) on_field.push_back(t);
            if (incomparable(on_field)) return field.pointer.empty() ? "the whole data" : field.pointer;
        }
    }
    for (const auto* one : all) {
        std::vector<const Transform*> alike;
        for (const auto* t : all)
            if (same_selector(*t, *one)) alike.push_back(t);
        if (incomparable(alike)) return selector_text(*one);
    }
    return {};
}

class Examination {
  public:
    Examination(const PolicyDocument& document, const FindingContext& context, std::shared_ptr<const Vocabulary> vocabulary)
        : document_(document), context_(context), vocabulary_(std::move(vocabulary)) {}

    std::vector<Finding> run() {
        for (const Rule& rule : document_.rules) {
            if (full()) break;
            if (!may_apply(rule)) continue;
            if (rule.prohibition) continue;
            shadow(rule);
            conflicts(rule);
            reach(rule);
        }
        if (steps_ == 0)
            out_.push_back(
                {FindingKind::not_examined, {}, {}, "more to examine than the limit allows: what was found is true, but may not be all", {}, {}});
        return std::move(out_);
    }

  private:
    [[nodiscard]] bool full() const { return steps_ == 0 || out_.size() >= limits::policy_findings_max; }
    void add(FindingKind kind, const Rule& rule, std::string detail, std::string policy = {}, std::string other = {}) {
        if (out_.size() < limits::policy_findings_max)
            out_.push_back({kind, rule.uid, rule.pointer, std::move(detail), std::move(policy), std::move(other)});
    }
    Ternary possible(std::vector<Goal> goals) { return Search(vocabulary_, steps_).possible(std::move(goals)); }

    bool may_apply(const Rule& rule) {
        if (!action_matches(rule, delivery_action())) {
            add(FindingKind::never_applies, rule,
                "delivery is the action " + std::string(action_name(delivery_action())) + ", which this rule is not about");
            return false;
        }
        if (possible({{&rule.constraint, Ternary::yes}}) != Ternary::no) return true;
        add(FindingKind::never_applies, rule,
            rule.prohibition ? "its constraints contradict each other: it hits only events of which something is unknown"
                             : "its constraints contradict each other");
        return false;
    }

    bool shadowed_by(const Rule& rule, const Rule& by, const std::string& policy) {
        if (!by.prohibition || !action_matches(by, delivery_action()) || !covers(by, rule)) return false;
        if (possible({{&rule.constraint, Ternary::yes}, {&by.constraint, Ternary::no}}) != Ternary::no) return false;
        add(FindingKind::shadowed, rule, "whenever it applies the prohibition does too", policy, by.uid);
        return true;
    }
    void shadow(const Rule& rule) {
        for (const Rule& by : document_.rules)
            if (full() || shadowed_by(rule, by, {})) return;
        for (const auto& policy : context_.active)
            for (const Rule& by : policy.document->rules)
                if (full() || shadowed_by(rule, by, policy.name)) return;
    }

    void conflict(const Rule& rule, const Rule& with, const std::string& policy) {
        if (with.prohibition || with.transforms.empty() || rule.transforms.empty() || !may_meet(rule, with)) return;
        if (!action_matches(with, delivery_action())) return;
        const std::string on = conflict_of(rule, with, context_.mappings);
        if (on.empty() || possible({{&rule.constraint, Ternary::yes}, {&with.constraint, Ternary::yes}}) == Ternary::no) return;
        add(FindingKind::conflicting_transforms, rule, "where both apply, events with " + on + " are withheld: neither transform is the stricter",
            policy, with.uid);
    }
    void conflicts(const Rule& rule) {
        const auto self = static_cast<std::size_t>(&rule - document_.rules.data());
        for (std::size_t i = self; i < document_.rules.size() && !full(); ++i) conflict(rule, document_.rules[i], {});
        for (const auto& policy : context_.active)
            for (const Rule& with : policy.document->rules)
                if (!full()) conflict(rule, with, policy.name);
    }

    void reach(const Rule& rule) {
        if (!context_.contracts_known) return;
        for (const Entitlement& contract : context_.contracts) {
            if (full()) return;
            if (!rule_matches(rule, contract, delivery_action())) continue;
            Search search(vocabulary_, steps_);
            search.with_contract(contract);
            if (search.possible({{&rule.constraint, Ternary::yes}}) != Ternary::no) return;
        }
        if (steps_ != 0) add(FindingKind::unreachable, rule, "no contract has the product, the party, the purpose and the country it asks for");
    }

    const PolicyDocument& document_;
    const FindingContext& context_;
    std::shared_ptr<const Vocabulary> vocabulary_;
    std::size_t steps_ = limits::policy_findings_steps_max;
    std::vector<Finding> out_;
};

}  // namespace

std::string_view finding_name(FindingKind kind) noexcept {
    switch (kind) {
        case FindingKind::never_applies:
            return "never_applies";
        case FindingKind::shadowed:
            return "shadowed";
        case FindingKind::conflicting_transforms:
            return "conflicting_transforms";
        case FindingKind::unreachable:
            return "unreachable";
        case FindingKind::not_examined:
            return "not_examined";
    }
    return "not_examined";
}

std::vector<Finding> examine(const PolicyDocument& document, const FindingContext& context, std::shared_ptr<const Vocabulary> vocabulary) {
    return Examination(document, context, std::move(vocabulary)).run();
}

}  // namespace licet::policy
