// Invoices and the reconciliation page.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "server/exports/layout.h"
#include "tests/support/fake_accounts.h"
#include "tests/support/small_xml.h"

using namespace licet;
using namespace licet::exports;
using licet::testing::FakeAccounts;

namespace {

std::string made(ports::Accounts& accounts, const char* report, const char* format, Issuer issuer = {}) {
    issuer.region = "eu";
    const auto wanted = parse_wanted(report, format, "2026-11", "", "");
    REQUIRE(wanted);
    std::string out;
    const auto layout = make_layout(*wanted, issuer, *parse_rfc3339("2026-11-21T12:00:00Z"));
    REQUIRE(run(
        accounts, *wanted, *layout,
        [&](std::string_view bytes) {
            out += bytes;
            return success();
        },
        [](const Progress&, const Place*) { return success(); }));
    return out;
}

std::string term(const std::string& html, const std::string& name) {
    const auto at = html.find("data-term=\"" + name + "\">");
    REQUIRE(at != std::string::npos);
    const auto from = html.find('>', at) + 1;
    return html.substr(from, html.find('<', from) - from);
}

Issuer seller() {
    Issuer out;
    out.name = "Seller GmbH";
    out.address = {"Musterweg 1", "10115 Berlin"};
    out.country = "DE";
    out.vat_id = "DE123456789";
    out.payment_terms = "30 days net";
    return out;
}

FakeAccounts one(bool closed, std::string reason = "late <b>usage</b>") {
    FakeAccounts::Contract c;
    c.lines = 2'000;
    c.closed = closed;
    c.statement = 12;
    c.reason = std::move(reason);
    c.party_title = "Acme & \"Sons\" <script>alert(1)</script>";
    return FakeAccounts({c});
}

}  // namespace

TEST_CASE("an invoice of a closed period states its number, its totals and what is missing") {
    auto accounts = one(true);
    const auto html = made(accounts, "invoice", "html");
    CHECK(html.find("DRAFT") == std::string::npos);
    CHECK(html.find("Invoice eu-12") != std::string::npos);
    for (const char* what : {"seller's name", "seller's address", "seller's VAT identifier", "payment terms", "buyer's VAT identifier"})
        CHECK_MESSAGE(html.find(std::string(what) + ": not configured") != std::string::npos, what);
    CHECK(html.find("this is not a tax invoice") != std::string::npos);
    CHECK(term(html, "BT-115") == accounts.list()[0].total.text(2));
    CHECK(term(html, "BT-110") == "0.00");
    CHECK(html.find("<script>") == std::string::npos);
    CHECK(html.find("&lt;b&gt;usage") != std::string::npos);
    CHECK(html.find("allowance, BG-20") != std::string::npos);
    CHECK(html.find("charge, BG-21") != std::string::npos);
}

TEST_CASE("tax is stated when it is configured for the buyer's country, which is the seller's") {
    auto accounts = one(true);
    auto issuer = seller();
    issuer.tax = {{"2020-01", "DE", "S", "16", ""}, {"2026-10", "DE", "S", "19", ""}, {"2027-01", "DE", "S", "25", ""}};
    const auto html = made(accounts, "invoice", "html", issuer);
    CHECK(html.find("not a tax invoice") == std::string::npos);
    CHECK(html.find("seller's name: not configured") == std::string::npos);
    CHECK(html.find("buyer's VAT identifier: not configured") != std::string::npos);
    CHECK(term(html, "BT-109") == accounts.list()[0].total.text(2));
    auto gross = *metering::Decimal::parse(term(html, "BT-109"));
    gross += *metering::Decimal::parse(term(html, "BT-110"));
    CHECK(term(html, "BT-112") == gross.text(2));
    CHECK(term(html, "BT-110") != "0.00");
    // Two corrections of September, at what was charged then.
    CHECK(html.find(">19%<") != std::string::npos);
    CHECK(html.find(">16%<") != std::string::npos);
    CHECK(html.find(">25%<") == std::string::npos);
    // The same without an identifier of the seller: no tax may be stated.
    issuer.vat_id.clear();
    const auto nobody = made(accounts, "invoice", "html", issuer);
    CHECK(nobody.find("this is not a tax invoice. the seller's VAT identifier is missing (BR-S-02)") != std::string::npos);
    CHECK(term(nobody, "BT-110") == "0.00");
    CHECK(term(nobody, "BT-115") == term(nobody, "BT-109"));
}

