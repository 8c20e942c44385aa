// What an entitlement compiles to, and the evaluation that decisions and explanations share. Private to policy/ and its tests.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/document_model.h"
#include "policy/engine.h"
#include "policy/text_marks.h"
#include "policy/transform_apply.h"

namespace licet::policy {

struct CompiledRule {
    const Rule* rule;     // in one of CompiledProgram::documents
    std::uint16_t index;  // into Program::rules()
};

// The rules that can matter for one stated purpose, in the order of Program::rules(): those whose constraint is false whatever the event, for the
// purpose or the recipient is another, are left out.
struct LiveRules {
    std::vector<CompiledRule> prohibitions, permissions;
    std::vector<CompiledRule> telling;  // permissions that may give the reason when none applies
};

class CompiledProgram final : public Program {
  public:
    const std::string& view_key() const noexcept override { return view_key_; }
    std::span<const RuleRef> rules() const noexcept override { return refs_; }
    UtcMillis holds_until(UtcMillis now) const noexcept override;

    Entitlement entitlement;
    std::string key_scope;            // "contract/<name>" or "shared/<name>"
    std::vector<PurposeId> purposes;  // stated
    bool uses_consent = false;        // some rule asks for consent
    std::vector<std::shared_ptr<const PolicyDocument>> documents;
    std::vector<CompiledRule> permissions, prohibitions;  // matching target, assignee and action
    std::vector<LiveRules> live;                          // of each stated purpose; of none stated: one
    // What else of an event, and of the moment, some rule's constraints read: equal answers to these, equal decisions.
    std::vector<UtcMillis> clock_marks, event_time_marks;  // where a comparison with the moment, or the event's time, changes; sorted
    TextMarks type_marks, source_marks;                    // what the event's type and source are compared with
    std::vector<std::shared_ptr<const event::Mapping>> mappings;
    std::shared_ptr<const Vocabulary> vocabulary;
    std::vector<RuleRef> refs_;
    std::string view_key_;

    [[nodiscard]] const event::Mapping* mapping(std::uint32_t version) const noexcept;
};
// Whether a rule is about this contract: target, assignee and action. A permission covers the action asked for when that is included in its own; a
// prohibition also hits what it is a part of.
[[nodiscard]] bool rule_matches(const Rule& rule, const Entitlement& entitlement, ActionId asked);
[[nodiscard]] bool action_matches(const Rule& rule, ActionId asked);
// How many marks have passed.
[[nodiscard]] std::uint32_t marks_passed(const std::vector<UtcMillis>& marks, UtcMillis at) noexcept;

// The facts of one event that a static decision reads.
struct Facts {
    std::string_view license, jurisdiction, classification, categories;
    std::vector<std::string_view> field_categories;  // of the governed fields present
    UtcMillis time;
    bool names_subject = false;
    std::string type;
    std::string_view source;
    UtcMillis now;
};
[[nodiscard]] Facts facts_of(const event::StoredEvent& event, const event::Mapping& mapping, UtcMillis now);
// The CloudEvents type as it stands in the envelope: the JSON string token; empty when there is none.
[[nodiscard]] std::string_view type_token(std::string_view envelope) noexcept;

// Kleene logic: unknown and false = false, unknown or true = true.
[[nodiscard]] Ternary kleene_and(Ternary a, Ternary b) noexcept;
[[nodiscard]] Ternary kleene_or(Ternary a, Ternary b) noexcept;
[[nodiscard]] Ternary kleene_not(Ternary a) noexcept;

struct Evaluation {
    const CompiledProgram& program;
    const Facts& facts;
    std::optional<PurposeId> purpose;  // the stated purpose under evaluation; none stated: unknown
    Ternary consent = Ternary::unknown;
};
[[nodiscard]] Ternary evaluate(const Constraint& constraint, const Evaluation& with);
// What is settled before any event: policy/live_rules.cpp.
[[nodiscard]] LiveRules find_live_rules(const CompiledProgram& program, std::optional<PurposeId> purpose);
// The first leaf (in document order) that keeps the constraint from being true; null when it is true.
[[nodiscard]] const Constraint* first_failing(const Constraint& constraint, const Evaluation& with);

// Licence check: permitted, licence_forbids or licence_unknown. `transforms`: whether the data would be changed.
[[nodiscard]] Reason check_licence(const CompiledProgram& program, const Facts& facts, std::optional<PurposeId> purpose, bool transforms);
// Transfer check: permitted, transfer_not_permitted or jurisdiction_unknown. `basis` names what carried or failed it.
[[nodiscard]] Reason check_transfer(const CompiledProgram& program, const Facts& facts, std::string_view* basis = nullptr);

// What to do with each governed field: one operation per field and detected info type.
struct Plan {
    static constexpr std::size_t kTypes = 12;
    static constexpr std::uint8_t kKeep = 0xff, kConflict = 0xfe;
    std::uint32_t mapping_version = 0;
    using Operations = std::array<std::uint8_t, kTypes>;  // per detected type: index into operations, kKeep or kConflict
    std::vector<Operations> fields, parts;                // of whole values, and of parts of scanned text
    std::vector<Transform> operations;
    bool impossible = false;  // a transform names a field this mapping version does not record
    [[nodiscard]] bool empty() const noexcept { return operations.empty() && !impossible; }
    // What to do with a span; kConflict also for one that no field of this mapping version records.
    [[nodiscard]] std::uint8_t operation(const event::Span& span) const noexcept {
        const auto& table = span.value_kind == event::ValueKind::part ? parts : fields;
        const auto type = static_cast<std::size_t>(span.detected);
        return span.field < table.size() && type < kTypes ? table[span.field][type] : kConflict;
    }
    // The stricter of two of the values above; kConflict when neither is.
    [[nodiscard]] std::uint8_t stricter(std::uint8_t a, std::uint8_t b) const noexcept;
};
[[nodiscard]] Plan make_plan(const event::Mapping& mapping, std::span<const Transform* const> transforms);

// One static decision: everything but expiry and the subject's consent, which is given per stated purpose.
struct Outcome {
    Reason reason = Reason::error;
    std::uint16_t rule = Decision::kNoRule;
    std::vector<const Transform*> transforms;  // of all applying permissions; empty when withheld
};
[[nodiscard]] Outcome decide_static(const CompiledProgram& program, const Facts& facts, std::span<const Ternary> consent,
                                    const event::Mapping& mapping, std::span<const event::Span> spans);

// Applies a plan; false when something cannot be applied with certainty, `out` is then as before.
[[nodiscard]] bool apply_plan(const Plan& plan, const event::StoredEvent& event, const event::Mapping& mapping, std::string_view key_scope,
                              Pseudonymiser& pseudonymiser, TransformApplier& applier, std::string& out);

// Whether the plan drops or replaces every sealed value without looking at it. `outer`: event::outer_values.
[[nodiscard]] bool hides_values(const Plan& plan, const event::StoredEvent& outer) noexcept;

}  // namespace licet::policy
