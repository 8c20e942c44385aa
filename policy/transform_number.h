// Numbers as JSON text writes them, compared and rounded exactly whatever their size: never a double. Used by the transforms that generalise numbers.
// Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet::policy {

// value = 0.digits x 10^exponent; digits neither begin nor end with a zero; none: zero.
struct Decimal {
    bool negative = false;
    std::string digits;
    std::int64_t exponent = 0;
    bool operator==(const Decimal&) const = default;
    [[nodiscard]] std::strong_ordering operator<=>(const Decimal& other) const noexcept;
    [[nodiscard]] bool zero() const noexcept { return digits.empty(); }
    // Digits after the point.
    [[nodiscard]] std::int64_t scale() const noexcept { return static_cast<std::int64_t>(digits.size()) - exponent; }
};

// nullopt: not a JSON number, or with an exponent of more than nine digits.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view json_number);
// Plain text without exponent. Precondition: |exponent| and the digits are few (parameters, or results of the functions below).
[[nodiscard]] std::string format_decimal(const Decimal& value);

// The multiple of `step` nearest to `value`, halves away from zero. nullopt: too many digits to be exact.
[[nodiscard]] std::optional<Decimal> round_to(const Decimal& value, const Decimal& step);
// The bucket [begin, end) of width `step`, counted from `lower`, in which `value` lies; `end` is at most `upper`. Precondition: lower <= value <
// upper, all three parameters within bounded_parameter().
struct Range {
    Decimal begin, end;
};
[[nodiscard]] std::optional<Range> bucket_of(const Decimal& value, const Decimal& lower, const Decimal& upper, const Decimal& step);
// At most 12 digits before and 6 after the point.
[[nodiscard]] bool bounded_parameter(const Decimal& value) noexcept;

}  // namespace licet::policy
