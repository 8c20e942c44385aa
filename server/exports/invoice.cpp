// An invoice per contract as print-ready HTML, with the totals of EN 16931; an open period's says DRAFT, and what nobody configured is said to be
// missing.
#include "metering/invoice.h"

#include <map>
#include <tuple>

#include "base/usage_limits.h"
#include "server/exports/groups.h"
#include "server/exports/layouts.h"
#include "server/exports/text.h"

namespace licet::exports {
namespace {

using metering::Decimal;
using ports::LineKind;

constexpr std::string_view kStyle =
    "@page{size:A4;margin:18mm}body{font:10pt/1.4 sans-serif;color:#111;margin:0}section{break-after:page}section:last-child{break-after:auto}"
    "h1{font-size:18pt;margin:0 0 4mm}table{border-collapse:collapse;width:100%;margin:3mm 0}th,td{text-align:left;padding:1mm 2mm;"
    "border-bottom:.2mm solid #bbb;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "thead{display:table-header-group}tr{break-inside:avoid}.parties{display:flex;gap:10mm}.parties>div{flex:1}.missing{color:#a00}"
    ".draft{border:.6mm solid #a00;color:#a00;font-size:14pt;font-weight:bold;padding:2mm 4mm;display:inline-block}"
    ".totals{width:auto;margin-left:auto}.due td{font-weight:bold;border-top:.4mm solid #111}small{color:#444}";

std::string missing(std::string_view what) { return "<span class=\"missing\">" + html_text(what) + ": not configured</span>"; }

std::string stated(std::string_view value, std::string_view what) { return value.empty() ? missing(what) : html_text(value); }

// What a discount, a cap or a minimum takes away is an allowance, what it adds a charge; the rest are lines.
enum class Part : std::uint8_t { line, allowance, charge };

struct Item {
    std::uint64_t events = 0, bytes = 0, minutes = 0;
    Decimal net;
};

// The terms for usage of a month (YYYY-MM); null when there are none.
const Issuer::Tax* tax_terms(const Issuer& issuer, const std::string& country, const std::string& month) {
    const Issuer::Tax* out = nullptr;
    for (const auto& tax : issuer.tax)
        if (tax.country == country && tax.from <= month && (out == nullptr || tax.from > out->from)) out = &tax;
    return out;
}

Decimal negated(const Decimal& value) {
    const std::string text = value.text(Decimal::kScale);
    return Decimal::parse(text.front() == '-' ? text.substr(1) : "-" + text).value_or(Decimal{});
}

class Invoice final : public Layout {
  public:
    Invoice(Issuer issuer, UtcMillis now) : issuer_(std::move(issuer)), now_(now) {}

    Status begin(const std::vector<ports::Account>& accounts, std::string& out) override {
        out += "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
               std::string(accounts.size() == 1 ? "Invoice " : "Invoices ") + html_text(accounts.empty() ? "" : accounts.front().period) +
               "</title><style>" + std::string(kStyle) + "</style></head><body>\n";
        if (accounts.empty()) out += "<p>No contract has an account in this period.</p>\n";
        return success();
    }

    Status line(const ports::Account&, const ports::AccountLine& l, std::string&) override {
        Part part = Part::line;
        if (l.kind == LineKind::discount || l.kind == LineKind::cap || l.kind == LineKind::minimum)
            part = l.amount.negative() ? Part::allowance : Part::charge;
        const bool correction = l.kind == LineKind::correction;
        const Key key{part, l.kind, l.product, correction ? l.charge_period : "", correction ? l.reason : ""};
        if (items_.size() >= limits::export_groups_max && !items_.contains(key))
            return Error{Errc::invalid_parameter, "an invoice of more than " + std::to_string(limits::export_groups_max) + " positions",
                         "query:contract"};
        auto& item = items_[key];
        item.events += l.events;
        item.bytes += l.bytes;
        item.minutes += l.minutes;
        item.net += l.amount;
        return success();
    }

    Status account_end(const ports::Account& a, std::string& out) override {
        metering::InvoiceParts parts;
        bool taxed = true;                                                          // every position has a class, or none is stated
        std::map<std::pair<std::string, std::string>, const Issuer::Tax*> classes;  // by category and rate
        const auto tax_of = [&](const Key& key) -> std::optional<metering::TaxClass> {
            // A correction is taxed as what it corrects.
            const auto& corrected = std::get<3>(key);
            const auto* tax = tax_terms(issuer_, a.party_country, corrected.empty() ? a.period : corrected);
            taxed = taxed && tax != nullptr;
            if (tax == nullptr) return std::nullopt;
            const auto rate = Decimal::parse(tax->rate).value_or(Decimal{});
            classes.emplace(std::pair(tax->category, rate.text(Decimal::kScale)), tax);
            return metering::TaxClass{tax->category, rate};
        };
        for (const auto& [key, item] : items_) {
            const Part part = std::get<0>(key);
            const auto tax = tax_of(key);
            if (part == Part::line) parts.lines.push_back({item.net, tax});
            if (part == Part::allowance) parts.allowances.push_back({negated(item.net), tax});
            if (part == Part::charge) parts.charges.push_back({item.net, tax});
        }
        taxed = taxed && !items_.empty();
        if (!taxed)
            for (auto* items : {&parts.lines, &parts.allowances, &parts.charges})
                for (auto& item : *items) item.tax.reset();
        const auto totals = metering::invoice_totals(parts, a.exponent);
        if (!totals) return Error{Errc::internal, "the totals of contract " + a.contract + " have too many digits", {}};
        out += "<section>\n";
        head(a, totals->payable.negative(), out);
        positions(a, out);
        sums(a, *totals, taxed ? &classes : nullptr, out);
        foot(a, out);
        out += "</section>\n";
        items_.clear();
        return success();
    }

    Status end(std::string& out) override {
        out += "</body></html>\n";
        return success();
    }
    std::optional<std::string> state() const override { return items_.empty() ? std::optional<std::string>("") : std::nullopt; }
    bool restore(const std::vector<ports::Account>&, const std::string& state) override { return state.empty(); }

  private:
    using Key = std::tuple<Part, LineKind, std::string, std::string, std::string>;  // product; of a correction the month it corrects, and why
    using Classes = std::map<std::pair<std::string, std::string>, const Issuer::Tax*>;

    void head(const ports::Account& a, bool credit, std::string& out) const {
        if (!a.closed) out += "<p class=\"draft\">DRAFT of an open period: not an invoice</p>\n";
        out += std::string(credit ? "<h1>Credit note " : "<h1>Invoice ") + (a.closed ? html_text(invoice_number(a, issuer_)) : "(no number yet)") +
               " <small>type " + (credit ? "381" : "380") +
               " (BT-3)</small></h1>\n<div class=\"parties\"><div><small>Seller "
               "(BG-4)</small><br>";
        out += stated(issuer_.name, "seller's name") + "<br>";
        if (issuer_.address.empty()) out += missing("seller's address") + "<br>";
        for (const auto& address : issuer_.address) out += html_text(address) + "<br>";
        out += "Country: " + stated(issuer_.country, "seller's country") +
               "<br>VAT identifier: " + stated(issuer_.vat_id, "seller's VAT identifier") +
               "<br>Registration: " + stated(issuer_.registration, "seller's registration") + "</div>\n<div><small>Buyer (BG-7)</small><br>";
        out += html_text(a.party_title.empty() ? a.party : a.party_title) + "<br>Account: " + html_text(a.party) +
               "<br>Country: " + stated(a.party_country, "buyer's country") + "<br>" + missing("buyer's address") + "<br>" +
               missing("buyer's VAT identifier") + "</div></div>\n";
        out +=
            "<table><tr><th>Contract</th><th>Invoicing period (BG-14)</th><th>Issue date (BT-2)</th><th>Currency (BT-5)</th><th>Payment terms (BT-20)"
            "</th></tr><tr><td>" +
            html_text(a.contract) + "</td><td>" + date(a.from) + " to " + date({a.to.value - 1}) + " (UTC)</td><td>" +
            (a.closed ? date(a.closed_at) : "draft of " + date_time(now_)) + "</td><td>" + html_text(a.currency) + "</td><td>" +
            stated(issuer_.payment_terms, "payment terms") + "</td></tr></table>\n";
    }

    void positions(const ports::Account& a, std::string& out) const {
        out +=
            "<table><thead><tr><th>Position</th><th class=\"n\">Events</th><th class=\"n\">Bytes</th><th class=\"n\">Minutes</th><th class=\"n\">Net "
            "amount</th></tr></thead><tbody>\n";
        if (items_.empty()) out += "<tr><td colspan=\"5\">Nothing is charged in this period.</td></tr>\n";
        for (const auto& [key, item] : items_) {
            const auto& [part, kind, product, month, why] = key;
            std::string name;
            if (kind == LineKind::usage) name = "Events of " + (product.empty() ? "all products" : product);
            if (kind == LineKind::discount) name = "Discount" + (product.empty() ? "" : " on " + product);
            if (kind == LineKind::minimum) name = "Minimum commitment";
            if (kind == LineKind::cap) name = "Cap";
            if (kind == LineKind::correction)
                name =
                    "Correction of the invoice of " + month + " (BG-3)" + (product.empty() ? "" : ", " + product) + (why.empty() ? "" : ": " + why);
            if (part == Part::allowance) name += " (allowance, BG-20)";
            if (part == Part::charge) name += " (charge, BG-21)";
            out += "<tr><td>" + html_text(name) + "</td><td class=\"n\">" + std::to_string(item.events) + "</td><td class=\"n\">" +
                   std::to_string(item.bytes) + "</td><td class=\"n\">" + std::to_string(item.minutes) + "</td><td class=\"n\">" +
                   item.net.text(a.exponent) + "</td></tr>\n";
        }
        out += "</tbody></table>\n";
    }

    void sums(const ports::Account& a, const metering::InvoiceTotals& t, const Classes* classes, std::string& out) const {
        const auto row = [&](std::string_view name, std::string_view term, const Decimal& value, std::string_view style = "") {
            out += "<tr" + (style.empty() ? "" : " class=\"" + std::string(style) + "\"") + "><td>" + std::string(name) + " <small>" +
                   std::string(term) + "</small></td><td class=\"n\" data-term=\"" + std::string(term) + "\">" + value.text(a.exponent) +
                   "</td></tr>\n";
        };
        if (classes != nullptr) {
            out +=
                "<table><tr><th>VAT category (BT-118)</th><th class=\"n\">Rate (BT-119)</th><th class=\"n\">Taxable (BT-116)</th><th class=\"n\">Tax "
                "(BT-117)</th></tr>\n";
            for (const auto& tax : t.taxes) {
                const auto* terms = classes->at({tax.tax.category, tax.tax.rate.text(Decimal::kScale)});
                // What is not subject to VAT has no rate (BR-O-05).
                out += "<tr><td>" + html_text(terms->category) + (terms->reason.empty() ? "" : ": " + html_text(terms->reason)) +
                       "</td><td class=\"n\">" + (terms->category == "O" ? "" : html_text(terms->rate) + "%") + "</td><td class=\"n\">" +
                       tax.taxable.text(a.exponent) + "</td><td class=\"n\">" + tax.amount.text(a.exponent) + "</td></tr>\n";
            }
            out += "</table>\n";
        } else {
            out += "<p>" + missing("VAT category and rate for buyers of this country") + " No tax is stated: this is not a tax invoice.</p>\n";
        }
        out += "<table class=\"totals\">\n";
        row("Sum of line net amounts", "BT-106", t.lines);
        row("Allowances", "BT-107", t.allowances);
        row("Charges", "BT-108", t.charges);
        row("Total without VAT", "BT-109", t.net);
        row("Total VAT", "BT-110", t.tax);
        row("Total with VAT", "BT-112", t.gross);
        row("Paid", "BT-113", t.paid);
        row("Amount due, " + html_text(a.currency), "BT-115", t.payable, "due");
        out += "</table>\n";
    }

    static void foot(const ports::Account& a, std::string& out) {
        if (a.closed)
            out += "<p><small>Statement " + std::to_string(a.statement) + ", closed " + date_time(a.closed_at) + ", hash " + html_text(a.hash) +
                   ", signed by " + html_text(a.key_id) + ". The statement can be verified with the public key alone.</small></p>\n";
    }

    const Issuer issuer_;
    const UtcMillis now_;
    std::map<Key, Item> items_;
};

}  // namespace

std::unique_ptr<Layout> invoice_layout(const Wanted&, const Issuer& issuer, UtcMillis now) { return std::make_unique<Invoice>(issuer, now); }

}  // namespace licet::exports
