#include "metering/decimal.h"

#include <algorithm>
#include <array>

namespace licet::metering {
namespace {

__extension__ typedef __int128 Wide;

constexpr Wide power10(int n) {
    Wide v = 1;
    for (int i = 0; i < n; ++i) v *= 10;
    return v;
}
constexpr Wide kOne = power10(Decimal::kScale);

Wide divide_half_away(Wide value, Wide by) {
    const Wide quotient = value / by, rest = value % by;
    const Wide magnitude = rest < 0 ? -rest : rest;
    if (magnitude < by - magnitude) return quotient;
    return quotient + (value < 0 ? -1 : 1);
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) noexcept {
    const bool minus = !text.empty() && text.front() == '-';
    if (minus) text.remove_prefix(1);
    const auto point = text.find('.');
    const auto whole = text.substr(0, point), part = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    if (whole.empty() || whole.size() > 24 || part.size() > kScale || (point != std::string_view::npos && part.empty())) return std::nullopt;
    Wide units = 0;
    for (const char c : whole) {
        if (c < '0' || c > '9') return std::nullopt;
        units = units * 10 + (c - '0');
    }
    for (int i = 0; i < kScale; ++i) {
        const char c = i < static_cast<int>(part.size()) ? part[static_cast<std::size_t>(i)] : '0';
        if (c < '0' || c > '9') return std::nullopt;
        units = units * 10 + (c - '0');
    }
    return Decimal(minus ? -units : units);
}

Decimal Decimal::of(std::int64_t whole) noexcept { return Decimal(whole * kOne); }

Decimal Decimal::rounded(int digits) const noexcept {
    const Wide step = power10(kScale - digits);
    return Decimal(divide_half_away(units_, step) * step);
}

std::optional<Decimal> Decimal::plus(Decimal other) const noexcept {
    constexpr Wide most = power10(38) - 1;
    Wide sum;
    if (__builtin_add_overflow(units_, other.units_, &sum) || sum > most || sum < -most) return std::nullopt;
    return Decimal(sum);
}

std::string Decimal::text(int digits) const {
    Wide value = units_ / power10(kScale - digits);
    const bool minus = value < 0;
    if (minus) value = -value;
    std::string out;
    for (int i = 0; value > 0 || i <= digits; ++i) {
        if (i == digits && digits > 0) out += '.';
        out += static_cast<char>('0' + static_cast<int>(value % 10));
        value /= 10;
    }
    if (minus) out += '-';
    std::reverse(out.begin(), out.end());
    return out;
}

std::string Decimal::shortest() const {
    int digits = kScale;
    while (digits > 0 && units_ % power10(kScale - digits + 1) == 0) --digits;
    return text(digits);
}

std::string Decimal::units() const {
    std::string out;
    Wide value = units_ < 0 ? -units_ : units_;
    do out += static_cast<char>('0' + static_cast<int>(value % 10));
    while ((value /= 10) > 0);
    if (units_ < 0) out += '-';
    std::reverse(out.begin(), out.end());
    return out;
}

}  // namespace licet::metering
