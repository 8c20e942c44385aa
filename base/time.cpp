#include "base/time.h"

#include <chrono>
#include <cstdio>

namespace licet {

namespace {

// Reads exactly `count` digits at `pos` and advances; -1 when they are not all digits.
int digits(std::string_view text, std::size_t& pos, std::size_t count) noexcept {
    if (pos + count > text.size()) return -1;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const char c = text[pos + i];
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    pos += count;
    return value;
}

bool literal(std::string_view text, std::size_t& pos, char expected) noexcept {
    if (pos >= text.size() || text[pos] != expected) return false;
    ++pos;
    return true;
}

std::optional<std::int64_t> date_at(std::string_view text, std::size_t& pos) noexcept {
    const int year = digits(text, pos, 4);
    if (year < 1 || !literal(text, pos, '-')) return std::nullopt;
    const int month = digits(text, pos, 2);
    if (month < 1 || !literal(text, pos, '-')) return std::nullopt;
    const int day = digits(text, pos, 2);
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day < 0 ? 0 : day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date}.time_since_epoch().count();
}

}  // namespace

std::optional<UtcMillis> parse_date(std::string_view text) noexcept {
    std::size_t pos = 0;
    const auto days = date_at(text, pos);
    if (!days || pos != text.size()) return std::nullopt;
    return UtcMillis{*days * 86'400'000};
}

std::optional<UtcMillis> parse_rfc3339(std::string_view text) noexcept {
    std::size_t pos = 0;
    const auto days = date_at(text, pos);
    if (!days || pos >= text.size()) return std::nullopt;
    if (text[pos] != 'T' && text[pos] != 't' && text[pos] != ' ') return std::nullopt;
    ++pos;
    const int hour = digits(text, pos, 2);
    if (hour < 0 || hour > 23 || !literal(text, pos, ':')) return std::nullopt;
    const int minute = digits(text, pos, 2);
    if (minute < 0 || minute > 59 || !literal(text, pos, ':')) return std::nullopt;
    int second = digits(text, pos, 2);
    if (second < 0 || second > 60) return std::nullopt;
    int millis = 0;
    if (pos < text.size() && text[pos] == '.') {
        ++pos;
        int scale = 100;
        const std::size_t first = pos;
        for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
            millis += (text[pos] - '0') * scale;
            scale /= 10;
        }
        if (pos == first) return std::nullopt;
    }
    if (second == 60) {
        second = 59;
        millis = 999;
    }
    std::int64_t offset_minutes = 0;
    if (pos >= text.size()) return std::nullopt;
    if (text[pos] == 'Z' || text[pos] == 'z') {
        ++pos;
    } else if (text[pos] == '+' || text[pos] == '-') {
        const int sign = text[pos++] == '+' ? 1 : -1;
        const int oh = digits(text, pos, 2);
        if (oh < 0 || oh > 23 || !literal(text, pos, ':')) return std::nullopt;
        const int om = digits(text, pos, 2);
        if (om < 0 || om > 59) return std::nullopt;
        offset_minutes = sign * (oh * 60 + om);
    } else {
        return std::nullopt;
    }
    if (pos != text.size()) return std::nullopt;
    const std::int64_t minutes = *days * 1440 + hour * 60 + minute - offset_minutes;
    const UtcMillis at{minutes * 60'000 + second * 1000 + millis};
    // The offset may have carried it out of the years that can be written.
    constexpr std::int64_t kFirst = -62'135'596'800'000, kLast = 253'402'300'799'999;  // 0001-01-01T00:00:00.000Z, 9999-12-31T23:59:59.999Z
    return at.value < kFirst || at.value > kLast ? std::nullopt : std::optional(at);
}

std::string format_rfc3339(UtcMillis at) {
    using namespace std::chrono;
    const sys_time<milliseconds> time{milliseconds{at.value}};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss<milliseconds> clock{time - day};
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return buffer;
}

std::string format_http_date(UtcMillis at) {
    using namespace std::chrono;
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const sys_time<milliseconds> time{milliseconds{at.value}};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss<seconds> clock{floor<seconds>(time - day)};
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
                  kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()), static_cast<int>(clock.hours().count()),
                  static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    return buffer;
}

}  // namespace licet
