// UTC time as milliseconds and its RFC 3339 text. Used by events, policies, metering and APIs. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet {

struct UtcMillis {
    std::int64_t value{};  // milliseconds since 1970-01-01T00:00:00Z, no leap seconds
    constexpr auto operator<=>(const UtcMillis&) const = default;
};

// RFC 3339 date-time with offset; leap second 60 is read as 59.999; digits past milliseconds are cut. nullopt when malformed
// or outside years 0001-9999.
[[nodiscard]] std::optional<UtcMillis> parse_rfc3339(std::string_view text) noexcept;
// "YYYY-MM-DD" at 00:00:00Z.
[[nodiscard]] std::optional<UtcMillis> parse_date(std::string_view text) noexcept;
// "2026-01-02T03:04:05.678Z".
[[nodiscard]] std::string format_rfc3339(UtcMillis at);
// IMF-fixdate, as HTTP's Date (RFC 9110, section 5.6.7): "Fri, 02 Jan 2026 03:04:05 GMT".
[[nodiscard]] std::string format_http_date(UtcMillis at);

// The only sources of time; passed in, so that tests own it. Thread-safe.
class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual UtcMillis utc_now() const noexcept = 0;
    [[nodiscard]] virtual std::int64_t monotonic_ns() const noexcept = 0;
};

}  // namespace licet
