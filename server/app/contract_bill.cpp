#include "server/app/contract_bill.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

namespace licet::app {
namespace {

using metering::kDayMillis;
using metering::Quantity;
using ports::AccountLine;
using ports::LineKind;

using Key = std::tuple<std::string, std::string, std::string, std::string>;  // day, product, region, view

// Days of the month at one price.
struct Segment {
    const metering::Price* price;
    UtcMillis from, to;
    metering::Share share;
    std::map<Key, Quantity> usage;
};

// Days of [from, to) the contract stands on, at least for a part of the day.
std::uint32_t days_standing(const ports::Contract& contract, UtcMillis from, UtcMillis to) {
    const std::int64_t first = std::max(from.value, contract.valid_from.value) / kDayMillis;
    const std::int64_t end = contract.valid_until.value == 0 ? to.value : std::min(to.value, contract.valid_until.value);
    const std::int64_t behind = (end + kDayMillis - 1) / kDayMillis;
    return behind > first ? static_cast<std::uint32_t>(behind - first) : 0;
}

std::vector<Segment> segments_of(const ports::Contract& contract, const metering::Month& month) {
    std::vector<Segment> out;
    const auto& prices = contract.prices;
    for (std::size_t i = 0; i < prices.size(); ++i) {
        const auto start = parse_date(prices[i].from).value_or(month.from);
        const auto end = i + 1 < prices.size() ? parse_date(prices[i + 1].from).value_or(month.to) : month.to;
        const UtcMillis from = std::max(start, month.from), to = std::min(end, month.to);
        if (from < to) out.push_back({&prices[i].price, from, to, {days_standing(contract, from, to), month.days()}, {}});
    }
    return out;
}

[[nodiscard]] bool add(std::uint64_t& sum, std::uint64_t part) { return !__builtin_add_overflow(sum, part, &sum); }

// Whether every usage found its price, and every count its sum.
[[nodiscard]] bool sort_into(std::vector<Segment>& segments, std::span<const ContractUsage> usage) {
    for (const auto& part : usage) {
        const auto day = parse_date(part.day);
        const auto segment = std::find_if(segments.begin(), segments.end(), [&](const Segment& s) { return day && *day >= s.from && *day < s.to; });
        if (segment == segments.end()) return false;
        auto& sum = segment->usage[{part.day, part.product, part.region, part.view}];
        if (!add(sum.events, part.events) || !add(sum.bytes, part.bytes) || !add(sum.minutes, part.minutes)) return false;
    }
    return true;
}

std::string words(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& word : list) out += (out.empty() ? "" : " ") + word;
    return out;
}

std::string day_of(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

// The lines of one segment, rated; the first line of a bill it makes is `like`.
Status rate_into(const Segment& segment, const AccountLine& like, bool minimum_due, bool whole_month, std::vector<AccountLine>& usage,
                 std::vector<AccountLine>& others) {
    std::vector<Quantity> parts;
    for (const auto& [key, quantity] : segment.usage) parts.push_back(quantity);
    auto share = segment.share;
    if (!parts.empty()) share.days = std::max(share.days, 1U);  // used on days it does not stand on by now: a day's worth at the least
    const auto rated = metering::rate(*segment.price, parts, share, minimum_due);
    if (!rated) return rated.error();
    std::size_t part = 0;
    for (const auto& [key, quantity] : segment.usage) {
        AccountLine line = like;
        std::tie(line.day, line.product, line.region, line.view) = key;
        line.events = quantity.events;
        line.bytes = quantity.bytes;
        line.minutes = quantity.minutes;
        line.amount = rated->parts[part++];
        usage.push_back(std::move(line));
    }
    for (const auto& [kind, amount] :
         {std::pair{LineKind::discount, rated->discount}, {LineKind::minimum, rated->minimum}, {LineKind::cap, rated->cap}}) {
        if (amount == metering::Decimal{}) continue;
        AccountLine line = like;
        line.kind = kind;
        line.amount = amount;
        if (!whole_month) line.reason = day_of(segment.from) + " to " + day_of({segment.to.value - kDayMillis});
        others.push_back(std::move(line));
    }
    return success();
}

}  // namespace

Result<ContractBill> bill_contract(const BillOf& of, std::span<const ContractUsage> usage) {
    const auto& contract = of.contract;
    const auto refused = [&](const std::string& why) { return Error{Errc::internal, "contract " + contract.name + ": " + why, {}}; };
    const auto month = metering::parse_month(of.period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    const auto exponent = contract.prices.empty() ? std::nullopt : metering::currency_exponent(contract.prices.front().price.currency);
    if (!exponent) return refused("no readable price");
    auto segments = segments_of(contract, *month);
    if (!sort_into(segments, usage)) return refused("usage that is not of the month, or too much of it to count");

    ContractBill out{contract.name, contract.prices.front().price.currency, *exponent, {}, {}};
    AccountLine like;
    like.contract = contract.name;
    like.party = contract.party;
    like.region = of.region;
    like.purpose = words(contract.purposes);
    like.jurisdiction = of.jurisdiction;
    like.currency = out.currency;
    like.charge_period = of.period;
    // Nobody can tell until when an ended contract stood that does not say so: its usage is owed, no minimum is.
    const bool minimum_due = of.finished && (contract.state != ports::ContractState::ended || contract.valid_until.value != 0);
    std::vector<AccountLine> others;
    for (const auto& segment : segments)
        if (auto status = rate_into(segment, like, minimum_due, segments.size() == 1, out.lines, others); !status)
            return refused(status.error().detail);
    std::move(others.begin(), others.end(), std::back_inserter(out.lines));
    for (auto& line : out.lines) {
        line.no = static_cast<std::uint64_t>(&line - out.lines.data()) + 1;
        out.total += line.amount;  // at most 31 prices of a month, each below 10^18
    }
    return out;
}

}  // namespace licet::app
