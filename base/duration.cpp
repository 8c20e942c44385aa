#include "base/duration.h"

#include <array>
#include <charconv>

namespace licet {

std::optional<std::int64_t> parse_duration_ms(std::string_view text) noexcept {
    struct Unit {
        char letter;
        bool of_time;
        std::int64_t ms;
    };
    static constexpr std::array<Unit, 4> kUnits{{{'D', false, 86'400'000}, {'H', true, 3'600'000}, {'M', true, 60'000}, {'S', true, 1000}}};
    constexpr std::int64_t kMost = std::int64_t{1} << 53;
    if (!text.starts_with('P')) return std::nullopt;
    text.remove_prefix(1);
    bool in_time = false, any = false;
    std::size_t unit = 0;
    std::int64_t total = 0;
    while (!text.empty()) {
        if (text.front() == 'T') {
            text.remove_prefix(1);
            if (in_time || text.empty()) return std::nullopt;
            in_time = true;
            continue;
        }
        std::int64_t whole = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), whole);
        if (read.ec != std::errc{} || text.front() == '-') return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
        std::int64_t thousandths = 0;
        bool fraction = false;
        if (!text.empty() && (text.front() == '.' || text.front() == ',')) {
            fraction = true;
            text.remove_prefix(1);
            std::int64_t worth = 100;
            std::size_t digits = 0;
            for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits, worth /= 10)
                thousandths += (text.front() - '0') * worth;
            if (digits == 0 || digits > 3) return std::nullopt;
        }
        if (text.empty()) return std::nullopt;
        while (unit < kUnits.size() && (kUnits[unit].letter != text.front() || kUnits[unit].of_time != in_time)) ++unit;
        if (unit == kUnits.size() || (fraction && kUnits[unit].letter != 'S')) return std::nullopt;
        if (whole > kMost / kUnits[unit].ms) return std::nullopt;
        total += whole * kUnits[unit].ms + thousandths;
        if (total > kMost) return std::nullopt;
        ++unit;
        any = true;
        text.remove_prefix(1);
    }
    return any ? std::optional(total) : std::nullopt;
}

std::string format_duration_ms(std::int64_t ms) {
    std::string out = "PT" + std::to_string(ms / 1000);
    if (const auto rest = ms % 1000; rest != 0) {
        auto digits = std::to_string(1000 + rest).substr(1);
        while (digits.back() == '0') digits.pop_back();
        out += "." + digits;
    }
    return out + "S";
}

}  // namespace licet
