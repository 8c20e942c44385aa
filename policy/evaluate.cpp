// Constraints, licence and transfer: the static part of a decision (design section 6).
#include <algorithm>

#include "event/json_text.h"
#include "policy/licence.h"
#include "policy/program.h"

namespace licet::policy {
namespace {

Ternary of(bool b) noexcept { return b ? Ternary::yes : Ternary::no; }

bool matches_place(const Vocabulary& vocabulary, std::string_view wanted, std::string_view place, UtcMillis at) {
    if (wanted == "EEA") return vocabulary.in_eea(place, at) == Ternary::yes;
    return place == wanted || (place.size() > 3 && place[2] == '-' && place.substr(0, 2) == wanted);
}

template <class Match>
Ternary compare(const Constraint& c, Match&& match) {
    const bool any = std::any_of(c.right.begin(), c.right.end(), match);
    return of(c.op == Operator::neq || c.op == Operator::is_none_of ? !any : any);
}

// What is P or below it is for P. What is above P may or may not be: unknown, which keeps a permission of P from covering it and lets a prohibition
// of P hit it, negated or nested as it may be.
Ternary evaluate_purpose(const Constraint& c, const Evaluation& e) {
    if (!e.purpose) return Ternary::unknown;
    const Vocabulary& v = *e.program.vocabulary;
    Ternary any = Ternary::no;
    for (const PurposeId p : c.purposes) {
        const Ternary one = v.at_or_below(p).has(*e.purpose) ? Ternary::yes : v.at_or_above(p).has(*e.purpose) ? Ternary::unknown : Ternary::no;
        any = kleene_or(any, one);
    }
    return c.op == Operator::neq || c.op == Operator::is_none_of ? kleene_not(any) : any;
}

bool has_term(std::string_view list, std::string_view term) {
    while (!list.empty()) {
        const auto space = list.find(' ');
        if (list.substr(0, space) == term) return true;
        if (space == std::string_view::npos) return false;
        list.remove_prefix(space + 1);
    }
    return false;
}

Ternary evaluate_time(const Constraint& c, UtcMillis at) noexcept {
    const Moment& m = c.moments.front();
    switch (c.op) {
        case Operator::lt:
            return of(at < m.begin);
        case Operator::lteq:
            return of(at < m.end);
        case Operator::gt:
            return of(at >= m.end);
        case Operator::gteq:
            return of(at >= m.begin);
        case Operator::eq:
            return of(at >= m.begin && at < m.end);
        case Operator::neq:
            return of(at < m.begin || at >= m.end);
        default:
            return Ternary::unknown;
    }
}

Ternary evaluate_category(const Constraint& c, const Facts& f) {
    const auto present = [&](const std::string& r) {
        return has_term(f.categories, r) || std::find(f.field_categories.begin(), f.field_categories.end(), r) != f.field_categories.end();
    };
    if (c.op == Operator::is_all_of) return of(std::all_of(c.right.begin(), c.right.end(), present));
    return compare(c, present);
}

Ternary evaluate_leaf(const Constraint& c, const Evaluation& e) {
    const Facts& f = e.facts;
    const Entitlement& who = e.program.entitlement;
    const Vocabulary& v = *e.program.vocabulary;
    switch (c.left) {
        case LeftOperand::purpose:
            return evaluate_purpose(c, e);
        case LeftOperand::consent:
            return c.op == Operator::neq ? kleene_not(e.consent) : e.consent;
        case LeftOperand::jurisdiction:
            if (!v.is_country(f.jurisdiction.substr(0, 2)) || (f.jurisdiction.size() > 2 && f.jurisdiction[2] != '-')) return Ternary::unknown;
            return compare(c, [&](const std::string& r) { return matches_place(v, r, f.jurisdiction, f.time); });
        case LeftOperand::recipient_country:
            if (!v.is_country(who.recipient_country)) return Ternary::unknown;
            return compare(c, [&](const std::string& r) { return matches_place(v, r, who.recipient_country, f.time); });
        case LeftOperand::licence: {
            const Ternary among = licence_among(f.license, v, c.right);
            return c.op == Operator::neq || c.op == Operator::is_none_of ? kleene_not(among) : among;
        }
        case LeftOperand::classification:
            if (f.classification.empty()) return Ternary::unknown;
            return compare(c, [&](const std::string& r) { return r == f.classification; });
        case LeftOperand::category:
            return evaluate_category(c, f);
        case LeftOperand::recipient:
            return compare(c, [&](const std::string& r) {
                if (c.op != Operator::is_part_of) return r == who.party;
                return std::find(who.party_collections.begin(), who.party_collections.end(), r) != who.party_collections.end();
            });
        case LeftOperand::product:
            return compare(c, [&](const std::string& r) { return r == who.product; });
        case LeftOperand::event_type:
            return evaluate_text(c, f.type);
        case LeftOperand::event_source:
            return evaluate_text(c, f.source);
        case LeftOperand::event_time:
            return evaluate_time(c, f.time);
        case LeftOperand::date_time:
            return evaluate_time(c, f.now);
    }
    return Ternary::unknown;
}

}  // namespace

Ternary kleene_and(Ternary a, Ternary b) noexcept {
    if (a == Ternary::no || b == Ternary::no) return Ternary::no;
    return a == Ternary::yes && b == Ternary::yes ? Ternary::yes : Ternary::unknown;
}
Ternary kleene_or(Ternary a, Ternary b) noexcept {
    if (a == Ternary::yes || b == Ternary::yes) return Ternary::yes;
    return a == Ternary::no && b == Ternary::no ? Ternary::no : Ternary::unknown;
}
Ternary kleene_not(Ternary a) noexcept { return a == Ternary::unknown ? a : of(a == Ternary::no); }

Ternary evaluate(const Constraint& c, const Evaluation& e) {
    switch (c.kind) {
        case Constraint::Kind::leaf:
            return evaluate_leaf(c, e);
        case Constraint::Kind::all: {
            Ternary value = Ternary::yes;
            for (const auto& child : c.children) value = kleene_and(value, evaluate(child, e));
            return value;
        }
        case Constraint::Kind::any: {
            Ternary value = Ternary::no;
            for (const auto& child : c.children) value = kleene_or(value, evaluate(child, e));
            return value;
        }
        case Constraint::Kind::exactly_one: {
            int yes = 0, unknown = 0;
            for (const auto& child : c.children) {
                const Ternary value = evaluate(child, e);
                yes += value == Ternary::yes;
                unknown += value == Ternary::unknown;
            }
            if (yes > 1) return Ternary::no;
            return unknown > 0 ? Ternary::unknown : of(yes == 1);
        }
    }
    return Ternary::unknown;
}

const Constraint* first_failing(const Constraint& c, const Evaluation& e) {
    if (evaluate(c, e) == Ternary::yes) return nullptr;
    for (const auto& child : c.children)
        if (const Constraint* found = first_failing(child, e)) return found;
    return &c;
}

Reason check_licence(const CompiledProgram& program, const Facts& facts, std::optional<PurposeId> purpose, bool transforms) {
    switch (licence_allows(facts.license, *program.vocabulary, licence_use(*program.vocabulary, purpose, transforms))) {
        case Ternary::yes:
            return Reason::permitted;
        case Ternary::no:
            return Reason::licence_forbids;
        case Ternary::unknown:
            break;
    }
    return Reason::licence_unknown;
}

Reason check_transfer(const CompiledProgram& program, const Facts& facts, std::string_view* basis) {
    const Vocabulary& v = *program.vocabulary;
    const Entitlement& who = program.entitlement;
    const auto carried = [&](std::string_view by) {
        if (basis != nullptr) *basis = by;
        return Reason::permitted;
    };
    if (!facts.names_subject) return carried("no data subject is named");
    if (v.in_eea(who.recipient_country, facts.time) == Ternary::yes) return carried("recipient within the EEA");
    const Ternary from_eea = v.in_eea(facts.jurisdiction, facts.time);
    if (from_eea == Ternary::no) return carried("not from the EEA");
    if (from_eea == Ternary::unknown) {
        if (basis != nullptr) *basis = "jurisdiction of the event is unknown";
        return Reason::jurisdiction_unknown;
    }
    if (v.adequate(who.recipient_country, facts.time, {}) == Ternary::yes) return carried("adequacy decision (GDPR Art. 45)");
    for (const auto& scheme : who.adequacy_schemes)
        if (v.adequate(who.recipient_country, facts.time, scheme) == Ternary::yes)
            return carried("partial adequacy decision with certification (GDPR Art. 45)");
    if (!who.transfer_tools.empty()) return carried("transfer tool on the contract (GDPR Art. 46)");
    if (basis != nullptr) *basis = "no adequacy decision and no Art. 46 tool";
    return Reason::transfer_not_permitted;
}

// The envelope is written by the server: {"specversion":"1.0","id":"..","source":"..","type":"..",... with escaped strings and no white space.
std::string_view type_token(std::string_view envelope) noexcept {
    bool key = true;
    std::string_view name;
    for (std::size_t i = 1; i < envelope.size(); ++i) {
        if (envelope[i] == ',') key = true;
        if (envelope[i] != '"') continue;
        std::size_t end = i + 1;
        while (end < envelope.size() && envelope[end] != '"') end += envelope[end] == '\\' ? 2 : 1;
        if (end >= envelope.size()) return {};
        const std::string_view token = envelope.substr(i, end + 1 - i);
        if (!key && name == "\"type\"") return token;
        if (key) name = token;
        key = false;
        i = end;
    }
    return {};
}

Facts facts_of(const event::StoredEvent& event, const event::Mapping& mapping, UtcMillis now) {
    Facts f{event.license(), event.jurisdiction(), event.classification(), event.categories(), {}, event.time(), !event.subject().none()};
    if (!event::unescape_json(type_token(event.envelope()), f.type)) f.type.clear();
    f.source = event.source();
    f.now = now;
    for (std::size_t i = 0; i < event.span_count(); ++i) {
        const std::size_t field = event.span(i).field;
        if (field < mapping.fields.size() && !mapping.fields[field].category.empty()) f.field_categories.push_back(mapping.fields[field].category);
    }
    return f;
}

namespace {

Reason reason_of(const Constraint* failing, const Evaluation& e) {
    if (failing == nullptr || failing->kind != Constraint::Kind::leaf) return Reason::no_permission;
    switch (failing->left) {
        case LeftOperand::purpose:
            return e.purpose ? Reason::purpose_not_permitted : Reason::purpose_unknown;
        case LeftOperand::consent:
            return e.consent == Ternary::unknown ? Reason::consent_unavailable : Reason::consent_missing;
        case LeftOperand::jurisdiction:
            return e.program.vocabulary->is_country(e.facts.jurisdiction.substr(0, 2)) ? Reason::no_permission : Reason::jurisdiction_unknown;
        case LeftOperand::licence:
            return evaluate_leaf(*failing, e) == Ternary::unknown ? Reason::licence_unknown : Reason::licence_forbids;
        default:
            return Reason::no_permission;
    }
}

// Whether a transform would change something in this event.
bool touches(const Transform& t, const event::Mapping& mapping, std::span<const event::Span> spans) {
    return std::any_of(spans.begin(), spans.end(), [&](const event::Span& s) {
        if (s.field >= mapping.fields.size()) return true;
        return t.kind != TransformKind::keep && selects(t, mapping.fields[s.field], s.detected, s.value_kind == event::ValueKind::part);
    });
}

// Why nothing is permitted. Of the permissions that fail, the one that got past its purpose tells most.
Outcome nearest(const LiveRules& live, const Evaluation& e) {
    Outcome out{Reason::no_permission, Decision::kNoRule, {}};
    for (const auto& p : live.telling) {
        const Constraint* failing = first_failing(p.rule->constraint, e);
        const bool past_purpose = failing != nullptr && (failing->kind != Constraint::Kind::leaf || failing->left != LeftOperand::purpose);
        if (out.rule == Decision::kNoRule || past_purpose) out = {reason_of(failing, e), p.index, {}};
        if (past_purpose) break;
    }
    return out;
}

// One stated purpose (or none stated).
Outcome decide_purpose(const CompiledProgram& program, const LiveRules& live, const Evaluation& e, const event::Mapping& mapping,
                       std::span<const event::Span> spans) {
    for (const auto& p : live.prohibitions)
        if (evaluate(p.rule->constraint, e) != Ternary::no) return {Reason::prohibited, p.index, {}};
    Outcome out;
    for (const auto& p : live.permissions) {
        if (evaluate(p.rule->constraint, e) != Ternary::yes) continue;
        if (out.reason != Reason::permitted) out = {Reason::permitted, p.index, {}};
        for (const auto& t : p.rule->transforms) out.transforms.push_back(&t);
    }
    if (out.reason != Reason::permitted) return nearest(live, e);
    const bool transforms =
        std::any_of(out.transforms.begin(), out.transforms.end(), [&](const Transform* t) { return touches(*t, mapping, spans); });
    if (const Reason licence = check_licence(program, e.facts, e.purpose, transforms); licence != Reason::permitted) return {licence, out.rule, {}};
    if (const Reason transfer = check_transfer(program, e.facts); transfer != Reason::permitted) return {transfer, out.rule, {}};
    return out;
}

}  // namespace

Outcome decide_static(const CompiledProgram& program, const Facts& facts, std::span<const Ternary> consent, const event::Mapping& mapping,
                      std::span<const event::Span> spans) {
    // An event that names nobody needs nobody's consent.
    const auto consent_of = [&](std::size_t i) { return facts.names_subject ? consent[i] : Ternary::yes; };
    const auto decide_one = [&](std::size_t i, std::optional<PurposeId> purpose) {
        return decide_purpose(program, program.live[i], {program, facts, purpose, consent_of(i)}, mapping, spans);
    };
    if (program.purposes.empty()) return decide_one(0, std::nullopt);
    Outcome out;
    for (std::size_t i = 0; i < program.purposes.size(); ++i) {
        Outcome one = decide_one(i, program.purposes[i]);
        if (one.reason != Reason::permitted) return one;
        if (i == 0)
            out = std::move(one);
        else
            out.transforms.insert(out.transforms.end(), one.transforms.begin(), one.transforms.end());
    }
    return out;
}

}  // namespace licet::policy
