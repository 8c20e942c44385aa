#include "server/app/usage_reports.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "server/app/contract_bills.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kGroups{"contract", "product", "day", "region"};

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

void add(ports::UsageCount& sum, const ports::UsageCount& part) {
    sum.events += part.events;
    sum.bytes += part.bytes;
}

// The sums of a contract's lines by kind and group, usage first.
class Grouped {
  public:
    explicit Grouped(const std::vector<std::string>& group) : group_(group) {}
    void add(const ports::AccountLine& l, int exponent) {
        UsageLine key{l.contract, by("product") ? l.product : "", by("day") ? l.day : "", by("region") ? l.region : "", l.kind};
        auto& line = sums_.try_emplace({l.kind, key.product, key.day, key.region}, key).first->second;
        line.events += l.events;
        line.bytes += l.bytes;
        line.minutes += l.minutes;
        line.amount += l.amount;
        line.currency = l.currency;
        line.exponent = exponent;
    }
    void append_to(std::vector<UsageLine>& lines) {
        for (auto& [key, line] : sums_) lines.push_back(std::move(line));
    }

  private:
    [[nodiscard]] bool by(std::string_view name) const { return std::find(group_.begin(), group_.end(), name) != group_.end(); }

    const std::vector<std::string>& group_;
    std::map<std::tuple<ports::LineKind, std::string, std::string, std::string>, UsageLine> sums_;
};

}  // namespace

Result<bool> UsageReports::is_closed(std::string_view period) const {
    if (!billing_ || !accounts_) return false;
    const auto closed = billing_->closed();
    if (!closed) return closed.error();
    return std::any_of(closed->begin(), closed->end(), [&](const ports::ClosedPeriod& c) { return c.period == period; });
}

// Line by line: what is held is sums.
Result<UsageReport> UsageReports::stated(UsageReport report, std::string_view party) const {
    report.closed = true;
    const auto read = accounts_->read({report.period, {}, std::string(party)}, [&](ports::AccountsReading& reading) -> Status {
        for (const auto& account : reading.accounts()) {
            report.statements.push_back({account.contract, account.statement, account.hash, account.closed_at});
            report.books.push_back(
                {account.contract, account.books.delivered, account.books.billed, account.books.unbilled, account.books.suspense_offsets});
            Grouped sums(report.group);
            std::uint64_t lines = 0;
            const auto told = reading.lines(account.contract, 0, [&](const ports::AccountLine& line) {
                sums.add(line, account.exponent);
                ++lines;
                return success();
            });
            if (!told) return told;
            if (lines != account.lines)
                return Error{Errc::corrupt, "statement " + std::to_string(account.statement) + " has other lines than it states", {}};
            sums.append_to(report.lines);
        }
        return success();
    });
    if (!read) return read.error();
    return report;
}

Result<UsageReport> UsageReports::report(const Snapshot& snapshot, std::string_view period, std::string_view group, std::string_view party) const {
    const auto month = metering::parse_month(period);
    if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    auto groups = parse_group(group);
    if (!groups) return groups.error();
    const auto closed = is_closed(period);
    if (!closed) return closed.error();
    if (*closed) return stated({std::string(period), *std::move(groups), {}, {}}, party);
    const auto totals = ledger_->totals(month->from, month->to, {});
    if (!totals) return totals.error();
    const bool finished = clock_->utc_now() >= month->to;
    const auto bills = bill_contracts(snapshot, {std::string(period), region_, std::string(party), finished}, *totals);
    if (!bills) return bills.error();
    UsageReport out{std::string(period), *std::move(groups), {}, {}};
    for (const auto& bill : *bills) {
        Grouped sums(out.group);
        for (const auto& line : bill.lines) sums.add(line, bill.exponent);
        sums.append_to(out.lines);
    }
    const auto mine = [&](const ports::Contract* contract) { return party.empty() || (contract != nullptr && contract->party == party); };
    const auto balance = ledger_->balance(month->from, month->to);
    if (!balance) return balance.error();
    std::map<std::string, UsageBooks> books;
    for (const auto& b : *balance) {
        const auto* contract = snapshot.contract(b.contract);
        if (!mine(contract)) continue;
        if (contract == nullptr)
            return Error{
                Errc::internal, "the books hold contract number " + std::to_string(b.contract.value) + ", which the catalog does not hold", {}};
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
        json line{{"contract", l.contract}, {"kind", line_kind_name(l.kind)},     {"events", l.events}, {"bytes", l.bytes}, {"minutes", l.minutes},
                  {"currency", l.currency}, {"amount", l.amount.text(l.exponent)}};
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
    json statements = json::array();
    for (const auto& s : report.statements)
        statements.push_back({{"contract", s.contract}, {"number", s.number}, {"hash", s.hash}, {"closedAt", format_rfc3339(s.closed_at)}});
    return {{"period", report.period},   {"closed", report.closed},   {"statements", std::move(statements)}, {"lines", std::move(lines)},
            {"totals", std::move(sums)}, {"books", std::move(books)}, {"suspenseOffsets", suspense}};
}

std::string to_csv(const UsageReport& report) {
    std::string out = "period";
    for (const auto& g : report.group) out += "," + g;
    out += ",kind,events,bytes,minutes,currency,amount,statement,hash\r\n";
    std::map<std::string_view, const UsageStatement*> statements;
    for (const auto& s : report.statements) statements[s.contract] = &s;
    for (const auto& l : report.lines) {
        out += report.period;
        for (const auto& g : report.group)
            out += "," + csv_cell(g == "contract" ? l.contract : g == "product" ? l.product : g == "day" ? l.day : l.region);
        out += "," + std::string(line_kind_name(l.kind)) + "," + std::to_string(l.events) + "," + std::to_string(l.bytes) + "," +
               std::to_string(l.minutes) + "," + l.currency + "," + l.amount.text(l.exponent);
        const auto statement = statements.find(l.contract);
        out += statement == statements.end() ? ",," : "," + std::to_string(statement->second->number) + "," + statement->second->hash;
        out += "\r\n";
    }
    return out;
}

}  // namespace licet::app
