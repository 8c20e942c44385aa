#include "server/exports/groups.h"

#include <algorithm>

#include "base/usage_limits.h"

namespace licet::exports {

const std::string& field(const ports::AccountLine& line, std::string_view group) noexcept {
    if (group == "contract") return line.contract;
    if (group == "product") return line.product;
    if (group == "view") return line.view;
    if (group == "purpose") return line.purpose;
    if (group == "jurisdiction") return line.jurisdiction;
    if (group == "region") return line.region;
    return line.day;
}

Result<std::vector<std::string>> parse_groups(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const auto item = text.substr(0, comma);
        if (std::find(kGroups.begin(), kGroups.end(), item) == kGroups.end() || comma == text.size() - 1)
            return Error{Errc::invalid_parameter, "expected a list of contract, product, view, purpose, jurisdiction, region, day", "query:group"};
        if (std::find(out.begin(), out.end(), item) == out.end()) out.emplace_back(item);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return out;
}

Status GroupSums::add(const ports::Account& account, const ports::AccountLine& line) {
    Key key;
    key.reserve(groups_.size() + 1);
    for (const auto& group : groups_) key.push_back(field(line, group));
    key.push_back(line.currency);
    if (sums_.size() >= limits::export_groups_max && !sums_.contains(key))
        return Error{Errc::invalid_parameter,
                     "more than " + std::to_string(limits::export_groups_max) + " groups: group by less, or not at all for the finest lines",
                     "query:group"};
    auto& sum = sums_[std::move(key)];
    sum.events += line.events;
    sum.bytes += line.bytes;
    sum.minutes += line.minutes;
    sum.amount += line.amount;
    sum.exponent = account.exponent;
    sum.closed = sum.closed && account.closed;
    return success();
}

void Totals::add(const std::string& currency, int exponent, const metering::Decimal& amount) {
    auto& total = totals_[currency];
    total.amount += amount;
    total.exponent = exponent;
}

std::string Totals::text() const {
    std::string out;
    for (const auto& [currency, total] : totals_)
        out += (out.empty() ? "" : ";") + currency + " " + std::to_string(total.exponent) + " " + total.amount.text(metering::Decimal::kScale);
    return out;
}

bool Totals::parse(std::string_view text) {
    totals_.clear();
    while (!text.empty()) {
        const auto end = text.find(';');
        const auto one = text.substr(0, end);
        if (one.size() < 7 || one[3] != ' ' || one[5] != ' ' || one[4] < '0' || one[4] > '9') return false;
        const auto amount = metering::Decimal::parse(one.substr(6));
        if (!amount) return false;
        totals_[std::string(one.substr(0, 3))] = {*amount, one[4] - '0'};
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return true;
}

}  // namespace licet::exports
