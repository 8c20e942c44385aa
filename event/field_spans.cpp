#include "event/field_spans.h"

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "event/info_type_finder.h"
#include "event/json_scan.h"
#include "event/json_text.h"

namespace licet::event {
namespace {

class FieldSpans {
  public:
    FieldSpans(const Mapping& mapping, std::string_view json, std::vector<Span>& out) : mapping_(mapping), json_(json), out_(out) {}

    Status append(std::span<const FoundValue> found, std::size_t first_target) {
        const std::size_t first = out_.size();
        for (const FoundValue& f : found) {
            if (f.target < first_target) continue;
            const auto& field = mapping_.fields[f.target - first_target];
            const Span span{
                static_cast<std::uint16_t>(f.target - first_target), f.kind, detect(f, field), f.member_begin, f.value_begin, f.value_end};
            out_.push_back(span);
            if (field.scan) scan_value(span);
            if (out_.size() - first > limits::governed_spans_max)
                return Error{Errc::invalid_event, "more than " + std::to_string(limits::governed_spans_max) + " governed values", ""};
        }
        // Only what was found inside containers can be out of order.
        const auto before = [](const Span& a, const Span& b) {
            return a.value_begin != b.value_begin ? a.value_begin < b.value_begin : a.value_end > b.value_end;
        };
        const auto begin = out_.begin() + static_cast<std::ptrdiff_t>(first);
        if (!std::is_sorted(begin, out_.end(), before)) std::stable_sort(begin, out_.end(), before);
        return success();
    }

  private:
    InfoType detect(const FoundValue& f, const GovernedField& field) {
        const auto token = json_.substr(f.value_begin, f.value_end - f.value_begin);
        if (f.kind == ValueKind::string && detectable(field.info_type) && unescape_json(token, text_) && is_of_type(text_, field.info_type))
            return field.info_type;
        return field.scan && f.kind == ValueKind::number && card_number(token) ? InfoType::credit_card_number : InfoType::none;
    }

    bool card_number(std::string_view token) {
        findings_.clear();
        find_info_types(token, findings_);
        return std::find(findings_.begin(), findings_.end(), InfoFinding{InfoType::credit_card_number, 0, token.size()}) != findings_.end();
    }

    // Every string within, keys included, and every number that is a card's.
    void scan_value(const Span& whole) {
        if (whole.value_kind == ValueKind::string) return scan_string(whole.field, whole.value_begin, whole.value_end);
        if (whole.value_kind != ValueKind::object && whole.value_kind != ValueKind::array) return;
        for (std::size_t at = whole.value_begin; at < whole.value_end && out_.size() <= limits::governed_spans_max;) {
            if (json_[at] == '"') {
                const std::size_t end = scan::string_end(json_, at);
                scan_string(whole.field, at, end);
                at = end;
            } else if (json_[at] == '-' || (json_[at] >= '0' && json_[at] <= '9')) {
                const std::size_t end = scan::scalar_end(json_, at);
                if (card_number(json_.substr(at, end - at))) push(whole.field, ValueKind::number, InfoType::credit_card_number, at, end);
                at = end;
            } else {
                ++at;
            }
        }
    }

    void scan_string(std::uint16_t field, std::size_t begin, std::size_t end) {
        if (end - begin < 6) return;  // nothing that could be found is shorter than "::1" in quotes
        if (!unescape_json(json_.substr(begin, end - begin), text_, positions_)) return;
        findings_.clear();
        find_info_types(text_, findings_);
        for (const auto& f : findings_) {
            if (out_.size() > limits::governed_spans_max) return;
            push(field, ValueKind::part, f.type, begin + positions_[f.begin], begin + positions_[f.end]);
        }
    }

    void push(std::uint16_t field, ValueKind kind, InfoType type, std::size_t begin, std::size_t end) {
        out_.push_back({field, kind, type, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    }

    const Mapping& mapping_;
    const std::string_view json_;
    std::vector<Span>& out_;
    std::string text_;
    std::vector<std::uint32_t> positions_;
    std::vector<InfoFinding> findings_;
};

}  // namespace

Status append_field_spans(const Mapping& mapping, std::string_view json, std::span<const FoundValue> found, std::size_t first_target,
                          std::vector<Span>& out) {
    return FieldSpans(mapping, json, out).append(found, first_target);
}

}  // namespace licet::event
