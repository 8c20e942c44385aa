// Durations as ISO 8601 writes them, of days, hours, minutes and seconds: "PT30S", "PT1M30.5S". Years, months and weeks have no fixed length or no
// use here and are refused. Used where documents state a time span. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet {

// Milliseconds; nullopt: not a duration, finer than a millisecond, or past 2^53.
[[nodiscard]] std::optional<std::int64_t> parse_duration_ms(std::string_view text) noexcept;
// In seconds: "PT90S", "PT0.5S". Precondition: not negative.
[[nodiscard]] std::string format_duration_ms(std::int64_t ms);

}  // namespace licet
