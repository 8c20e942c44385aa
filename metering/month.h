// A month as a billing period: UTC, half-open. Used by reports, periods and bills. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"

namespace licet::metering {

inline constexpr std::int64_t kDayMillis = 86'400'000;  // every UTC day

struct Month {
    UtcMillis from, to;
    [[nodiscard]] std::uint32_t days() const noexcept { return static_cast<std::uint32_t>((to.value - from.value) / kDayMillis); }
};

// "YYYY-MM"; nullopt for anything else, and for the last month RFC 3339 can write.
[[nodiscard]] std::optional<Month> parse_month(std::string_view text);

}  // namespace licet::metering
