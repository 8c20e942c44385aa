// Plans and their application: byte splices over the spans recorded at ingest.
#include <algorithm>
#include <array>

#include "policy/program.h"

namespace licet::policy {

std::uint8_t Plan::stricter(std::uint8_t a, std::uint8_t b) const noexcept {
    if (a == kKeep || a == b) return b;
    if (b == kKeep) return a;
    if (a == kConflict || b == kConflict) return kConflict;
    const Transform &x = operations[a], &y = operations[b];
    if (strictness(x.kind) != strictness(y.kind)) return strictness(x.kind) > strictness(y.kind) ? a : b;
    return same_effect(x, y) ? a : kConflict;
}

Plan make_plan(const event::Mapping& mapping, std::span<const Transform* const> transforms) {
    Plan plan;
    plan.mapping_version = mapping.version;
    Plan::Operations keep;
    keep.fill(Plan::kKeep);
    plan.fields.assign(mapping.fields.size(), keep);
    plan.parts = plan.fields;
    // Strictest first: a conflict among weaker ones then never hides a stricter one, whatever the order of the rules.
    std::vector<const Transform*> ordered(transforms.begin(), transforms.end());
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const Transform* a, const Transform* b) { return strictness(a->kind) > strictness(b->kind); });
    const auto add = [&](std::uint8_t& to, std::uint8_t index) {
        // A conflict among stricter ones stays; one of weaker ones was never made.
        if (to != Plan::kConflict) to = plan.stricter(to, index);
    };
    for (const Transform* t : ordered) {
        if (t->kind == TransformKind::keep) continue;  // clear is what a value is when nothing is done to it
        if (std::any_of(plan.operations.begin(), plan.operations.end(), [&](const Transform& o) { return o == *t; })) continue;
        if (t->by_pointer && !mapping.field(t->pointer)) plan.impossible = true;
        const auto index = static_cast<std::uint8_t>(plan.operations.size());
        if (index >= Plan::kConflict) {
            plan.impossible = true;
            continue;
        }
        plan.operations.push_back(*t);
        for (std::size_t f = 0; f < mapping.fields.size(); ++f) {
            // Only by info type does it matter what was recognised.
            if (t->info_type == event::InfoType::none && !selects(*t, mapping.fields[f], event::InfoType::none, false)) continue;
            for (std::size_t type = 0; type < Plan::kTypes; ++type) {
                if (selects(*t, mapping.fields[f], static_cast<event::InfoType>(type), false)) add(plan.fields[f][type], index);
                if (selects(*t, mapping.fields[f], static_cast<event::InfoType>(type), true)) add(plan.parts[f][type], index);
            }
        }
    }
    return plan;
}

namespace {

// One application of a plan to one event.
class Splice {
  public:
    Splice(const Plan& plan, const event::StoredEvent& event, const event::Mapping& mapping, const TransformContext& with, TransformApplier& applier,
           std::string& out)
        : plan_(plan), event_(event), mapping_(mapping), with_(with), applier_(applier), out_(out), data_(event.data()) {}

    bool run() {
        for (std::size_t i = 0; i < event_.span_count();) {
            const event::Span span = event_.span(i);
            if (span.value_begin < at_) {  // inside what is already replaced
                ++i;
                continue;
            }
            const bool part = span.value_kind == event::ValueKind::part;
            if (!(part ? parts(span, i) : whole(span, i))) return false;
        }
        out_.append(data_.substr(at_));
        return true;
    }

