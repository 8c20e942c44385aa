#include "metering/rating.h"

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
constexpr Wide kMax = power10(38) - 1;

Wide divide_half_away(Wide value, Wide by) {
    const Wide quotient = value / by, rest = value % by;
    const Wide magnitude = rest < 0 ? -rest : rest;
    if (magnitude * 2 < by) return quotient;
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

std::optional<Decimal> Decimal::times(std::uint64_t count) const noexcept {
    Wide product;
    if (__builtin_mul_overflow(units_, static_cast<Wide>(count), &product) || product > kMax || product < -kMax) return std::nullopt;
    return Decimal(product);
}

std::optional<Decimal> Decimal::per_million(std::uint64_t count) const noexcept {
    Wide product;
    if (__builtin_mul_overflow(units_, static_cast<Wide>(count), &product) || product > kMax || product < -kMax) return std::nullopt;
    return Decimal(divide_half_away(product, 1'000'000));
}

std::optional<int> currency_exponent(std::string_view code) noexcept {
    static constexpr std::string_view none[] = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"};
    static constexpr std::string_view three[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
    static constexpr std::string_view two =
        "AED AUD BGN BRL CAD CHF CNY CZK DKK EGP EUR GBP HKD HUF IDR ILS INR KES MAD MXN MYR NGN NOK NZD PHP PLN QAR RON RSD SAR SEK SGD THB TRY TWD UAH USD ZAR ";
    if (code.size() != 3) return std::nullopt;
    if (std::find(std::begin(none), std::end(none), code) != std::end(none)) return 0;
    if (std::find(std::begin(three), std::end(three), code) != std::end(three)) return 3;
    for (std::size_t i = 0; i + 3 < two.size(); i += 4)
        if (two.substr(i, 3) == code) return 2;
    return std::nullopt;
}

std::optional<Decimal> rate(const FlatPrice& price, std::uint64_t events, std::uint64_t bytes) noexcept {
    const auto exponent = currency_exponent(price.currency);
    auto amount = price.per_event.times(events);
    const auto volume = price.per_mb.per_million(bytes);
    if (!exponent || !amount || !volume) return std::nullopt;
    *amount += *volume;
    return amount->rounded(*exponent);
}

}  // namespace licet::metering
