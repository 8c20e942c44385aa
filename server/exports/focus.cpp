// FOCUS 1.4: CostAndUsage, a row per line; InvoiceDetail, a row per invoice, product and kind of charge; BillingPeriod, one row. What is said where
// is in docs/exports.md.
#include <map>
#include <tuple>

#include "metering/csv.h"
#include "metering/focus.h"
#include "metering/month.h"
#include "server/exports/groups.h"
#include "server/exports/layouts.h"
#include "server/exports/text.h"

namespace licet::exports {

std::string invoice_number(const ports::Account& account, const Issuer& issuer) { return issuer.region + "-" + std::to_string(account.statement); }

namespace {

using metering::CsvRow;
using metering::FocusDataset;
using ports::LineKind;

std::string header(FocusDataset dataset) {
    std::string out;
    for (const auto column : metering::focus_written(dataset)) out.append(out.empty() ? "" : ",").append(column);
    return out + "\r\n";
}

std::string issuer_name(const ports::Issuer& issuer) { return issuer.name.empty() ? "Not configured" : issuer.name; }

bool measured(const ports::AccountLine& line) { return line.kind == LineKind::usage || (line.kind == LineKind::correction && line.events > 0); }

std::string_view category_of(const ports::AccountLine& line) { return measured(line) ? "Usage" : "Adjustment"; }
std::string_view frequency_of(LineKind kind) {
    return kind == LineKind::usage ? "Usage-Based" : kind == LineKind::correction ? "One-Time" : "Recurring";
}
// What is charged for: the product, and the contract itself for what is of no product.
std::string service_of(const ports::AccountLine& line) { return line.product.empty() ? "Contract " + line.contract : line.product; }

// Exact: "1.5", "0.000001", "3".
std::string megabytes(std::uint64_t bytes) {
    std::string rest = std::to_string(1'000'000 + bytes % 1'000'000).substr(1);
    rest.resize(rest.find_last_not_of('0') + 1);
    return std::to_string(bytes / 1'000'000) + (rest.empty() ? "" : "." + rest);
}

std::string describe(const ports::AccountLine& line) {
    switch (line.kind) {
        case LineKind::usage:
            return "Events of " + service_of(line);
        case LineKind::discount:
            return "Discount on " + service_of(line);
        case LineKind::minimum:
            return "Minimum commitment of contract " + line.contract;
        case LineKind::cap:
            return "Cap of contract " + line.contract;
        case LineKind::correction:
            break;
    }
    return "Correction of " + line.charge_period + (line.reason.empty() ? "" : ": " + line.reason);
}

// Fixed for a closed account, so that a row of one dataset finds its row in the other.
std::string invoice_detail_id(const ports::Account& account, const Issuer& issuer, const ports::AccountLine& line) {
    return invoice_number(account, issuer) + "/" + std::string(ports::line_kind_name(line.kind)) + "/" + std::string(category_of(line)) + "/" +
           line.product;
}

// A day's usage is charged for that day, all else for the month it is of.
metering::Month charge_period_of(const ports::Account& account, const ports::AccountLine& line) {
    if (!line.day.empty())
        if (const auto day = parse_date(line.day)) return {*day, {day->value + metering::kDayMillis}};
    if (!line.charge_period.empty())
        if (const auto month = metering::parse_month(line.charge_period)) return *month;
    return {account.from, account.to};
}

class CostAndUsage final : public Layout {
  public:
    explicit CostAndUsage(Issuer issuer) : issuer_(std::move(issuer)) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out += header(FocusDataset::cost_and_usage);
        return success();
    }
    Status line(const ports::Account& a, const ports::AccountLine& l, std::string& out) override {
        const std::string amount = l.amount.text(a.exponent), seller = issuer_name(issuer_of(a, issuer_));
        const auto charged = charge_period_of(a, l);
        CsvRow row(out);
        row.raw(amount).text(a.party).text(a.party_title).raw(l.currency).raw(date_time(a.to)).raw(date_time(a.from)).raw(category_of(l));
        row.raw(l.kind == LineKind::correction ? "Correction" : "").text(describe(l)).raw(frequency_of(l.kind));
        row.raw(date_time(charged.to)).raw(date_time(charged.from));
        quantity(row, l);                     // ConsumedQuantity, ConsumedUnit
        row.raw(amount).raw(amount).empty();  // ContractedCost, EffectiveCost, HostProviderName
        row.text(a.closed ? invoice_detail_id(a, issuer_, l) : "").text(a.closed ? invoice_number(a, issuer_) : "").text(seller).raw(amount);
        pricing(row, a, l);  // PricingQuantity, PricingUnit
        row.text(l.region).text(l.region).raw("Integration").text(service_of(l)).text(seller).raw("Messaging").text(a.contract).text(a.contract);
        row.number(l.no)
            .raw(ports::line_kind_name(l.kind))
            .text(l.view)
            .text(l.purpose)
            .text(l.jurisdiction)
            .number(l.bytes)
            .number(l.minutes)
            .text(l.reason);
        row.raw(a.closed ? "Closed" : "Open").raw(a.hash).end();
        return success();
    }
    Status end(std::string&) override { return success(); }
    std::optional<std::string> state() const override { return ""; }
    bool restore(const std::vector<ports::Account>&, const std::string& state) override { return state.empty(); }