  private:
    // The value at span `i`, which several fields may cover: the strictest of what they say. Sets `i` past its spans.
    bool whole(event::Span span, std::size_t& i) {
        std::uint8_t op = Plan::kKeep;
        event::InfoType type = event::InfoType::none;
        for (; i < event_.span_count(); ++i) {
            const event::Span other = event_.span(i);
            if (other.value_begin != span.value_begin || other.value_end != span.value_end || other.value_kind != span.value_kind) break;
            const std::uint8_t mine = plan_.operation(other);
            const std::uint8_t both = plan_.stricter(op, mine);
            if (both != op) {
                type = other.detected != event::InfoType::none ? other.detected : mapping_.fields[other.field].info_type;
                op = both;
            }
            if (op == Plan::kConflict) return false;
            span.member_begin = std::min(span.member_begin, other.member_begin);
        }
        if (op == Plan::kKeep) return true;
        const Transform& t = plan_.operations[op];
        if (!TransformApplier::hides_all(t) && transforms_within(span, i)) return false;
        const bool remove = t.kind == TransformKind::redact && span.member_begin != span.value_begin;
        out_.append(data_.substr(at_, (remove ? span.member_begin : span.value_begin) - at_));
        at_ = span.value_end;
        if (!remove) return applier_.value(t, span.value_kind, data_.substr(span.value_begin, at_ - span.value_begin), type, with_, out_);
        // One comma goes along: the one before, else the one after.
        if (out_.back() == ',')
            out_.pop_back();
        else if (at_ < data_.size() && data_[at_] == ',')
            ++at_;
        return true;
    }

    // Whether something inside the value is to be transformed by itself: then a transform that lets part of the value be seen is not enough.
    [[nodiscard]] bool transforms_within(const event::Span& span, std::size_t from) const {
        for (; from < event_.span_count(); ++from) {
            const event::Span inner = event_.span(from);
            if (inner.value_begin >= span.value_end) return false;
            if (plan_.operation(inner) != Plan::kKeep) return true;
        }
        return false;
    }

    // The part of a text at span `i`, with the parts it overlaps: all of them as one, by the strictest. Sets `i` past its span.
    bool parts(const event::Span& span, std::size_t& i) {
        std::uint8_t op = plan_.operation(span);
        ++i;
        if (op == Plan::kKeep) return true;
        event::InfoType type = span.detected;
        std::uint32_t end = span.value_end;
        for (std::size_t k = i; k < event_.span_count() && op != Plan::kConflict; ++k) {
            const event::Span other = event_.span(k);
            if (other.value_begin >= end) break;
            const std::uint8_t mine = plan_.operation(other);
            if (mine == Plan::kKeep) continue;
            if (other.value_kind != event::ValueKind::part) return false;
            const std::uint8_t both = plan_.stricter(op, mine);
            if (both != op) type = other.detected;
            op = both;
            end = std::max(end, other.value_end);
        }
        if (op == Plan::kConflict) return false;
        out_.append(data_.substr(at_, span.value_begin - at_));
        at_ = end;
        return applier_.part(plan_.operations[op], data_.substr(span.value_begin, end - span.value_begin), type, with_, out_);
    }

    const Plan& plan_;
    const event::StoredEvent& event_;
    const event::Mapping& mapping_;
    const TransformContext& with_;
    TransformApplier& applier_;
    std::string& out_;
    const std::string_view data_;
    std::size_t at_ = 0;  // up to here the data is written
};

}  // namespace

bool hides_values(const Plan& plan, const event::StoredEvent& outer) noexcept {
    for (std::size_t i = 0; i < outer.span_count();) {
        const event::Span span = outer.span(i);
        std::uint8_t op = Plan::kKeep;
        for (; i < outer.span_count() && outer.span(i).value_begin == span.value_begin; ++i) op = plan.stricter(op, plan.operation(outer.span(i)));
        // Of a conflict nothing is delivered at all.
        if (op == Plan::kKeep || (op != Plan::kConflict && strictness(plan.operations[op].kind) <= kHashStrictness)) return false;
    }
    return true;
}

bool apply_plan(const Plan& plan, const event::StoredEvent& event, const event::Mapping& mapping, std::string_view key_scope,
                Pseudonymiser& pseudonymiser, TransformApplier& applier, std::string& out) {
    if (plan.empty() || event.data_kind() == event::DataKind::none) {
        out.append(event.data());
        return true;
    }
    if (plan.impossible || event.data_kind() != event::DataKind::json || plan.mapping_version != event.mapping_version()) return false;
    const std::size_t start = out.size();
    const TransformContext with{key_scope, pseudonymiser, event.subject()};
    if (Splice(plan, event, mapping, with, applier, out).run()) return true;
    out.resize(start);
    return false;
}

}  // namespace licet::policy
