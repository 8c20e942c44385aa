#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "policy/concerns.h"
#include "policy/program.h"

namespace licet::policy {
namespace {

bool reads(const Constraint& c, LeftOperand operand) {
    if (c.kind == Constraint::Kind::leaf) return c.left == operand;
    return std::any_of(c.children.begin(), c.children.end(), [&](const Constraint& child) { return reads(child, operand); });
}

void add(std::string& key, std::string_view part) {
    key += std::to_string(part.size());
    key += ':';
    key += part;
}

// Everything decisions and redactions depend on, and the recipient's own name only where a rule or a key scope needs it.
std::string view_key(const CompiledProgram& p) {
    std::string key;
    const Entitlement& e = p.entitlement;
    add(key, e.product);
    add(key, e.action);
    add(key, e.recipient_country);
    for (const auto* list : {&e.transfer_tools, &e.adequacy_schemes}) {
        auto sorted = *list;
        std::sort(sorted.begin(), sorted.end());
        add(key, std::to_string(sorted.size()));
        for (const auto& item : sorted) add(key, item);
    }
    add(key, std::to_string(p.purposes.size()));
    for (const auto purpose : p.purposes) add(key, p.vocabulary->purpose_name(purpose));
    bool party = false, hash = false;
    for (const auto* rules : {&p.prohibitions, &p.permissions}) {
        for (const auto& r : *rules) {
            const auto& ref = p.refs_[r.index];
            add(key, ref.policy);
            add(key, std::to_string(ref.policy_version));
            add(key, ref.rule);
            party = party || reads(r.rule->constraint, LeftOperand::recipient);
            hash = hash || std::any_of(r.rule->transforms.begin(), r.rule->transforms.end(), [](const Transform& t) { return keyed(t.kind); });
        }
    }
    add(key, hash ? std::string_view(p.key_scope) : std::string_view{});
    add(key, party ? std::string_view(e.party) : std::string_view{});
    if (party)
        for (const auto& c : e.party_collections) add(key, c);
    // Consents may tell these recipients apart.
    add(key, std::to_string(p.uses_consent ? e.consent_recipients.size() : 0));
    if (p.uses_consent)
        for (const RecipientNo recipient : e.consent_recipients) add(key, std::to_string(recipient));
    add(key, std::to_string(p.mappings.size()));
    add(key, std::to_string(p.vocabulary->licence_revision()));
    return key;
}

// Everything beside the static attributes that the constraints read.
void collect(const Constraint& c, CompiledProgram& into) {
    for (const auto& child : c.children) collect(child, into);
    if (c.kind != Constraint::Kind::leaf) return;
    if (c.left == LeftOperand::event_type) into.type_marks.add(c);
    if (c.left == LeftOperand::event_source) into.source_marks.add(c);
    if (c.left != LeftOperand::event_time && c.left != LeftOperand::date_time) return;
    auto& marks = c.left == LeftOperand::date_time ? into.clock_marks : into.event_time_marks;
    for (const Moment& m : c.moments) marks.insert(marks.end(), {m.begin, m.end});
}
void collect(CompiledProgram& program) {
    for (const auto& live : program.live)
        for (const auto* rules : {&live.prohibitions, &live.permissions, &live.telling})
            for (const auto& r : *rules) collect(r.rule->constraint, program);
    for (auto* marks : {&program.clock_marks, &program.event_time_marks}) {
        std::sort(marks->begin(), marks->end());
        marks->erase(std::unique(marks->begin(), marks->end()), marks->end());
    }
}

Error bad(std::string pointer, std::string what) { return {Errc::invalid_document, std::move(what), std::move(pointer)}; }

}  // namespace

bool action_matches(const Rule& rule, ActionId asked) {
    return std::any_of(rule.actions.begin(), rule.actions.end(),
                       [&](ActionId a) { return included_in(asked, a) || (rule.prohibition && included_in(a, asked)); });
}

bool rule_matches(const Rule& rule, const Entitlement& e, ActionId asked) {
    const auto in = [](const auto& list, const auto& item) { return std::find(list.begin(), list.end(), item) != list.end(); };
    if (!rule.targets.empty() && !in(rule.targets, e.product)) return false;
    if (!rule.assignee_parties.empty() || !rule.assignee_collections.empty()) {
        const bool member = std::any_of(rule.assignee_collections.begin(), rule.assignee_collections.end(),
                                        [&](const std::string& c) { return in(e.party_collections, c); });
        if (!member && !in(rule.assignee_parties, e.party)) return false;
    }
    return action_matches(rule, asked);
}

std::uint32_t marks_passed(const std::vector<UtcMillis>& marks, UtcMillis at) noexcept {
    return static_cast<std::uint32_t>(std::upper_bound(marks.begin(), marks.end(), at) - marks.begin());
}

UtcMillis CompiledProgram::holds_until(UtcMillis now) const noexcept {
    const auto next = std::upper_bound(clock_marks.begin(), clock_marks.end(), now);
    return next == clock_marks.end() ? UtcMillis{} : *next;
}

const event::Mapping* CompiledProgram::mapping(std::uint32_t version) const noexcept {
    const auto at = std::find_if(mappings.begin(), mappings.end(), [&](const auto& m) { return m->version == version; });
    return at == mappings.end() ? nullptr : at->get();
}

bool concerns(const PolicyVersion& policy, const Entitlement& entitlement) {
    const auto asked = entitlement.action.empty() ? delivery_action() : find_action(entitlement.action);
    if (!asked) return true;
    const auto& rules = policy.document->rules;
    return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule_matches(rule, entitlement, *asked); });
}

