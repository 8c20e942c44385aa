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

// Days of [from, to) the contract stands on, at least for a part of the day.
std::uint32_t days_standing(const ports::Contract& contract, UtcMillis from, UtcMillis to) {
    const std::int64_t first = std::max(from.value, contract.valid_from.value) / kDayMillis;
    const std::int64_t end = contract.valid_until.value == 0 ? to.value : std::min(to.value, contract.valid_until.value);
    const std::int64_t behind = (end + kDayMillis - 1) / kDayMillis;
    return behind > first ? static_cast<std::uint32_t>(behind - first) : 0;
}

[[nodiscard]] bool add(std::uint64_t& sum, std::uint64_t part) { return !__builtin_add_overflow(sum, part, &sum); }

std::string words(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& word : list) out += (out.empty() ? "" : " ") + word;
    return out;
}

std::string day_of(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

Quantity quantity_of(const ContractUsage& part) { return {part.events, part.bytes, part.minutes}; }

constexpr const char* kNotOfMonth = "usage that is not of the month, or too much of it to count";

}  // namespace

Error BillRating::refused(const std::string& why) const { return {Errc::internal, "contract " + like_.contract + ": " + why, {}}; }

Result<BillRating> BillRating::make(const BillOf& of) {
    const auto& contract = of.contract;
    BillRating out;
    out.like_.contract = contract.name;
    const auto month = metering::parse_month(of.period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    const auto exponent = contract.prices.empty() ? std::nullopt : metering::currency_exponent(contract.prices.front().price.currency);
    if (!exponent) return out.refused("no readable price");
    out.exponent_ = *exponent;
    auto& like = out.like_;
    like.party = contract.party;
    like.region = of.region;
    like.purpose = words(contract.purposes);
    like.jurisdiction = of.jurisdiction;
    like.currency = contract.prices.front().price.currency;
    like.charge_period = of.period;
    // Of an ended contract that does not say until when it stood (none is written any more) the usage is owed, and no minimum.
    out.minimum_due_ = of.finished && (contract.state != ports::ContractState::ended || contract.valid_until.value != 0);
    const auto& prices = contract.prices;
    for (std::size_t i = 0; i < prices.size(); ++i) {
        const auto start = parse_date(prices[i].from).value_or(month->from);
        const auto end = i + 1 < prices.size() ? parse_date(prices[i + 1].from).value_or(month->to) : month->to;
        const UtcMillis from = std::max(start, month->from), to = std::min(end, month->to);
        if (from < to)
            out.segments_.push_back({from, to, {days_standing(contract, from, to), month->days()}, metering::Rating(prices[i].price), false});
    }
    return out;
}

BillRating::Segment* BillRating::segment(std::string_view day) {
    if (of_day_ != nullptr && day == day_) return of_day_;
    const auto at = parse_date(day);
    const auto found = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) { return at && *at >= s.from && *at < s.to; });
    if (found == segments_.end()) return nullptr;
    day_ = day;
    of_day_ = &*found;
    return of_day_;
}

Status BillRating::count(const ContractUsage& part) {
    auto* const of = segment(part.day);
    if (of == nullptr) return refused(kNotOfMonth);
    of->used = true;
    of->rating.count(quantity_of(part));
    return success();
}

Status BillRating::rate() {
    for (auto& segment : segments_) {
        auto share = segment.share;
        if (segment.used) share.days = std::max(share.days, 1U);  // a day at the least: a node's clock may be ahead of the day it begins
        const auto rated = segment.rating.rate(share, minimum_due_);
        if (!rated) return refused(rated.error().detail);
        total_ += rated->total;  // at most 31 prices of a month, each below 10^18
        for (const auto& [kind, amount] :
             {std::pair{LineKind::discount, rated->discount}, {LineKind::minimum, rated->minimum}, {LineKind::cap, rated->cap}}) {
            if (amount == metering::Decimal{}) continue;
            AccountLine line = like_;
            line.kind = kind;
            line.amount = amount;
            if (segments_.size() > 1) line.reason = day_of(segment.from) + " to " + day_of({segment.to.value - kDayMillis});
            others_.push_back(std::move(line));
        }
    }
    return success();
}

bool BillRating::settled() const noexcept {
    return std::all_of(segments_.begin(), segments_.end(), [](const Segment& s) { return s.rating.settled(); });
}

void BillRating::weigh(const ContractUsage& part) {
    if (auto* const of = segment(part.day); of != nullptr && !of->rating.settled()) of->rating.weigh(quantity_of(part));
}

void BillRating::weighed() {
    for (auto& segment : segments_)
        if (!segment.rating.settled()) segment.rating.weighed();
}

void BillRating::begin() noexcept {
    for (auto& segment : segments_) segment.rating.begin();
}

AccountLine BillRating::line(const ContractUsage& part) {
    AccountLine out = like_;
    out.day = part.day;
    out.product = part.product;
    out.region = part.region;
    out.view = part.view;
    out.events = part.events;
    out.bytes = part.bytes;
    out.minutes = part.minutes;
    if (auto* const of = segment(part.day); of != nullptr) out.amount = of->rating.amount(quantity_of(part));
    return out;
}

Result<ContractBill> bill_contract(const BillOf& of, std::span<const ContractUsage> usage) {
    auto rating = BillRating::make(of);
    if (!rating) return rating.error();
    std::map<Key, ContractUsage> parts;
    for (const auto& part : usage) {
        const auto [at, first] = parts.try_emplace({part.day, part.product, part.region, part.view}, part);
        auto& sum = at->second;
        if (!first && !(add(sum.events, part.events) && add(sum.bytes, part.bytes) && add(sum.minutes, part.minutes)))
            return Error{Errc::internal, "contract " + of.contract.name + ": " + kNotOfMonth, {}};
    }
    for (const auto& [key, part] : parts)
        if (auto counted = rating->count(part); !counted) return counted.error();
    if (auto rated = rating->rate(); !rated) return rated.error();
    while (!rating->settled()) {
        for (const auto& [key, part] : parts) rating->weigh(part);
        rating->weighed();
    }
    ContractBill out{of.contract.name, rating->currency(), rating->exponent(), {}, rating->total()};
    rating->begin();
    for (const auto& [key, part] : parts) out.lines.push_back(rating->line(part));
    std::copy(rating->others().begin(), rating->others().end(), std::back_inserter(out.lines));
    for (std::size_t i = 0; i < out.lines.size(); ++i) out.lines[i].no = i + 1;
    return out;
}

}  // namespace licet::app
