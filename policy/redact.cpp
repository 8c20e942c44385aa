// Plans and their application: byte splices over the spans recorded at ingest.
#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "event/json_text.h"
#include "policy/program.h"

namespace licet::policy {
namespace {

// The stricter of two operations on one value; kConflict when neither is.
std::uint8_t stricter(const Plan& plan, std::uint8_t a, std::uint8_t b) {
    if (a == Plan::kKeep || a == b) return b;
    if (a == Plan::kConflict) return a;
    const Transform &x = plan.operations[a], &y = plan.operations[b];
    if (strictness(x.kind) != strictness(y.kind)) return strictness(x.kind) > strictness(y.kind) ? a : b;
    const bool same = x.kind == y.kind && x.replacement == y.replacement && x.masking_character == y.masking_character &&
                      x.number_to_mask == y.number_to_mask && x.reverse_order == y.reverse_order && x.characters_to_skip == y.characters_to_skip;
    return same ? a : Plan::kConflict;
}

bool mask(const Transform& t, std::string_view token, std::string& scratch, std::string& out) {
    std::string text;
    if (!event::unescape_json(token, text)) return false;
    std::vector<std::string_view> points;
    for (std::string_view rest = text; !rest.empty();) {
        const auto size = event::code_point_size(rest);
        if (size == 0) return false;
        points.push_back(rest.substr(0, size));
        rest.remove_prefix(size);
    }
    std::size_t left = t.number_to_mask == 0 ? points.size() : t.number_to_mask;
    std::vector<bool> masked(points.size());
    for (std::size_t i = 0; i < points.size() && left > 0; ++i) {
        const std::size_t at = t.reverse_order ? points.size() - 1 - i : i;
        if (t.characters_to_skip.find(points[at]) != std::string::npos) continue;
        masked[at] = true;
        --left;
    }
    scratch.clear();
    for (std::size_t i = 0; i < points.size(); ++i) scratch += masked[i] ? std::string_view(t.masking_character) : points[i];
    event::append_json_string(scratch, out);
    return true;
}

bool crypto_hash(const event::Span& span, std::string_view token, std::string_view key_scope, Pseudonymiser& pseudonymiser, std::string& scratch,
                 std::string& out) {
    std::string_view value = token;
    if (span.value_kind == event::ValueKind::string) {
        // Most values carry no escape: their bytes are between the quotes.
        if (token.find('\\') == std::string_view::npos) {
            value = token.substr(1, token.size() - 2);
        } else {
            if (!event::unescape_json(token, scratch)) return false;
            value = scratch;
        }
    }
    std::array<std::uint8_t, 32> digest;
    if (!pseudonymiser.hash(key_scope, value, digest)) return false;
    std::array<char, 43> text;
    base64url_to(digest, text.data());
    out += '"';
    out.append(text.data(), text.size());
    out += '"';
    return true;
}

}  // namespace

Plan make_plan(const event::Mapping& mapping, std::span<const Transform* const> transforms) {
    Plan plan;
    plan.mapping_version = mapping.version;
    std::array<std::uint8_t, Plan::kTypes> keep;
    keep.fill(Plan::kKeep);
    plan.fields.assign(mapping.fields.size(), keep);
    // Strictest first: a conflict among weaker ones then never hides a stricter one, whatever the order of the rules.
    std::vector<const Transform*> ordered(transforms.begin(), transforms.end());
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const Transform* a, const Transform* b) { return strictness(a->kind) > strictness(b->kind); });
    for (const Transform* t : ordered) {
        if (std::any_of(plan.operations.begin(), plan.operations.end(), [&](const Transform& o) { return o == *t; })) continue;
        if (t->by_pointer && !mapping.field(t->pointer)) plan.impossible = true;
        const auto index = static_cast<std::uint8_t>(plan.operations.size());
        if (index >= Plan::kConflict) {
            plan.impossible = true;
            continue;
        }
        plan.operations.push_back(*t);
        for (std::size_t f = 0; f < mapping.fields.size(); ++f) {
            const auto& field = mapping.fields[f];
            const bool selected = t->by_pointer          ? field.pointer == t->pointer
                                  : !t->category.empty() ? field.category == t->category
                                                         : field.info_type == t->info_type;
            if (!selected) continue;
            const bool by_detection = t->info_type != event::InfoType::none && event::detectable(t->info_type);
            for (std::size_t type = 0; type < Plan::kTypes; ++type)
                if (!by_detection || type == static_cast<std::size_t>(t->info_type))
                    plan.fields[f][type] = stricter(plan, plan.fields[f][type], index);
        }
    }
    return plan;
}

bool apply_plan(const Plan& plan, const event::StoredEvent& event, const event::Mapping& mapping, std::string_view key_scope,
                Pseudonymiser& pseudonymiser, std::string& scratch, std::string& out) {
    const std::string_view data = event.data();
    if (plan.empty() || event.data_kind() == event::DataKind::none) {
        out.append(data);
        return true;
    }
    if (plan.impossible || event.data_kind() != event::DataKind::json || plan.mapping_version != event.mapping_version()) return false;
    const std::size_t start = out.size();
    std::size_t at = 0;
    for (std::size_t i = 0; i < event.span_count(); ++i) {
        const event::Span span = event.span(i);
        if (span.value_begin < at) continue;  // inside a value already replaced
        if (span.field >= plan.fields.size() || static_cast<std::size_t>(span.detected) >= Plan::kTypes) return out.resize(start), false;
        const std::uint8_t op = plan.fields[span.field][static_cast<std::size_t>(span.detected)];
        if (op == Plan::kKeep) continue;
        if (op == Plan::kConflict) return out.resize(start), false;
        const Transform& t = plan.operations[op];
        const std::string_view token = data.substr(span.value_begin, span.value_end - span.value_begin);
        const bool member = span.member_begin != span.value_begin;
        const bool remove = t.kind == TransformKind::redact && member;
        out.append(data.substr(at, (remove ? span.member_begin : span.value_begin) - at));
        at = span.value_end;
        bool done = true;
        switch (t.kind) {
            case TransformKind::redact:
                if (!remove)
                    out += "null";
                else if (out.back() == ',')
                    out.pop_back();
                else if (at < data.size() && data[at] == ',')
                    ++at;
                break;
            case TransformKind::null:
                out += "null";
                break;
            case TransformKind::replace:
                out += t.replacement;
                break;
            case TransformKind::replace_with_info_type: {
                const auto type = span.detected != event::InfoType::none ? span.detected : mapping.fields[span.field].info_type;
                done = type != event::InfoType::none;
                out += "\"[";
                out += event::info_type_name(type);
                out += "]\"";
                break;
            }
            case TransformKind::character_mask:
                done = span.value_kind == event::ValueKind::string && mask(t, token, scratch, out);
                break;
            case TransformKind::crypto_hash:
                done = crypto_hash(span, token, key_scope, pseudonymiser, scratch, out);
                break;
        }
        if (!done) return out.resize(start), false;
    }
    out.append(data.substr(at));
    return true;
}

}  // namespace licet::policy
