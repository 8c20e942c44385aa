#include "metering/exact.h"

#include <string>

namespace licet::metering {
namespace {

Integer power10(int n) { return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(n)); }

}  // namespace

Exact exact(Decimal value) {
    static const Integer scale = power10(Decimal::kScale);
    return Exact(Integer(value.units()), scale);
}

Integer floor_of(const Exact& value) {
    const Integer n = numerator(value), d = denominator(value);  // d > 0
    Integer q = n / d;
    if (n % d < 0) --q;
    return q;
}

Integer rounded(const Exact& value, int digits) {
    const Exact units = digits >= 0 ? Exact(abs(value) * power10(digits)) : Exact(abs(value) / power10(-digits));
    const Integer magnitude = floor_of(units + Exact(1, 2));
    return value < 0 ? Integer(-magnitude) : magnitude;
}

std::optional<Decimal> decimal_of(const Integer& units, int digits) {
    std::string text = Integer(abs(units)).str();
    const auto places = static_cast<std::size_t>(digits);
    if (text.size() <= places) text.insert(0, places + 1 - text.size(), '0');
    if (places > 0) text.insert(text.size() - places, 1, '.');
    return Decimal::parse((units < 0 ? "-" : "") + text);
}

}  // namespace licet::metering
