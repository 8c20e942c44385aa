#include <nlohmann/json.hpp>

#include "event/json_text.h"
#include "policy/program.h"

namespace licet::policy {
namespace {

using nlohmann::json;

const char* name(Ternary t) { return t == Ternary::yes ? "true" : t == Ternary::no ? "false" : "unknown"; }

json leaves(const Constraint& c, const Evaluation& e) {
    json out = json::array();
    if (c.kind == Constraint::Kind::leaf) {
        out.push_back({{"pointer", c.pointer}, {"value", name(evaluate(c, e))}});
        return out;
    }
    for (const auto& child : c.children)
        for (auto& leaf : leaves(child, e)) out.push_back(std::move(leaf));
    return out;
}

json rule_json(const CompiledProgram& p, const CompiledRule& rule, const Evaluation& e) {
    const auto& ref = p.refs_[rule.index];
    const Ternary value = evaluate(rule.rule->constraint, e);
    json out{{"policy", ref.policy},
             {"version", ref.policy_version},
             {"rule", ref.rule},
             {"kind", rule.rule->prohibition ? "prohibition" : "permission"},
             {"value", name(value)},
             {"applies", rule.rule->prohibition ? value != Ternary::no : value == Ternary::yes},
             {"constraints", leaves(rule.rule->constraint, e)}};
    if (const Constraint* failing = first_failing(rule.rule->constraint, e)) out["firstFailing"] = failing->pointer;
    return out;
}

json transforms_json(const event::StoredEvent& event, const event::Mapping& mapping, const Outcome& outcome) {
    json out = json::array();
    const Plan plan = make_plan(mapping, outcome.transforms);
    std::uint32_t covered = 0;  // up to here a transformed value takes what is inside it along
    std::uint8_t outer = Plan::kKeep;
    for (std::size_t i = 0; i < event.span_count(); ++i) {
        const auto span = event.span(i);
        if (span.field >= plan.fields.size()) continue;
        auto op = plan.operation(span);
        const bool part = span.value_kind == event::ValueKind::part;
        if (span.value_begin < covered)
            op = plan.stricter(outer, op);
        else if (!part && op != Plan::kKeep)
            covered = span.value_end, outer = op;
        if (op == Plan::kKeep) continue;
        json entry{{"pointer", mapping.fields[span.field].pointer},
                   {"detected", event::info_type_name(span.detected)},
                   {"transform", op == Plan::kConflict ? "conflict" : transform_name(plan.operations[op].kind)}};
        if (part) entry["part"] = true;
        out.push_back(std::move(entry));
    }
    return out;
}

}  // namespace

std::string_view reason_name(Reason reason) noexcept {
    switch (reason) {
        case Reason::permitted:
            return "permitted";
        case Reason::no_permission:
            return "no_permission";
        case Reason::prohibited:
            return "prohibited";
        case Reason::purpose_not_permitted:
            return "purpose_not_permitted";
        case Reason::purpose_unknown:
            return "purpose_unknown";
        case Reason::licence_forbids:
            return "licence_forbids";
        case Reason::licence_unknown:
            return "licence_unknown";
        case Reason::consent_missing:
            return "consent_missing";
        case Reason::consent_unavailable:
            return "consent_unavailable";
        case Reason::transfer_not_permitted:
            return "transfer_not_permitted";
        case Reason::jurisdiction_unknown:
            return "jurisdiction_unknown";
        case Reason::transform_failed:
            return "transform_failed";
        case Reason::transform_conflict:
            return "transform_conflict";
        case Reason::expired:
            return "expired";
        case Reason::mapping_unknown:
            return "mapping_unknown";
        case Reason::error:
            return "error";
        case Reason::subject_erased:
            return "subject_erased";
        case Reason::key_unavailable:
            return "key_unavailable";
    }
    return "error";
}

json explain(const Program& program, const event::StoredEvent& event, const ConsentIndex& consents, UtcMillis now) {
    const auto& p = static_cast<const CompiledProgram&>(program);
    json out{{"vocabulary", p.vocabulary->version()}, {"consentRevision", consents.revision()}, {"consentReady", consents.ready()}};
    const event::Mapping* mapping = p.mapping(event.mapping_version());

    // The decision itself comes from the same code as on the data path, with pseudonyms replaced by a fixed value that is thrown away.
    struct Blank final : Pseudonymiser {
        bool hash(std::string_view, std::string_view, std::array<std::uint8_t, 32>& digest) noexcept override {
            digest.fill(0);
            return true;
        }
        bool encrypt(std::string_view, std::string_view, std::string& sealed) noexcept override {
            sealed.clear();
            return true;
        }
    } blank;
    auto keep_alive = std::shared_ptr<const Program>(&program, [](const Program*) {});
    const auto decider = make_decider(keep_alive, consents, blank);
    Decision decision = decider->decide(event, now);
    std::string discarded;
    if (decision.deliver && decider->needs_values(event, decision))
        decision = {Reason::key_unavailable, false, decision.rule};
    else if (decision.deliver && !decider->redact(event, decision, discarded))
        decision = {Reason::transform_failed, false, decision.rule};
    out["deliver"] = decision.deliver;
    out["reason"] = reason_name(decision.reason);
    if (decision.rule != Decision::kNoRule) {
        const auto& ref = p.refs_[decision.rule];
        out["decidedBy"] = {{"policy", ref.policy}, {"version", ref.policy_version}, {"rule", ref.rule}};
    }
    if (mapping == nullptr) return out;

    const Facts facts = facts_of(event, *mapping, now);
    const PurposeSet valid = consented_purposes(consents, event.subject(), p.entitlement.consent_recipients, now);
    std::vector<Ternary> consent;
    json purposes = json::array();
    const std::size_t count = std::max<std::size_t>(p.purposes.size(), 1);
    for (std::size_t i = 0; i < count; ++i) {
        const bool stated = i < p.purposes.size();
        Ternary given = Ternary::unknown;
        if (!facts.names_subject)
            given = Ternary::yes;
        else if (stated && consents.ready())
            given = valid.has(p.purposes[i]) ? Ternary::yes : Ternary::no;
        consent.push_back(given);
        const Evaluation e{p, facts, stated ? std::optional(p.purposes[i]) : std::nullopt, given};
        json rules = json::array();
        for (const auto& r : p.prohibitions) rules.push_back(rule_json(p, r, e));
        for (const auto& r : p.permissions) rules.push_back(rule_json(p, r, e));
        purposes.push_back({{"purpose", stated ? json(p.vocabulary->purpose_name(p.purposes[i])) : json()},
                            {"consent", facts.names_subject ? json(name(given)) : json("not needed: no data subject is named")},
                            {"licence", reason_name(check_licence(p, facts, e.purpose, false))},
                            {"rules", std::move(rules)}});
    }
    out["purposes"] = std::move(purposes);
    std::string_view basis;
    const Reason transfer = check_transfer(p, facts, &basis);
    out["transfer"] = {{"value", reason_name(transfer)}, {"basis", basis}};
    out["event"] = {{"license", facts.license},
                    {"jurisdiction", facts.jurisdiction},
                    {"namesSubject", facts.names_subject},
                    {"mappingVersion", mapping->version}};
    std::vector<event::Span> spans(event.span_count());
    for (std::size_t i = 0; i < spans.size(); ++i) spans[i] = event.span(i);
    out["transforms"] = transforms_json(event, *mapping, decide_static(p, facts, consent, *mapping, spans));
    return out;
}

}  // namespace licet::policy
