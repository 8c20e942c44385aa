// Moments as protobuf has them, seconds and nanoseconds, from and to the RFC 3339 text of CloudEvents timestamps. Used by ingest and delivery of the
// protobuf format; everything else keeps milliseconds (base/time.h). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet::event {

struct Timestamp {
    std::int64_t seconds = 0;  // since 1970-01-01T00:00:00Z
    std::int32_t nanos = 0;    // 0 to 999,999,999, counting forward
    bool operator==(const Timestamp&) const = default;
};

// Digits of a second past nine are dropped; a leap second is the last millisecond before it. nullopt: not RFC 3339, or outside the years 1 to 9999.
[[nodiscard]] std::optional<Timestamp> parse_timestamp(std::string_view text);
// In UTC, with 0, 3, 6 or 9 digits of a second, as few as hold it (the protobuf JSON mapping's text). nullopt: outside the years 1 to 9999, or nanos
// out of range.
[[nodiscard]] std::optional<std::string> format_timestamp(const Timestamp& at);

}  // namespace licet::event
