#include "server/ports/contract_change.h"

#include <algorithm>
#include <string>

#include "metering/month.h"

namespace licet::ports {
namespace {

using metering::DatedPrice;
using metering::kDayMillis;

Error refused(const char* pointer, std::string why) { return {Errc::conflict, std::move(why), pointer}; }

std::string day_text(std::int64_t day) { return format_rfc3339({day * kDayMillis}).substr(0, 10); }

// Days are counted from 1970. The first day of a contract, and the first behind its last: a day in part is a day.
std::int64_t first_day(const Contract& c) { return c.valid_from.value / kDayMillis; }
std::int64_t end_day(const Contract& c, std::int64_t open) {
    return c.valid_until.value == 0 ? open : (c.valid_until.value + kDayMillis - 1) / kDayMillis;
}

// The prices that hold for days before `day`.
std::size_t prices_before(const std::vector<DatedPrice>& prices, std::int64_t day) {
    const std::string text = day_text(day);
    return static_cast<std::size_t>(
        std::find_if(prices.begin(), prices.end(), [&](const DatedPrice& p) { return !p.from.empty() && p.from >= text; }) - prices.begin());
}

std::string pointer_of(std::size_t price) { return price == 0 ? "/price" : "/priceChanges/" + std::to_string(price - 1); }

Status check_prices(const Contract& held, const Contract& wanted, std::int64_t tomorrow) {
    if (held.prices.empty()) return refused("/price", "the contract has prices that this version cannot read, and so cannot tell from others");
    if (wanted.prices.empty() || wanted.prices.front().price.currency != held.prices.front().price.currency)
        return refused("/price/currency", "a contract that has begun keeps its currency, " + held.prices.front().price.currency);
    if (wanted.replays_billed != held.replays_billed)
        return refused("/price/replays", "whether replays are paid for is settled when a contract begins");
    const std::size_t settled = prices_before(held.prices, tomorrow), stated = prices_before(wanted.prices, tomorrow);
    for (std::size_t i = 0; i < std::max(settled, stated); ++i) {
        if (i < settled && i < stated && held.prices[i] == wanted.prices[i]) continue;
        const auto at = i < wanted.prices.size() ? pointer_of(i) : std::string("/priceChanges");
        return refused(at.c_str(), "what holds up to today is settled: state it as it is held, and what is to change in priceChanges, from " +
                                       day_text(tomorrow) + " on");
    }
    return success();
}

}  // namespace

Status check_contract_change(const Contract& held, const Contract& wanted, UtcMillis now) {
    const std::int64_t today = now.value / kDayMillis, tomorrow = today + 1;
    if (held.valid_from > now) {
        if (wanted.valid_from != held.valid_from && first_day(wanted) < today)
            return refused("/validFrom", "days that have passed are settled: the contract can begin on " + day_text(today) + " or later");
        return success();
    }
    if (wanted.party != held.party) return refused("/party", "a contract that has begun keeps its party");
    if (auto prices = check_prices(held, wanted, tomorrow); !prices) return prices;
    if (first_day(wanted) != first_day(held)) return refused("/validFrom", "the contract has begun: its first day is settled");
    // It may end today, or go on if it would have ended today; what passed without it stays without it.
    if (std::min(end_day(wanted, today), today) != std::min(end_day(held, today), today))
        return refused("/validUntil", "days that have passed are settled: it can end on " + day_text(today) +
                                          " at the earliest, and what has ended before is followed by another contract");
    return success();
}

}  // namespace licet::ports
