#include "policy/text_marks.h"

#include <algorithm>

namespace licet::policy {
namespace {

// Types are parted by dots, sources as URIs are; a source's host and port are never cut.
bool is_part_of(LeftOperand left, std::string_view part, std::string_view whole) noexcept {
    if (!part.starts_with(whole)) return false;
    if (part.size() == whole.size()) return true;
    const char next = part[whole.size()], last = whole.back();
    if (left == LeftOperand::event_type) return next == '.';
    if (whole.starts_with("urn:")) return next == ':' || last == ':';
    return next == '/' || next == '?' || next == '#' || last == '/';
}

constexpr bool parts(char c) { return c == '.' || c == ':' || c == '/' || c == '?' || c == '#'; }

void append_number(std::uint32_t number, std::string& key) { key.append(reinterpret_cast<const char*>(&number), sizeof number); }

}  // namespace

Ternary evaluate_text(const Constraint& c, std::string_view value) noexcept {
    if (value.empty()) return Ternary::unknown;
    const bool any = std::any_of(c.right.begin(), c.right.end(),
                                 [&](const std::string& r) { return c.op == Operator::is_part_of ? is_part_of(c.left, value, r) : r == value; });
    const bool negated = c.op == Operator::neq || c.op == Operator::is_none_of;
    return any != negated ? Ternary::yes : Ternary::no;
}

void TextMarks::add(const Constraint& leaf) {
    left_ = leaf.left;
    for (const std::string& text : leaf.right) {
        marks_.try_emplace(text, static_cast<std::uint32_t>(marks_.size()));
        longest_ = std::max(longest_, text.size());
    }
}

void TextMarks::append(std::string_view value, std::string& key) const {
    constexpr std::uint32_t kWhole = 0x8000'0000u, kEnd = 0xffff'ffffu, kNone = 0xffff'fffeu;
    if (marks_.empty()) return;
    if (value.empty()) return append_number(kNone, key);
    for (std::size_t size = 1; size <= std::min(value.size(), longest_); ++size) {
        const bool whole = size == value.size();
        if (!whole && !parts(value[size]) && !parts(value[size - 1])) continue;
        const std::string_view text = value.substr(0, size);
        if (const auto at = marks_.find(text); at != marks_.end() && (whole || is_part_of(left_, value, text)))
            append_number(whole ? at->second | kWhole : at->second, key);
    }
    append_number(kEnd, key);
}

}  // namespace licet::policy
