#include "event/timestamp.h"

#include "base/time.h"

namespace licet::event {
namespace {

constexpr std::int32_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kFirstSecond = -62'135'596'800, kLastSecond = 253'402'300'799;  // 0001-01-01T00:00:00Z, 9999-12-31T23:59:59Z

}  // namespace

std::optional<Timestamp> parse_timestamp(std::string_view text) {
    const auto at = parse_rfc3339(text);
    if (!at) return std::nullopt;
    const std::int64_t millis = (at->value % 1000 + 1000) % 1000;
    Timestamp out{(at->value - millis) / 1000, static_cast<std::int32_t>(millis) * 1'000'000};
    constexpr std::size_t kSecond = 17;  // in "2026-01-02T03:04:05.678Z"
    const auto point = text.find('.');
    if (point == std::string_view::npos || text.substr(kSecond, 2) == "60") return out;
    out.nanos = 0;
    std::int32_t scale = kNanosPerSecond / 10;
    for (std::size_t i = point + 1; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, scale /= 10) out.nanos += (text[i] - '0') * scale;
    return out;
}

std::optional<std::string> format_timestamp(const Timestamp& at) {
    if (at.seconds < kFirstSecond || at.seconds > kLastSecond || at.nanos < 0 || at.nanos >= kNanosPerSecond) return std::nullopt;
    std::string out = format_rfc3339({at.seconds * 1000});
    out.resize(out.size() - 5);  // ".000Z"
    if (at.nanos != 0) {
        std::string digits = std::to_string(kNanosPerSecond + at.nanos).substr(1);
        while (digits.ends_with("000")) digits.resize(digits.size() - 3);
        out += '.' + digits;
    }
    return out + 'Z';
}

}  // namespace licet::event