TEST_CASE("buyers abroad are charged what is said of them, and get no tax invoice when nothing is") {
    FakeAccounts::Contract c;
    c.closed = true;
    c.party = "paris-lab";
    c.country = "FR";
    FakeAccounts france({c});
    auto issuer = seller();
    issuer.tax = {{"2020-01", "DE", "S", "19", ""}, {"2020-01", "FR", "S", "20", ""}};  // the second is of no use: not the seller's country
    CHECK(made(france, "invoice", "html", issuer).find("the VAT category of this buyer is not configured for 2026-11") != std::string::npos);
    issuer.tax.push_back({"2020-01", "paris-lab", "AE", "0", "Reverse charge"});
    CHECK(made(france, "invoice", "html", issuer).find("the buyer's VAT identifier is missing (BR-AE-02)") != std::string::npos);
    issuer.buyer_vat_ids = {{"paris-lab", "FR12345678901"}};
    const auto french = made(france, "invoice", "html", issuer);
    CHECK(french.find("not a tax invoice") == std::string::npos);
    CHECK(french.find("AE: Reverse charge") != std::string::npos);
    CHECK(french.find("VAT identifier: FR12345678901") != std::string::npos);
    CHECK(french.find(">0%<") != std::string::npos);
    CHECK(term(french, "BT-110") == "0.00");
    // Outside the scope of VAT there is no rate, and no identifier.
    issuer.tax.back() = {"2020-01", "paris-lab", "O", "0", "Not subject to VAT"};
    const auto outside = made(france, "invoice", "html", issuer);
    CHECK(outside.find("O: Not subject to VAT") != std::string::npos);
    CHECK(outside.find(">0%<") == std::string::npos);
    CHECK(outside.find("O 0%") == std::string::npos);
    CHECK(outside.find("VAT identifier") == std::string::npos);
    // Said of a buyer of the seller's own country, it goes before what is said of the country.
    c.country = "DE";
    FakeAccounts germany({c});
    issuer.tax.back() = {"2020-01", "paris-lab", "E", "0", "Small business"};
    const auto exempt = made(germany, "invoice", "html", issuer);
    CHECK(exempt.find("E: Small business") != std::string::npos);
    CHECK(exempt.find(">19%<") == std::string::npos);
}

TEST_CASE("what a statement says of seller and tax is printed, whatever is configured by then") {
    auto accounts = one(true);
    ports::Invoicing said;
    said.issuer = seller();
    said.issuer.payment_terms = "14 days net";
    said.taxes = {{"2026-11", ports::TaxTerms{"S", "19", ""}, 0}, {"2026-09", ports::TaxTerms{"S", "16", ""}, 7}};
    accounts.list()[0].invoicing = said;
    Issuer now;
    now.name = "Successor AG";
    now.country = "DE";
    now.vat_id = "DE999";
    now.tax = {{"2020-01", "DE", "S", "25", ""}};
    const auto html = made(accounts, "invoice", "html", now);
    CHECK(html.find("Successor AG") == std::string::npos);
    CHECK(html.find("14 days net") != std::string::npos);
    CHECK(html.find(">19%<") != std::string::npos);
    CHECK(html.find(">16%<") != std::string::npos);
    CHECK(html.find("25%") == std::string::npos);
    CHECK(html.find("Preceding invoices (BG-3): eu-7 of 2026-09") != std::string::npos);
    CHECK(html.find("Correction of invoice eu-7 of 2026-09 (BG-3)") != std::string::npos);
    CHECK(html.find("as configured now") == std::string::npos);
    // A statement of before says so on the paper.
    accounts.list()[0].invoicing.reset();
    const auto old = made(accounts, "invoice", "html", now);
    CHECK(old.find("as configured now") != std::string::npos);
    CHECK(old.find("Successor AG") != std::string::npos);
    // One that knew no class for this buyer still knows none.
    said.taxes[1].terms.reset();
    accounts.list()[0].invoicing = said;
    CHECK(made(accounts, "invoice", "html", now).find("not configured for 2026-09") != std::string::npos);
    // FOCUS names the same seller and terms.
    const auto focus = made(accounts, "invoice-detail", "csv", now);
    CHECK(focus.find("14 days net") != std::string::npos);
    CHECK(focus.find("Seller GmbH") != std::string::npos);
    CHECK(focus.find("Successor AG") == std::string::npos);
    const auto usage = made(accounts, "cost-and-usage", "csv", now);
    CHECK(usage.find("Seller GmbH") != std::string::npos);
    CHECK(usage.find("Successor AG") == std::string::npos);
}

