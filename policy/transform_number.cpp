#include "policy/transform_number.h"

#include <algorithm>

namespace licet::policy {
namespace {

__extension__ using Int128 = __int128;

constexpr std::int64_t kDigitsMax = 36;  // of what fits an Int128 with room for a sum

constexpr bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

// |value| x 10^scale, cut towards zero. nullopt: too large. `exact`: nothing was cut.
std::optional<Int128> scaled(const Decimal& value, std::int64_t scale, bool& exact) {
    const std::int64_t size = value.exponent + scale;  // digits of the result
    exact = value.scale() <= scale;
    if (value.zero() || size <= 0) return Int128{0};
    if (size > kDigitsMax) return std::nullopt;
    Int128 out = 0;
    for (std::int64_t i = 0; i < size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        out = out * 10 + (at < value.digits.size() ? value.digits[at] - '0' : 0);
    }
    return out;
}

Decimal unscaled(Int128 value, std::int64_t scale, bool negative) {
    Decimal out;
    for (; value > 0; value /= 10) out.digits += static_cast<char>('0' + static_cast<int>(value % 10));
    std::reverse(out.digits.begin(), out.digits.end());
    out.exponent = static_cast<std::int64_t>(out.digits.size()) - scale;
    while (!out.digits.empty() && out.digits.back() == '0') out.digits.pop_back();
    if (out.digits.empty()) return {};
    out.negative = negative;
    return out;
}

}  // namespace

std::strong_ordering Decimal::operator<=>(const Decimal& other) const noexcept {
    if (zero() || other.zero()) {
        const int mine = zero() ? 0 : negative ? -1 : 1, theirs = other.zero() ? 0 : other.negative ? -1 : 1;
        return mine <=> theirs;
    }
    if (negative != other.negative) return negative ? std::strong_ordering::less : std::strong_ordering::greater;
    const auto size = exponent != other.exponent ? exponent <=> other.exponent : digits.compare(other.digits) <=> 0;
    return negative ? 0 <=> size : size;
}

std::optional<Decimal> parse_decimal(std::string_view s) {
    Decimal out;
    std::size_t i = 0;
    if (i < s.size() && s[i] == '-') out.negative = true, ++i;
    const std::size_t whole = i;
    while (i < s.size() && digit(s[i])) ++i;
    if (i == whole || (s[whole] == '0' && i - whole > 1)) return std::nullopt;
    out.digits = s.substr(whole, i - whole);
    out.exponent = static_cast<std::int64_t>(i - whole);
    if (i < s.size() && s[i] == '.') {
        const std::size_t fraction = ++i;
        while (i < s.size() && digit(s[i])) ++i;
        if (i == fraction) return std::nullopt;
        out.digits += s.substr(fraction, i - fraction);
    }
    if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
        ++i;
        const bool negative = i < s.size() && s[i] == '-';
        if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
        const std::size_t begin = i;
        std::int64_t power = 0;
        for (; i < s.size() && digit(s[i]); ++i) {
            if (power > 99'999'999) return std::nullopt;
            power = power * 10 + (s[i] - '0');
        }
        if (i == begin) return std::nullopt;
        out.exponent += negative ? -power : power;
    }
    if (i != s.size()) return std::nullopt;
    const std::size_t leading = std::min(out.digits.find_first_not_of('0'), out.digits.size());
    out.digits.erase(0, leading);
    out.exponent -= static_cast<std::int64_t>(leading);
    while (!out.digits.empty() && out.digits.back() == '0') out.digits.pop_back();
    if (out.digits.empty()) return Decimal{};
    return out;
}

std::string format_decimal(const Decimal& v) {
    if (v.zero()) return "0";
    std::string out = v.negative ? "-" : "";
    if (v.exponent <= 0) {
        out += "0.";
        out.append(static_cast<std::size_t>(-v.exponent), '0');
        return out + v.digits;
    }
    const auto whole = static_cast<std::size_t>(v.exponent);
    out += v.digits.substr(0, whole);
    if (v.digits.size() < whole) out.append(whole - v.digits.size(), '0');
    if (v.digits.size() > whole) out += "." + v.digits.substr(whole);
    return out;
}

std::optional<Decimal> round_to(const Decimal& value, const Decimal& step) {
    // One digit more than the step has makes it even, so that its half is whole and what is cut cannot matter.
    const std::int64_t scale = std::max<std::int64_t>(step.scale(), 0) + 1;
    bool exact = false;
    const auto size = scaled(value, scale, exact), unit = scaled(step, scale, exact);
    if (!size || !unit || *unit == 0) return std::nullopt;
    const Int128 below = *size / *unit * *unit;
    return unscaled(*size - below >= *unit / 2 ? below + *unit : below, scale, value.negative);
}

std::optional<Range> bucket_of(const Decimal& value, const Decimal& lower, const Decimal& upper, const Decimal& step) {
    const std::int64_t scale = std::max({lower.scale(), upper.scale(), step.scale(), std::int64_t{0}});
    bool exact = true;
    const auto floor = [&](const Decimal& d) -> std::optional<Int128> {
        const auto size = scaled(d, scale, exact);
        if (!size) return std::nullopt;
        return d.negative ? -*size - (exact ? 0 : 1) : *size;
    };
    const auto v = floor(value), from = floor(lower), to = floor(upper), width = floor(step);
    if (!v || !from || !to || !width || *width <= 0 || *v < *from || *v >= *to) return std::nullopt;
    const Int128 begin = *from + (*v - *from) / *width * *width;
    const Int128 end = std::min(begin + *width, *to);
    const auto decimal = [&](Int128 n) { return unscaled(n < 0 ? -n : n, scale, n < 0); };
    return Range{decimal(begin), decimal(end)};
}

bool bounded_parameter(const Decimal& value) noexcept { return value.exponent <= 12 && value.scale() <= 6; }

}  // namespace licet::policy
