#include "server/app/usage_reports.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kGroups{"contract", "product", "day", "region"};

struct Month {
    UtcMillis from, to;
};
std::optional<Month> parse_month(std::string_view text) {
    if (text.size() != 7) return std::nullopt;
    const std::string first = std::string(text) + "-01";
    const auto from = parse_date(first);
    if (!from) return std::nullopt;
    const int year = std::stoi(first.substr(0, 4)), month = std::stoi(first.substr(5, 2));
    std::string next = std::to_string((month == 12 ? year + 1 : year) * 100 + (month == 12 ? 1 : month + 1));  // YYYYMM
    next = std::string(6 - std::min<std::size_t>(next.size(), 6), '0') + next;
    const auto to = parse_date(next.substr(0, 4) + "-" + next.substr(4, 2) + "-01");
    if (!to) return std::nullopt;
    return Month{*from, *to};
}

Result<std::vector<std::string>> parse_group(std::string_view text) {
    std::vector<std::string> out{"contract"};
    if (text.empty()) return out;
    for (;;) {
        const auto comma = text.find(',');
        const auto item = text.substr(0, comma);
        if (std::find(kGroups.begin(), kGroups.end(), item) == kGroups.end())
            return Error{Errc::invalid_parameter, "expected a list of contract, product, day, region", "query:group"};
        if (std::find(out.begin(), out.end(), item) == out.end()) out.emplace_back(item);
        if (comma == std::string_view::npos) return out;
        text.remove_prefix(comma + 1);
    }
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

Error unknown_usage(ContractNo contract, ProductNo product) {
    return {Errc::internal,
            "the ledger holds usage of contract number " + std::to_string(contract.value) + " on product number " + std::to_string(product.value) +
                ", which the catalog does not hold",
            {}};
}

void add(ports::UsageCount& sum, const ports::UsageCount& part) {
    sum.events += part.events;
    sum.bytes += part.bytes;
}

}  // namespace

Result<UsageReport> UsageReports::report(const Snapshot& snapshot, std::string_view period, std::string_view group, std::string_view party) const {
    const auto month = parse_month(period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    auto groups = parse_group(group);
    if (!groups) return groups.error();
    const auto totals = ledger_->totals(month->from, month->to, {});
    if (!totals) return totals.error();
    const auto by = [&](std::string_view name) { return std::find(groups->begin(), groups->end(), name) != groups->end(); };
    const auto mine = [&](const ports::Contract* contract) { return party.empty() || (contract != nullptr && contract->party == party); };

    std::map<std::tuple<std::string, std::string, std::string, std::string>, UsageLine> lines;
    for (const auto& total : *totals) {
        const auto* contract = snapshot.contract(total.contract);
        if (!mine(contract)) continue;
        const auto* product = snapshot.product(total.product);
        // Finance must not miss a line in silence.
        if (contract == nullptr || product == nullptr) return unknown_usage(total.contract, total.product);
        UsageLine key{contract->name, by("product") ? product->product.name : "", by("day") ? total.day : "", by("region") ? total.region : ""};
        auto& line = lines.try_emplace({key.contract, key.product, key.day, key.region}, key).first->second;
        line.events += total.events;
        line.bytes += total.bytes;
    }
    UsageReport out{std::string(period), *std::move(groups), {}, {}};
    for (auto& [key, line] : lines) {
        const auto& price = snapshot.contract(line.contract)->price;
        const auto per_event = metering::Decimal::parse(price.per_event), per_mb = metering::Decimal::parse(price.per_mb);
        if (!per_event || !per_mb) return Error{Errc::internal, "contract " + line.contract + " has no readable price", {}};
        const auto amount = metering::rate({price.currency, *per_event, *per_mb}, line.events, line.bytes);
        if (!amount) return Error{Errc::internal, "the amount of contract " + line.contract + " has too many digits", {}};
        line.currency = price.currency;
        line.amount = *amount;
        line.exponent = metering::currency_exponent(price.currency).value_or(2);
        out.lines.push_back(std::move(line));
    }
    const auto balance = ledger_->balance(month->from, month->to);
    if (!balance) return balance.error();
    std::map<std::string, UsageBooks> books;
    for (const auto& b : *balance) {
        const auto* contract = snapshot.contract(b.contract);
        if (!mine(contract)) continue;
        if (contract == nullptr) return unknown_usage(b.contract, b.product);
        auto& sum = books.try_emplace(contract->name, UsageBooks{contract->name, {}, {}, {}, 0}).first->second;
        add(sum.delivered, b.delivered);
        add(sum.billed, b.billed);
        add(sum.unbilled, b.unbilled);
        sum.suspense_offsets += b.suspense_offsets;
    }
    for (auto& [name, sum] : books) out.books.push_back(std::move(sum));
    return out;
}

json to_json(const UsageReport& report) {
    json lines = json::array();
    std::map<std::string, std::pair<metering::Decimal, int>> totals;
    for (const auto& l : report.lines) {
        json line{
            {"contract", l.contract}, {"events", l.events}, {"bytes", l.bytes}, {"currency", l.currency}, {"amount", l.amount.text(l.exponent)}};
        if (!l.product.empty()) line["product"] = l.product;
        if (!l.day.empty()) line["day"] = l.day;
        if (!l.region.empty()) line["region"] = l.region;
        lines.push_back(std::move(line));
        totals[l.currency].first += l.amount;
        totals[l.currency].second = l.exponent;
    }
    json sums = json::array();
    for (const auto& [currency, total] : totals) sums.push_back({{"currency", currency}, {"amount", total.first.text(total.second)}});
    json books = json::array();
    std::uint64_t suspense = 0;
    const auto count = [](const ports::UsageCount& c) { return json{{"events", c.events}, {"bytes", c.bytes}}; };
    for (const auto& b : report.books) {
        books.push_back({{"contract", b.contract},
                         {"delivered", count(b.delivered)},
                         {"billed", count(b.billed)},
                         {"unbilled", count(b.unbilled)},
                         {"suspenseOffsets", b.suspense_offsets},
                         {"balanced", b.balanced()}});
        suspense += b.suspense_offsets;
    }
    return {{"period", report.period},
            {"lines", std::move(lines)},
            {"totals", std::move(sums)},
            {"books", std::move(books)},
            {"suspenseOffsets", suspense}};
}

std::string to_csv(const UsageReport& report) {
    std::string out = "period";
    for (const auto& g : report.group) out += "," + g;
    out += ",events,bytes,currency,amount\r\n";
    for (const auto& l : report.lines) {
        out += report.period;
        for (const auto& g : report.group)
            out += "," + csv_cell(g == "contract" ? l.contract : g == "product" ? l.product : g == "day" ? l.day : l.region);
        out += "," + std::to_string(l.events) + "," + std::to_string(l.bytes) + "," + l.currency + "," + l.amount.text(l.exponent) + "\r\n";
    }
    return out;
}

}  // namespace licet::app
