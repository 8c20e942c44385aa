#include "metering/month.h"

#include <string>

namespace licet::metering {

std::optional<Month> parse_month(std::string_view text) {
    if (text.size() != 7) return std::nullopt;
    const std::string first = std::string(text) + "-01";
    const auto from = parse_date(first);
    if (!from) return std::nullopt;
    // 31 days on is always within the month behind.
    const auto behind = format_rfc3339({from->value + 31 * kDayMillis});
    const auto to = parse_date(behind.substr(0, 8) + "01");
    if (!to) return std::nullopt;
    return Month{*from, *to};
}

}  // namespace licet::metering
