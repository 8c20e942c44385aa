// What a contract says about how much it may be delivered in a period, as data. Used by server/ports (the contract), the quota arithmetic and the
// API.
#pragma once

#include <cstdint>

namespace licet::metering {

enum class QuotaMetric : std::uint8_t { events, bytes };
enum class QuotaPeriod : std::uint8_t { month, day };  // UTC
enum class QuotaKind : std::uint8_t { hard, soft };    // hard: delivery stops at the limit; soft: it goes on, and says so

}  // namespace licet::metering
