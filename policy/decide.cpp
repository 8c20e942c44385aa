#include <algorithm>
#include <cstring>
#include <new>
#include <unordered_map>

#include "base/limits.h"
#include "event/json_text.h"
#include "event/sealed.h"
#include "policy/program.h"

namespace licet::policy {
namespace {

struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

// Decisions are memoised by all static inputs: mapping version, era of the event's time, whether a subject is named, the
// attributes, and where rules compare them the moment, the event's time, type and source. What still
// depends on the subject's consent is kept per consent state of the stated purposes.
class ViewDecider final : public Decider {
  public:
    ViewDecider(std::shared_ptr<const CompiledProgram> program, const ConsentIndex& consents, Pseudonymiser& pseudonymiser)
        : program_(std::move(program)),
          vocabulary_(*program_->vocabulary),
          consents_(consents),
          pseudonymiser_(pseudonymiser),
          purposes_(static_cast<std::uint32_t>(program_->purposes.size())),
          marked_(!program_->clock_marks.empty() || !program_->event_time_marks.empty() || !program_->type_marks.empty() ||
                  !program_->source_marks.empty()) {
        std::copy(program_->purposes.begin(), program_->purposes.end(), purpose_.begin());
        plans_.emplace_back();  // plan 0: as is
    }

    Decision decide(const event::StoredEvent& event, UtcMillis now) noexcept override {
        if (event.expiry().value != 0 && event.expiry() <= now) return {Reason::expired};
        const event::Mapping* mapping = mapping_of(event);
        if (mapping == nullptr) return {Reason::mapping_unknown};
        try {
            Entry& entry = find(event, *mapping, now);
            if (!entry.by_consent) return entry.fixed;
            const std::uint32_t state = consent_state(event.subject(), now);
            for (const auto& [known, decision] : entry.states)
                if (known == state) return decision;
            Decision decision = evaluate_once(event, *mapping, now, state);
            decision.consent_probed = true;
            if (entry.states.size() < limits::decision_memo_max_consent_states) entry.states.emplace_back(state, decision);
            return decision;
        } catch (const std::bad_alloc&) {
            return {Reason::error};
        }
    }

    bool redact(const event::StoredEvent& event, const Decision& decision, std::string& out) noexcept override {
        if (!decision.deliver || decision.plan >= plans_.size()) return false;
        const std::size_t start = out.size();
        try {
            if (event.sealed()) return redact_sealed(event, decision, out);
            if (decision.plan == 0) {
                out.append(event.data());
                return true;
            }
            const event::Mapping* mapping = mapping_of(event);
            return mapping != nullptr && apply_plan(plans_[decision.plan], event, *mapping, program_->key_scope, pseudonymiser_, applier_, out);
        } catch (const std::bad_alloc&) {
            out.resize(start);
            return false;
        }
    }

    bool needs_values(const event::StoredEvent& event, const Decision& decision) noexcept override {
        if (!event.sealed() || !decision.deliver || decision.plan >= plans_.size()) return false;
        try {
            if (decision.plan == 0 || event.data_kind() != event::DataKind::json) return true;
            const auto outer = event::outer_values(event, spans_);
            return !outer || !hides_values(plans_[decision.plan], *outer);
        } catch (const std::bad_alloc&) {
            return true;
        }
    }

  private:
    bool redact_sealed(const event::StoredEvent& event, const Decision& decision, std::string& out) {
        const event::Mapping* mapping = program_->mapping(event.mapping_version());
        if (decision.plan == 0 || mapping == nullptr || event.data_kind() != event::DataKind::json) return false;
        const auto outer = event::outer_values(event, spans_);
        const Plan& plan = plans_[decision.plan];
        return outer && hides_values(plan, *outer) && apply_plan(plan, *outer, *mapping, program_->key_scope, pseudonymiser_, applier_, out);
    }

    struct Entry {
        bool by_consent = false;
        Decision fixed;
        std::vector<std::pair<std::uint32_t, Decision>> states;
    };

    const event::Mapping* mapping_of(const event::StoredEvent& event) noexcept {
        if (mapping_ == nullptr || mapping_version_ != event.mapping_version()) {
            mapping_ = program_->mapping(event.mapping_version());
            mapping_version_ = event.mapping_version();
        }
        return mapping_;
    }

    Entry& find(const event::StoredEvent& event, const event::Mapping& mapping, UtcMillis now) {
        key_.resize(9);
        const std::uint32_t version = event.mapping_version(), era = vocabulary_.era(event.time());
        std::memcpy(key_.data(), &version, 4);
        std::memcpy(key_.data() + 4, &era, 4);
        key_[8] = static_cast<char>((event.subject().none() ? 0 : 1) | static_cast<int>(event.data_kind()) << 1);
        if (marked_) {
            add_marks(program_->clock_marks, now);
            add_marks(program_->event_time_marks, event.time());
            add_texts(event);
        }
        key_ += event.static_attributes();
        const auto at = memo_.find(std::string_view(key_));
        if (at != memo_.end()) return at->second;
        Entry entry;
        // All three consent states alike: consent does not matter to these events. Several purposes can mix states, and are always kept apart.
        entry.fixed = evaluate_once(event, mapping, now, all(0));
        entry.by_consent = !event.subject().none() && purposes_ > 1 && program_->uses_consent;
        if (!event.subject().none())
            for (const std::uint32_t state : {1u, 2u}) {
                const Decision other = evaluate_once(event, mapping, now, all(state));
                entry.by_consent =
                    entry.by_consent || other.reason != entry.fixed.reason || other.rule != entry.fixed.rule || other.plan != entry.fixed.plan;
            }
        if (memo_.size() >= limits::decision_memo_max_entries) {
            overflow_ = std::move(entry);
            return overflow_;
        }
        return memo_.emplace(key_, std::move(entry)).first->second;
    }