  private:
    static void quantity(CsvRow& row, const ports::AccountLine& l) {
        if (measured(l))
            row.number(l.events).raw("Events");
        else
            row.empty().empty();
    }
    // A correction was priced as the month it corrects, by whatever was counted then.
    static void pricing(CsvRow& row, const ports::Account& a, const ports::AccountLine& l) {
        if (l.kind != LineKind::usage)
            row.empty().empty();
        else if (a.priced == metering::Metric::megabytes)
            row.raw(megabytes(l.bytes)).raw("MB");
        else if (a.priced == metering::Metric::minutes)
            row.number(l.minutes).raw("Minutes");
        else
            row.number(l.events).raw("Events");
    }
    const Issuer issuer_;
};

class InvoiceDetail final : public Layout {
  public:
    InvoiceDetail(Issuer issuer, UtcMillis now) : issuer_(std::move(issuer)), now_(now) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out += header(FocusDataset::invoice_detail);
        return success();
    }
    Status line(const ports::Account& a, const ports::AccountLine& l, std::string&) override {
        auto& row = rows_[{l.kind, std::string(category_of(l)), l.product}];
        if (row.id.empty()) {
            row.id = invoice_detail_id(a, issuer_, l);
            row.description = l.kind == LineKind::correction ? "Corrections of " + service_of(l) : describe(l);
            row.service = service_of(l);
        }
        row.amount += l.amount;
        return success();
    }
    Status account_end(const ports::Account& a, std::string& out) override {
        const std::string number = a.closed ? invoice_number(a, issuer_) : "DRAFT-" + a.contract + "-" + a.period;
        const std::string made = date_time(a.closed ? a.closed_at : now_);
        const auto& seller = issuer_of(a, issuer_);
        for (const auto& [key, detail] : rows_) {
            const auto& [kind, category, product] = key;
            const std::string grain = "{\"SubAccountId\":" + json_text(a.contract) + ",\"ServiceName\":" + json_text(detail.service) +
                                      ",\"x_LineKind\":\"" + std::string(ports::line_kind_name(kind)) + "\"}";
            CsvRow row(out);
            row.raw(detail.amount.text(a.exponent)).text(a.party).raw(a.currency).raw(date_time(a.to)).raw(date_time(a.from)).raw(category);
            row.raw(made).text(detail.description).raw(grain).text(a.closed ? detail.id : number + detail.id.substr(detail.id.find('/'))).raw(made);
            row.text(number).raw(a.closed ? made : "").raw(a.closed ? "Issued" : "Open").text(issuer_name(seller)).empty();
            row.text(seller.payment_terms.empty() ? "Not stated" : seller.payment_terms)
                .text(number)
                .text(a.contract)
                .raw(ports::line_kind_name(kind))
                .raw(a.hash)
                .end();
        }
        rows_.clear();
        return success();
    }
    Status end(std::string&) override { return success(); }
    // Between accounts nothing is held.
    std::optional<std::string> state() const override { return rows_.empty() ? std::optional<std::string>("") : std::nullopt; }
    bool restore(const std::vector<ports::Account>&, const std::string& state) override { return state.empty(); }

  private:
    struct Detail {
        std::string id, description, service;
        metering::Decimal amount;
    };
    const Issuer issuer_;
    const UtcMillis now_;
    std::map<std::tuple<LineKind, std::string, std::string>, Detail> rows_;  // by kind, category, product: a contract has few
};

class BillingPeriod final : public Layout {
  public:
    BillingPeriod(Issuer issuer, std::string period, UtcMillis now) : issuer_(std::move(issuer)), period_(std::move(period)), now_(now) {}
    bool wants_lines() const override { return false; }
    void period_closed(std::optional<UtcMillis> at) override { closed_at_ = at; }
    Status begin(const std::vector<ports::Account>& accounts, std::string& out) override {
        out += header(FocusDataset::billing_period);
        const auto month = metering::parse_month(period_);
        if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
        CsvRow row(out);
        row.raw(date_time(month->from)).raw(date_time(month->to)).raw(date_time(closed_at_.value_or(now_))).raw(date_time(month->from));
        row.raw(closed_at_ ? "Closed" : "Open");
        row.text(issuer_name(accounts.empty() ? issuer_ : issuer_of(accounts.front(), issuer_))).end();
        return success();
    }
    Status line(const ports::Account&, const ports::AccountLine&, std::string&) override { return success(); }
    Status end(std::string&) override { return success(); }

  private:
    const Issuer issuer_;
    const std::string period_;
    const UtcMillis now_;
    std::optional<UtcMillis> closed_at_;
};

}  // namespace

std::unique_ptr<Layout> focus_layout(const Wanted& wanted, const Issuer& issuer, UtcMillis now) {
    if (wanted.report == Report::cost_and_usage) return std::make_unique<CostAndUsage>(issuer);
    if (wanted.report == Report::invoice_detail) return std::make_unique<InvoiceDetail>(issuer, now);
    return std::make_unique<BillingPeriod>(issuer, wanted.accounts.period, now);
}

}  // namespace licet::exports
