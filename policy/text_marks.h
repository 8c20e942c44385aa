// Comparisons with an event's type and source: one of them, and what all comparisons of a program see of a text, at a cost that does not grow with
// their number. Private to policy/ and its tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "policy/document_model.h"

namespace licet::policy {

// A comparison with the event's type or source; unknown when there is none.
[[nodiscard]] Ternary evaluate_text(const Constraint& leaf, std::string_view value) noexcept;

// The texts that types, or sources, are compared with.
class TextMarks {
  public:
    void add(const Constraint& leaf);  // of one left operand only
    [[nodiscard]] bool empty() const noexcept { return marks_.empty(); }
    // Appends which of them `value` is, or is part of: equal bytes, equal answers of every comparison. Nothing when there are none.
    void append(std::string_view value, std::string& key) const;

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
    };
    LeftOperand left_{};
    std::size_t longest_ = 0;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> marks_;
};

}  // namespace licet::policy