    void add_marks(const std::vector<UtcMillis>& marks, UtcMillis at) {
        if (marks.empty()) return;
        const std::uint32_t passed = marks_passed(marks, at);
        key_.append(reinterpret_cast<const char*>(&passed), sizeof passed);
    }
    // Of type and source only what is compared with them: sources may be as many as there are devices.
    void add_texts(const event::StoredEvent& event) {
        if (!program_->type_marks.empty()) {
            type_.clear();
            if (!event::unescape_json(type_token(event.envelope()), type_)) type_.clear();
            program_->type_marks.append(type_, key_);
        }
        program_->source_marks.append(event.source(), key_);
    }

    // Two bits per stated purpose (one pair when none is stated): 0 no, 1 yes, 2 unknown.
    [[nodiscard]] std::uint32_t all(std::uint32_t state) const noexcept {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < std::max<std::size_t>(purposes_, 1); ++i) bits |= state << (2 * i);
        return bits;
    }
    [[nodiscard]] std::uint32_t consent_state(const SubjectKey& subject, UtcMillis now) const noexcept {
        if (!consents_.ready() || purposes_ == 0) return all(2);
        const PurposeSet valid = consented_purposes(consents_, subject, program_->entitlement.consent_recipients, now);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < purposes_; ++i) bits |= (valid.has(purpose_[i]) ? 1u : 0u) << (2 * i);
        return bits;
    }

    Decision evaluate_once(const event::StoredEvent& event, const event::Mapping& mapping, UtcMillis now, std::uint32_t state) {
        std::array<Ternary, limits::contract_purposes_max> consent{};
        for (std::size_t i = 0; i < consent.size(); ++i) {
            const std::uint32_t bits = state >> (2 * i) & 3;
            consent[i] = bits == 1 ? Ternary::yes : bits == 0 ? Ternary::no : Ternary::unknown;
        }
        std::vector<event::Span> spans(event.span_count());
        for (std::size_t i = 0; i < spans.size(); ++i) spans[i] = event.span(i);
        const Outcome outcome = decide_static(*program_, facts_of(event, mapping, now), consent, mapping, spans);
        Decision decision{outcome.reason, outcome.reason == Reason::permitted, outcome.rule, 0, false};
        if (!decision.deliver) return decision;
        Plan plan = make_plan(mapping, outcome.transforms);
        const bool data = event.data_kind() != event::DataKind::none;
        if (plan.impossible || (data && !plan.empty() && event.data_kind() != event::DataKind::json))
            return {Reason::transform_failed, false, outcome.rule};
        for (const auto& span : spans)
            if (plan.operation(span) == Plan::kConflict) return {Reason::transform_conflict, false, outcome.rule};
        decision.plan = intern(std::move(plan));
        return decision;
    }

    std::uint16_t intern(Plan plan) {
        if (plan.empty()) return 0;
        for (std::size_t i = 1; i < plans_.size(); ++i)
            if (plans_[i].mapping_version == plan.mapping_version && plans_[i].operations == plan.operations && plans_[i].fields == plan.fields)
                return static_cast<std::uint16_t>(i);
        if (plans_.size() >= 0xffff) throw std::bad_alloc();  // withheld, like any plan that cannot be kept
        plans_.push_back(std::move(plan));
        return static_cast<std::uint16_t>(plans_.size() - 1);
    }

    // Beside each other what every event needs: with thousands of views, each cache line fetched is most of what a decision costs.
    std::shared_ptr<const CompiledProgram> program_;
    const Vocabulary& vocabulary_;
    const ConsentIndex& consents_;
    Pseudonymiser& pseudonymiser_;
    const event::Mapping* mapping_ = nullptr;  // the program's, of the version seen last
    std::uint32_t mapping_version_ = 0;
    const std::uint32_t purposes_;
    std::array<PurposeId, limits::contract_purposes_max> purpose_{};
    const bool marked_;  // rules read the moment, or an event's time, type or source
    std::unordered_map<std::string, Entry, KeyHash, std::equal_to<>> memo_;
    Entry overflow_;
    std::vector<Plan> plans_;
    std::string key_, type_, spans_;
    TransformApplier applier_;
};

}  // namespace

std::unique_ptr<Decider> make_decider(std::shared_ptr<const Program> program, const ConsentIndex& consents, Pseudonymiser& pseudonymiser) {
    return std::make_unique<ViewDecider>(std::static_pointer_cast<const CompiledProgram>(std::move(program)), consents, pseudonymiser);
}

}  // namespace licet::policy