TEST_CASE("what is owed back is a credit note, and its amounts are the other way round") {
    FakeAccounts::Contract c;
    c.lines = 1'000;
    c.closed = false;
    FakeAccounts accounts({c});
    auto issuer = seller();
    issuer.tax = {{"2020-01", "DE", "S", "19", ""}};
    const auto invoice = made(accounts, "invoice", "html", issuer);
    CHECK(invoice.find("type 380") != std::string::npos);
    CHECK(invoice.find("Amount due, EUR") != std::string::npos);
    accounts.flip_signs = true;
    ports::Invoicing said;
    said.issuer = issuer;
    said.taxes = {{"2026-11", ports::TaxTerms{"S", "19", ""}, 0}, {"2026-09", ports::TaxTerms{"S", "19", ""}, 7}};
    accounts.list()[0].invoicing = said;
    const auto html = made(accounts, "invoice", "html", issuer);
    CHECK(html.find("<h1>Credit note ") != std::string::npos);
    CHECK(html.find("type 381") != std::string::npos);
    CHECK(html.find("Amount credited, EUR") != std::string::npos);
    CHECK(html.find("Preceding invoices (BG-3): eu-7 of 2026-09") != std::string::npos);
    // The mirror of the invoice: what it charged, this gives back. No amount, price or quantity is negative.
    for (const char* name : {"BT-106", "BT-107", "BT-108", "BT-109", "BT-110", "BT-112", "BT-115"}) CHECK(term(html, name) == term(invoice, name));
    CHECK(html.find(">-") == std::string::npos);
    // A statement that says nothing of what it corrects cannot name it, and says that.
    accounts.list()[0].invoicing.reset();
    CHECK(made(accounts, "invoice", "html", issuer).find("Preceding invoice (BT-25): not in the statement") != std::string::npos);
}

TEST_CASE("a price is never negative, a quantity may be") {
    // 10.00 of usage and a correction, as an invoice and, when more is given back than used, as a credit note.
    struct Two final : ports::Accounts, ports::AccountsReading {
        std::string correction;
        std::vector<ports::Account> list;
        Result<std::optional<UtcMillis>> closed_at(std::string_view) override { return std::optional<UtcMillis>{}; }
        Result<std::vector<ports::Account>> accounts(const ports::AccountsWanted&) override {
            ports::Account a;
            a.contract = a.party = "lab";
            a.party_country = "DE";
            a.period = "2026-11";
            a.from = *parse_date("2026-11-01");
            a.to = *parse_date("2026-12-01");
            a.currency = "EUR";
            a.lines = 2;
            return std::vector{a};
        }
        Status read(const ports::AccountsWanted& wanted, const std::function<Status(ports::AccountsReading&)>& read) override {
            list = *accounts(wanted);
            return read(*this);
        }
        const std::vector<ports::Account>& accounts() const override { return list; }
        Status lines(std::string_view, std::uint64_t after, const std::function<Status(const ports::AccountLine&)>& take) override {
            std::vector<ports::AccountLine> out(2);
            out[0].amount = *metering::Decimal::parse("10.00");
            out[1].kind = ports::LineKind::correction;
            out[1].amount = *metering::Decimal::parse(correction);
            out[1].charge_period = "2026-10";
            for (std::size_t i = after; i < out.size(); ++i) {
                out[i].no = i + 1;
                out[i].currency = "EUR";
                if (auto taken = take(out[i]); !taken) return taken;
            }
            return success();
        }
    } accounts;
    accounts.correction = "-4.00";
    const auto invoice = made(accounts, "invoice", "html", seller());
    CHECK(invoice.find("type 380") != std::string::npos);
    CHECK(invoice.find("<td class=\"n\">1</td><td class=\"n\">10.00</td><td></td><td class=\"n\">10.00</td>") != std::string::npos);
    CHECK(invoice.find("<td class=\"n\">-1</td><td class=\"n\">4.00</td><td></td><td class=\"n\">-4.00</td>") != std::string::npos);
    CHECK(term(invoice, "BT-115") == "6.00");
    accounts.correction = "-14.00";
    const auto credit = made(accounts, "invoice", "html", seller());
    CHECK(credit.find("type 381") != std::string::npos);
    CHECK(credit.find("<td class=\"n\">-1</td><td class=\"n\">10.00</td><td></td><td class=\"n\">-10.00</td>") != std::string::npos);
    CHECK(credit.find("<td class=\"n\">1</td><td class=\"n\">14.00</td><td></td><td class=\"n\">14.00</td>") != std::string::npos);
    CHECK(term(credit, "BT-115") == "4.00");
    accounts.correction = "-10.00";
    const auto nothing = made(accounts, "invoice", "html", seller());
    CHECK(nothing.find("type 380") != std::string::npos);
    CHECK(term(nothing, "BT-115") == "0.00");
}

