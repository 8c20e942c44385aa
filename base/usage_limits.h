// Named limits of metering and money (prices, quotas, periods, exports), with their units: apart from base/limits.h, which everything includes.
// docs/limits.md explains what happens when each is hit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace licet::limits {

inline constexpr std::size_t price_charges_max = 16;   // of a price
inline constexpr std::size_t price_tiers_max = 64;     // of a charge
inline constexpr std::size_t price_changes_max = 240;  // of a contract

}  // namespace licet::limits
