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
constexpr std::int64_t kMegabyte = 1'000'000;

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

std::optional<int> currency_exponent(std::string_view code) noexcept {
    static constexpr std::string_view none[] = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW",
                                                "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"};
    static constexpr std::string_view three[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
    static constexpr std::string_view two =
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP "
        "ERN ETB EUR FJD FKP "
        "GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
        "MUR MVR MWK MXN MYR "
        "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TOP "
        "TRY TTD TWD TZS UAH "
        "USD UYU UZS VES WST XCD YER ZAR ZMW ";
    if (code.size() != 3) return std::nullopt;
    if (std::find(std::begin(none), std::end(none), code) != std::end(none)) return 0;
    if (std::find(std::begin(three), std::end(three), code) != std::end(three)) return 3;
    for (std::size_t i = 0; i + 3 < two.size(); i += 4)
        if (two.substr(i, 3) == code) return 2;
    return std::nullopt;
}

std::optional<Decimal> rate(const FlatPrice& price, std::uint64_t events, std::uint64_t bytes) noexcept {
    const auto exponent = currency_exponent(price.currency);
    // Both parts in 1e-20 of the currency, so that the volume price per million bytes needs no division of its own: the sum is rounded, once.
    Wide amount, volume;
    if (!exponent || __builtin_mul_overflow(price.per_event.units_, static_cast<Wide>(events), &amount) ||
        __builtin_mul_overflow(amount, Wide{kMegabyte}, &amount) || __builtin_mul_overflow(price.per_mb.units_, static_cast<Wide>(bytes), &volume) ||
        __builtin_add_overflow(amount, volume, &amount))
        return std::nullopt;
    const Wide step = power10(Decimal::kScale - *exponent);
    return Decimal(divide_half_away(amount, step * kMegabyte) * step);
}

}  // namespace licet::metering