TEST_CASE("an invoice of an open period says that it is a draft") {
    auto accounts = one(false);
    const auto html = made(accounts, "invoice", "html");
    CHECK(html.find("DRAFT of an open period: not an invoice") != std::string::npos);
    CHECK(html.find("(no number yet)") != std::string::npos);
    CHECK(html.find("eu-12") == std::string::npos);
    FakeAccounts none({});
    CHECK(made(none, "invoice", "html").find("No contract has an account in this period") != std::string::npos);
}

TEST_CASE("the pages are well-formed") {
    for (const bool closed : {true, false}) {
        auto accounts = one(closed, "a\x01z & < > \" '");
        for (const char* report : {"invoice", "reconciliation"}) {
            auto html = made(accounts, report, "html");
            REQUIRE(html.starts_with("<!DOCTYPE html>\n"));
            html.erase(0, 16);
            for (const std::string empty : {"<meta charset=\"utf-8\">", "<br>"})
                for (auto at = html.find(empty); at != std::string::npos; at = html.find(empty, at)) html.erase(at, empty.size());
            CHECK_MESSAGE(licet::testing::read_xml(html), report);
        }
    }
}

TEST_CASE("the reconciliation says to the event whether what was delivered is billed or not") {
    FakeAccounts::Contract a, b;
    a.lines = 7'000;
    b.name = "beta";
    b.lines = 10;
    b.closed = true;
    FakeAccounts accounts({a, b});
    auto said = nlohmann::json::parse(made(accounts, "reconciliation", "json"));
    CHECK(said["reconciled"] == true);
    CHECK(said["contracts"].size() == 2);
    // Late usage is a correction with its counts; replays that are paid for are in the lines alone.
    CHECK(said["contracts"][0]["lines"]["events"] == said["contracts"][0]["billed"]["events"].get<std::uint64_t>() + FakeAccounts::kReplayed);
    CHECK(said["contracts"][0]["linesAgree"] == true);
    CHECK(said["contracts"][1]["linesAgree"] == true);
    CHECK(said["contracts"][0]["suspenseOffsets"] == 3);
    CHECK(made(accounts, "reconciliation", "html").find(">NO<") == std::string::npos);
    // One event more than is billed and unbilled.
    accounts.list()[0].books.delivered.events += 1;
    said = nlohmann::json::parse(made(accounts, "reconciliation", "json"));
    CHECK(said["reconciled"] == false);
    CHECK(said["contracts"][0]["balanced"] == false);
    CHECK(said["contracts"][1]["balanced"] == true);
    CHECK(made(accounts, "reconciliation", "html").find(">NO<") != std::string::npos);
    accounts.list()[0].books.delivered.events -= 1;
    // The statement bills an event that no line has.
    accounts.list()[1].books.billed.events += 1;
    accounts.list()[1].books.delivered.events += 1;
    said = nlohmann::json::parse(made(accounts, "reconciliation", "json"));
    CHECK(said["contracts"][1]["linesAgree"] == false);
    CHECK(said["reconciled"] == false);
}
