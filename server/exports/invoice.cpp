// An invoice per contract as print-ready HTML, with the totals of EN 16931; an open period's says DRAFT, and what nobody configured is said to be
// missing. Who bills and what tax is what the statement says. What comes to less than nothing is a credit note: its amounts are the other way round.
#include "metering/invoice.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/usage_limits.h"
#include "metering/vat.h"
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
using Key = std::tuple<LineKind, std::string, std::string, std::string>;  // product; of a correction the month it corrects, and why

struct Position {
    const Key* key;
    const Item* item;
    Part part;
    Decimal net;                             // as it stands on this paper: of an allowance or charge never negative
    std::optional<metering::TaxClass> tax;   // nullopt on a paper that states none
    const ports::TaxTerms* terms = nullptr;  // of its month, if any are
};

Decimal negated(const Decimal& value) {
    const std::string text = value.text(Decimal::kScale);
    return Decimal::parse(text.front() == '-' ? text.substr(1) : "-" + text).value_or(Decimal{});
}
Decimal absolute(const Decimal& value) { return value.negative() ? negated(value) : value; }

const std::string& month_of(const Key& key) { return std::get<2>(key); }

// What the account says, or, of a statement that says nothing of it, what is configured now.
ports::Invoicing invoicing_of(const ports::Account& a, const Issuer& configured, const std::map<Key, Item>& items) {
    if (a.invoicing) return *a.invoicing;
    ports::Invoicing out;
    out.issuer = configured;
    if (const auto id = configured.buyer_vat_ids.find(a.party); id != configured.buyer_vat_ids.end()) out.buyer_vat_id = id->second;
    std::set<std::string> months{a.period};
    for (const auto& [key, item] : items)
        if (!month_of(key).empty()) months.insert(month_of(key));
    for (const auto& month : months) out.taxes.push_back({month, ports::tax_terms(configured, a.party, a.party_country, month), 0});
    return out;
}

// One account's paper: its positions the way round it is printed, its totals, and what stands against calling it a tax invoice.
struct Paper {
    bool credit = false;
    ports::Invoicing said;
    std::vector<Position> positions;
    metering::InvoiceTotals totals;
    std::vector<metering::VatClass> classes;
    std::vector<std::string> against;  // empty: it is a tax invoice

    [[nodiscard]] bool taxed() const { return against.empty(); }
    [[nodiscard]] bool outside() const { return taxed() && classes.front().category == "O"; }  // identifiers may not be stated (BR-O-02)
    [[nodiscard]] const ports::TaxOf* tax_of(const std::string& month) const {
        for (const auto& tax : said.taxes)
            if (tax.month == month) return &tax;
        return nullptr;
    }
};

Decimal rate_of(const ports::TaxTerms& terms) { return Decimal::parse(terms.rate).value_or(Decimal{}); }

void find_what_stands_against(const ports::Account& a, Paper& paper) {
    std::set<std::string> unknown;
    for (const auto& p : paper.positions) {
        const auto& month = month_of(*p.key).empty() ? a.period : month_of(*p.key);
        if (p.terms == nullptr) {
            unknown.insert(month);
            continue;
        }
        const metering::VatClass c{p.terms->category, rate_of(*p.terms), p.terms->reason};
        if (std::none_of(paper.classes.begin(), paper.classes.end(), [&](const auto& k) { return k.category == c.category && k.rate == c.rate; }))
            paper.classes.push_back(c);
    }
    if (paper.positions.empty()) paper.against.emplace_back("nothing is charged");
    for (const auto& month : unknown) paper.against.push_back("the VAT category of this buyer is not configured for " + month);
    const auto& seller = paper.said.issuer;
    for (const auto& broken : metering::broken_vat_rules(paper.classes, {!seller.name.empty() && !seller.country.empty(), !seller.vat_id.empty()},
                                                         {!a.party.empty() && !a.party_country.empty(), !paper.said.buyer_vat_id.empty()}))
        paper.against.push_back(std::string(broken.what) + " (" + broken.rule + ")");
}

std::vector<Position> positions_of(const Paper& paper, const ports::Account& a, const std::map<Key, Item>& items) {
    std::vector<Position> out;
    for (const auto& [key, item] : items) {
        const auto kind = std::get<0>(key);
        Position p{&key, &item, Part::line, paper.credit ? negated(item.net) : item.net, std::nullopt};
        if (kind == LineKind::discount || kind == LineKind::cap || kind == LineKind::minimum) {
            p.part = p.net.negative() ? Part::allowance : Part::charge;
            p.net = absolute(p.net);
        }
        const auto* tax = paper.tax_of(month_of(key).empty() ? a.period : month_of(key));
        if (tax != nullptr && tax->terms) p.terms = &*tax->terms;
        out.push_back(std::move(p));
    }
    return out;
}