Result<std::shared_ptr<const Program>> compile(const Entitlement& entitlement, std::span<const PolicyVersion> policies,
                                               std::span<const std::shared_ptr<const event::Mapping>> mappings,
                                               std::shared_ptr<const Vocabulary> vocabulary) {
    auto out = std::make_shared<CompiledProgram>();
    out->entitlement = entitlement;
    out->vocabulary = std::move(vocabulary);
    out->mappings.assign(mappings.begin(), mappings.end());
    const bool own_scope = entitlement.pseudonym_scope.empty() || entitlement.pseudonym_scope == "contract";
    out->key_scope = own_scope ? "contract/" + entitlement.contract : "shared/" + entitlement.pseudonym_scope;

    if (entitlement.purposes.size() > limits::contract_purposes_max)
        return bad("/purposes", "more than " + std::to_string(limits::contract_purposes_max) + " purposes");
    for (std::size_t i = 0; i < entitlement.purposes.size(); ++i) {
        const auto purpose = out->vocabulary->purpose(entitlement.purposes[i]);
        if (!purpose) return bad("/purposes/" + std::to_string(i), "expected a DPV purpose, dpv:...");
        if (std::find(out->purposes.begin(), out->purposes.end(), *purpose) == out->purposes.end()) out->purposes.push_back(*purpose);
    }
    std::sort(out->purposes.begin(), out->purposes.end());
    for (std::size_t i = 0; i < entitlement.transfer_tools.size(); ++i)
        if (!out->vocabulary->is_transfer_tool(entitlement.transfer_tools[i]))
            return bad("/transferTools/" + std::to_string(i), "expected a GDPR Art. 46 tool, eu-gdpr:A46-...");

    const auto asked = entitlement.action.empty() ? delivery_action() : find_action(entitlement.action);
    if (!asked) return bad("/action", "expected an ODRL action");
    for (const auto& policy : policies) {
        const std::size_t before = out->refs_.size();
        for (const Rule& rule : policy.document->rules) {
            if (!rule_matches(rule, entitlement, *asked)) continue;
            for (const Transform& t : rule.transforms) {
                const bool governed =
                    !t.by_pointer || std::any_of(mappings.begin(), mappings.end(), [&](const auto& m) { return m->field(t.pointer).has_value(); });
                if (!governed)
                    return bad("/licet:pointer", "rule " + rule.uid + " of policy " + policy.name + " transforms " + t.pointer +
                                                     ", which no mapping of " + entitlement.product + " governs");
            }
            if (out->refs_.size() >= Decision::kNoRule) return bad("", "too many rules apply to one contract");
            const auto index = static_cast<std::uint16_t>(out->refs_.size());
            out->refs_.push_back({policy.name, policy.version, rule.uid});
            out->uses_consent = out->uses_consent || reads(rule.constraint, LeftOperand::consent);
            (rule.prohibition ? out->prohibitions : out->permissions).push_back({&rule, index});
        }
        if (out->refs_.size() > before) out->documents.push_back(policy.document);
    }
    for (const PurposeId purpose : out->purposes) out->live.push_back(find_live_rules(*out, purpose));
    if (out->purposes.empty()) out->live.push_back(find_live_rules(*out, std::nullopt));
    collect(*out);
    out->view_key_ = view_key(*out);
    return std::shared_ptr<const Program>(std::move(out));
}

}  // namespace licet::policy
