#include "policy/transform_place.h"

#include <array>
#include <chrono>
#include <optional>

#include "base/time.h"
#include "event/info_type.h"

namespace licet::policy {
namespace {

constexpr std::int64_t kDayMillis = 86'400'000;
constexpr std::size_t kDateSize = 10;

constexpr bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The calendar day of a date or date-time, by its own offset.
std::optional<std::chrono::sys_days> day_of(std::string_view text) {
    const auto date = parse_date(text.substr(0, kDateSize));
    if (!date || (text.size() > kDateSize && !parse_rfc3339(text))) return std::nullopt;
    return std::chrono::sys_days(std::chrono::days(date->value / kDayMillis - (date->value % kDayMillis < 0 ? 1 : 0)));
}

// Bytes of an address: 4, 16, or 0 when the text is none.
using Address = std::array<std::uint8_t, 16>;

bool parse_quad(std::string_view s, std::uint8_t* out) {
    for (int part = 0; part < 4; ++part) {
        if (part > 0) {
            if (s.empty() || s[0] != '.') return false;
            s.remove_prefix(1);
        }
        std::size_t digits = 0;
        unsigned value = 0;
        while (digits < s.size() && digits < 3 && digit(s[digits])) value = value * 10 + static_cast<unsigned>(s[digits++] - '0');
        if (digits == 0 || (digits > 1 && s[0] == '0') || value > 255) return false;
        out[part] = static_cast<std::uint8_t>(value);
        s.remove_prefix(digits);
    }
    return s.empty();
}

// Precondition: is_of_type said it is an IPv6 address.
bool parse_ipv6(std::string_view s, Address& out) {
    std::array<std::uint8_t, 16> head{};
    std::size_t size = 0, gap = 17;
    while (!s.empty()) {
        if (s.starts_with("::")) {
            gap = size;
            s.remove_prefix(2);
            continue;
        }
        if (s[0] == ':') s.remove_prefix(1);
        const auto group = s.substr(0, s.find(':'));
        if (group.find('.') != std::string_view::npos) {
            if (size > 12 || !parse_quad(group, &head[size])) return false;
            size += 4;
        } else {
            if (size > 14) return false;
            unsigned value = 0;
            for (const char c : group) value = value << 4 | static_cast<unsigned>(digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
            head[size++] = static_cast<std::uint8_t>(value >> 8);
            head[size++] = static_cast<std::uint8_t>(value);
        }
        s.remove_prefix(group.size());
    }
    out.fill(0);
    for (std::size_t i = 0; i < size; ++i) out[i < gap ? i : 16 - size + i] = head[i];
    return gap <= 16 || size == 16;
}

template <std::size_t N>
void clear_past(std::array<std::uint8_t, N>& bytes, int prefix) {
    for (int i = 0; i < static_cast<int>(N); ++i) {
        const int keep = prefix - 8 * i;
        if (keep <= 0)
            bytes[static_cast<std::size_t>(i)] = 0;
        else if (keep < 8)
            bytes[static_cast<std::size_t>(i)] &= static_cast<std::uint8_t>(0xFF << (8 - keep));
    }
}

// RFC 5952: lower case, no leading zeros, the first longest run of two zero groups or more as "::".
void format_ipv6(const Address& a, std::string& out) {
    static constexpr char digits[] = "0123456789abcdef";
    const auto group = [&](int i) { return a[static_cast<std::size_t>(2 * i)] << 8 | a[static_cast<std::size_t>(2 * i + 1)]; };
    int best = -1, best_size = 1;
    for (int i = 0; i < 8; ++i) {
        int size = 0;
        while (i + size < 8 && group(i + size) == 0) ++size;
        if (size > best_size) best = i, best_size = size;
    }
    for (int i = 0; i < 8; ++i) {
        if (i == best) {
            out += "::";
            i += best_size - 1;
            continue;
        }
        if (i > 0 && i != best + best_size) out += ':';
        bool leading = true;
        for (int shift = 12; shift >= 0; shift -= 4) {
            const int d = group(i) >> shift & 15;
            leading = leading && d == 0 && shift > 0;
            if (!leading) out += digits[d];
        }
    }
}

}  // namespace

bool shift_date(std::string_view text, std::int64_t days, std::string& out) {
    const auto day = day_of(text);
    if (!day) return false;
    // The last second of a day may be a leap second; that of another day is not.
    if (text.size() > 18 && text.substr(17, 2) == "60") return false;
    const std::chrono::year_month_day date(*day + std::chrono::days(days));
    const int year = static_cast<int>(date.year());
    if (year < 1 || year > 9999) return false;
    const auto put = [&](unsigned value, int width) {
        for (unsigned unit = width == 4 ? 1000 : 10; unit > 0; unit /= 10) out += static_cast<char>('0' + value / unit % 10);
    };
    out.clear();
    put(static_cast<unsigned>(year), 4);
    out += '-';
    put(static_cast<unsigned>(date.month()), 2);
    out += '-';
    put(static_cast<unsigned>(date.day()), 2);
    out += text.substr(kDateSize);
    return true;
}

bool time_part(std::string_view text, TimePart part, std::string& out) {
    using namespace std::chrono;
    const auto day = day_of(text);
    if (!day) return false;
    const year_month_day date(*day);
    switch (part) {
        case TimePart::year:
            out = std::to_string(static_cast<int>(date.year()));
            return true;
        case TimePart::month:
            out = std::to_string(static_cast<unsigned>(date.month()));
            return true;
        case TimePart::day_of_month:
            out = std::to_string(static_cast<unsigned>(date.day()));
            return true;
        case TimePart::day_of_week:
            out = std::to_string(weekday(*day).iso_encoding());
            return true;
        case TimePart::week_of_year: {
            // The week belongs to the year of its Thursday.
            const sys_days thursday = *day + days(4 - static_cast<int>(weekday(*day).iso_encoding()));
            const sys_days first = sys_days(year_month_day(thursday).year() / January / 1);
            out = std::to_string((thursday - first).count() / 7 + 1);
            return true;
        }
        case TimePart::hour_of_day:
            if (text.size() == kDateSize) return false;
            out = std::to_string((text[11] - '0') * 10 + (text[12] - '0'));
            return true;
    }
    return false;
}

bool generalise_email(std::string_view text, bool keep_domain, std::string& out) {
    if (!event::is_of_type(text, event::InfoType::email_address)) return false;
    const auto domain = text.substr(text.rfind('@') + 1);
    out = keep_domain ? "*@" : "*@*.";
    out += keep_domain ? domain : domain.substr(domain.rfind('.') + 1);
    return true;
}

bool generalise_ip(std::string_view text, int ipv4_prefix, int ipv6_prefix, std::string& out) {
    if (!event::is_of_type(text, event::InfoType::ip_address)) return false;
    out.clear();
    if (text.find(':') == std::string_view::npos) {
        std::array<std::uint8_t, 4> quad{};
        if (!parse_quad(text, quad.data())) return false;
        clear_past(quad, ipv4_prefix);
        for (std::size_t i = 0; i < quad.size(); ++i) out += (i > 0 ? "." : "") + std::to_string(quad[i]);
        return true;
    }
    Address address{};
    if (!parse_ipv6(text, address)) return false;
    clear_past(address, ipv6_prefix);
    format_ipv6(address, out);
    return true;
}

}  // namespace licet::policy