std::optional<metering::InvoiceTotals> totals_of(Paper& paper, int exponent) {
    metering::InvoiceParts parts;
    for (auto& p : paper.positions) {
        p.tax = paper.taxed() ? std::optional(metering::TaxClass{p.terms->category, rate_of(*p.terms)}) : std::nullopt;
        auto& list = p.part == Part::line ? parts.lines : p.part == Part::allowance ? parts.allowances : parts.charges;
        list.push_back({p.net, p.tax});
    }
    return metering::invoice_totals(parts, exponent);
}

// nullopt: too many digits.
std::optional<Paper> paper_of(const ports::Account& a, const Issuer& configured, const std::map<Key, Item>& items) {
    Paper out;
    out.said = invoicing_of(a, configured, items);
    out.positions = positions_of(out, a, items);
    find_what_stands_against(a, out);
    auto totals = totals_of(out, a.exponent);
    if (totals && totals->payable.negative()) {
        out.credit = true;
        out.positions = positions_of(out, a, items);
        totals = totals_of(out, a.exponent);
    }
    if (!totals) return std::nullopt;
    out.totals = *std::move(totals);
    return out;
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
        const bool correction = l.kind == LineKind::correction;
        const Key key{l.kind, l.product, correction ? l.charge_period : "", correction ? l.reason : ""};
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
        const auto paper = paper_of(a, issuer_, items_);
        if (!paper) return Error{Errc::internal, "the totals of contract " + a.contract + " have too many digits", {}};
        out += "<section>\n";
        title(a, *paper, out);
        parties(a, *paper, out);
        facts(a, *paper, out);
        positions(a, *paper, out);
        sums(a, *paper, out);
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
    void title(const ports::Account& a, const Paper& paper, std::string& out) const {
        if (!a.closed) out += "<p class=\"draft\">DRAFT of an open period: not an invoice</p>\n";
        out += std::string(paper.credit ? "<h1>Credit note " : "<h1>Invoice ") +
               (a.closed ? html_text(invoice_number(a, issuer_)) : "(no number yet)") + " <small>type " + (paper.credit ? "381" : "380") +
               " (BT-3)</small></h1>\n";
    }

    static void parties(const ports::Account& a, const Paper& paper, std::string& out) {
        const auto& seller = paper.said.issuer;
        const auto identifier = [&](const std::string& value, std::string_view what) {
            return paper.outside() ? std::string() : "<br>VAT identifier: " + stated(value, what);
        };
        out += "<div class=\"parties\"><div><small>Seller (BG-4)</small><br>" + stated(seller.name, "seller's name") + "<br>";
        if (seller.address.empty()) out += missing("seller's address") + "<br>";
        for (const auto& address : seller.address) out += html_text(address) + "<br>";
        out += "Country: " + stated(seller.country, "seller's country") + identifier(seller.vat_id, "seller's VAT identifier") +
               "<br>Registration: " + stated(seller.registration, "seller's registration") + "</div>\n<div><small>Buyer (BG-7)</small><br>";
        out += html_text(a.party_title.empty() ? a.party : a.party_title) + "<br>Account: " + html_text(a.party) +
               "<br>Country: " + stated(a.party_country, "buyer's country") + "<br>" + missing("buyer's address") +
               identifier(paper.said.buyer_vat_id, "buyer's VAT identifier") + "</div></div>\n";
    }

    void facts(const ports::Account& a, const Paper& paper, std::string& out) const {
        out +=
            "<table><tr><th>Contract</th><th>Invoicing period (BG-14)</th><th>Issue date (BT-2)</th><th>Currency (BT-5)</th><th>Payment terms (BT-20)"
            "</th></tr><tr><td>" +
            html_text(a.contract) + "</td><td>" + date(a.from) + " to " + date({a.to.value - 1}) + " (UTC)</td><td>" +
            (a.closed ? date(a.closed_at) : "draft of " + date_time(now_)) + "</td><td>" + html_text(a.currency) + "</td><td>" +
            stated(paper.said.issuer.payment_terms, "payment terms") + "</td></tr></table>\n";
        std::string preceding;
        for (const auto& tax : paper.said.taxes)
            if (tax.corrects != 0) preceding += (preceding.empty() ? "" : ", ") + html_text(number_of(tax) + " of " + tax.month);
        if (!preceding.empty()) out += "<p>Preceding invoices (BG-3): " + preceding + "</p>\n";
        if (preceding.empty() && paper.credit) out += "<p class=\"missing\">Preceding invoice (BT-25): not in the statement; see the positions</p>\n";
    }
    [[nodiscard]] std::string number_of(const ports::TaxOf& tax) const { return issuer_.region + "-" + std::to_string(tax.corrects); }

    [[nodiscard]] std::string name_of(const Position& p, const Paper& paper) const {
        const auto& [kind, product, month, why] = *p.key;
        std::string name;
        if (kind == LineKind::usage) name = "Events of " + (product.empty() ? "all products" : product);
        if (kind == LineKind::discount) name = "Discount" + (product.empty() ? "" : " on " + product);
        if (kind == LineKind::minimum) name = "Minimum commitment";
        if (kind == LineKind::cap) name = "Cap";
        if (kind == LineKind::correction) {
            const auto* tax = paper.tax_of(month);
            const bool numbered = tax != nullptr && tax->corrects != 0;
            name = "Correction of " + (numbered ? "invoice " + number_of(*tax) + " of " : "the invoice of ") + month + " (BG-3)" +
                   (product.empty() ? "" : ", " + product) + (why.empty() ? "" : ": " + why);
        }
        if (p.part == Part::allowance) name += " (allowance, BG-20)";
        if (p.part == Part::charge) name += " (charge, BG-21)";
        return html_text(name);
    }

    // Prices have tiers, packages and several quantities, so each position is one of its own price. A price is not negative (BR-27), a quantity may
    // be.
    void positions(const ports::Account& a, const Paper& paper, std::string& out) const {
        out +=
            "<table><thead><tr><th>Position</th><th class=\"n\">Events</th><th class=\"n\">Bytes</th><th class=\"n\">Minutes</th><th "
            "class=\"n\">Quantity (BT-129), C62</th><th class=\"n\">Net price (BT-146)</th><th>VAT (BT-151)</th><th class=\"n\">Net amount "
            "(BT-131)</th></tr></thead><tbody>\n";
        if (paper.positions.empty()) out += "<tr><td colspan=\"8\">Nothing is charged in this period.</td></tr>\n";
        for (const auto& p : paper.positions) {
            const bool line = p.part == Part::line;
            const std::string amount = p.net.text(a.exponent), quantity = p.net.negative() ? "-1" : "1";
            out += "<tr><td>" + name_of(p, paper) + "</td>" + number(std::to_string(p.item->events)) + number(std::to_string(p.item->bytes)) +
                   number(std::to_string(p.item->minutes)) + number(line ? quantity : "") + number(line ? absolute(p.net).text(a.exponent) : "") +
                   "<td>" + (paper.taxed() ? vat_text(*p.terms) : "") + "</td>" + number(amount) + "</tr>\n";
        }
        out += "</tbody></table>\n";
    }
    static std::string number(const std::string& text) { return "<td class=\"n\">" + text + "</td>"; }
    // What is not subject to VAT has no rate (BR-O-05).
    static std::string vat_text(const ports::TaxTerms& terms) {
        return html_text(terms.category) + (terms.category == "O" ? "" : " " + html_text(terms.rate) + "%");
    }

    static void taxes(const ports::Account& a, const Paper& paper, std::string& out) {
        if (!paper.taxed()) {
            out += "<p class=\"missing\">No tax is stated: this is not a tax invoice. ";
            for (const auto& why : paper.against) out += html_text(why) + "; ";
            out.replace(out.size() - 2, 2, ".</p>\n");
            return;
        }
        out +=
            "<table><tr><th>VAT category (BT-118)</th><th class=\"n\">Rate (BT-119)</th><th class=\"n\">Taxable (BT-116)</th><th class=\"n\">Tax "
            "(BT-117)</th></tr>\n";
        for (const auto& tax : paper.totals.taxes) {
            const auto c = std::find_if(paper.classes.begin(), paper.classes.end(),
                                        [&](const auto& known) { return known.category == tax.tax.category && known.rate == tax.tax.rate; });
            const std::string reason = c == paper.classes.end() || c->reason.empty() ? "" : ": " + html_text(c->reason);
            out += "<tr><td>" + html_text(tax.tax.category) + reason + "</td>" +
                   number(tax.tax.category == "O" ? "" : html_text(tax.tax.rate.shortest()) + "%") + number(tax.taxable.text(a.exponent)) +
                   number(tax.amount.text(a.exponent)) + "</tr>\n";
        }
        out += "</table>\n";
    }

    static void sums(const ports::Account& a, const Paper& paper, std::string& out) {
        const auto row = [&](std::string_view name, std::string_view term, const Decimal& value, std::string_view style = "") {
            out += "<tr" + (style.empty() ? "" : " class=\"" + std::string(style) + "\"") + "><td>" + std::string(name) + " <small>" +
                   std::string(term) + "</small></td><td class=\"n\" data-term=\"" + std::string(term) + "\">" + value.text(a.exponent) +
                   "</td></tr>\n";
        };
        taxes(a, paper, out);
        const auto& t = paper.totals;
        out += "<table class=\"totals\">\n";
        row("Sum of line net amounts", "BT-106", t.lines);
        row("Allowances", "BT-107", t.allowances);
        row("Charges", "BT-108", t.charges);
        row("Total without VAT", "BT-109", t.net);
        row("Total VAT", "BT-110", t.tax);
        row("Total with VAT", "BT-112", t.gross);
        row("Paid", "BT-113", t.paid);
        row(std::string(paper.credit ? "Amount credited, " : "Amount due, ") + html_text(a.currency), "BT-115", t.payable, "due");
        out += "</table>\n";
    }

    static void foot(const ports::Account& a, std::string& out) {
        if (a.closed && !a.invoicing)
            out +=
                "<p>The statement was made before statements said who bills and what tax: the seller, the payment terms and the tax of this "
                "paper are as configured now.</p>\n";
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
