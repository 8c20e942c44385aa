// Rational arithmetic for rating and the one place where it is rounded; apart because it brings Boost.Multiprecision. Used by metering/price.cpp and
// the tests of arithmetic. Pure; nothing is ever a float.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>

#include "metering/decimal.h"

namespace licet::metering {

using Integer = boost::multiprecision::cpp_int;
using Exact = boost::multiprecision::cpp_rational;

[[nodiscard]] Exact exact(Decimal value);
// The greatest integer that is not greater.
[[nodiscard]] Integer floor_of(const Exact& value);
// In units of 10^-digits, half away from zero; `digits` may be negative.
[[nodiscard]] Integer rounded(const Exact& value, int digits);
// `units` of 10^-digits, 0 <= digits <= 14; nullopt past 24 integer digits.
[[nodiscard]] std::optional<Decimal> decimal_of(const Integer& units, int digits);

}  // namespace licet::metering
