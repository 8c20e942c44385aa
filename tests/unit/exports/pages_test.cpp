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
    for (const char* what : {"seller's name", "seller's address", "seller's VAT identifier", "VAT category and rate for buyers of this country",
                             "payment terms", "buyer's VAT identifier"})
        CHECK_MESSAGE(html.find(std::string(what) + ": not configured") != std::string::npos, what);
    CHECK(html.find("this is not a tax invoice") != std::string::npos);
    CHECK(term(html, "BT-115") == accounts.list()[0].total.text(2));
    CHECK(term(html, "BT-110") == "0.00");
    CHECK(html.find("<script>") == std::string::npos);
    CHECK(html.find("&lt;b&gt;usage") != std::string::npos);
    CHECK(html.find("allowance, BG-20") != std::string::npos);
    CHECK(html.find("charge, BG-21") != std::string::npos);
}

TEST_CASE("tax is stated when it is configured") {
    auto accounts = one(true);
    Issuer issuer;
    issuer.name = "Seller GmbH";
    issuer.address = {"Musterweg 1", "10115 Berlin"};
    issuer.country = "DE";
    issuer.payment_terms = "30 days net";
    issuer.tax = {{"2020-01", "DE", "S", "16", ""},
                  {"2026-10", "DE", "S", "19", ""},
                  {"2027-01", "DE", "S", "25", ""},
                  {"2020-01", "FR", "AE", "0", "Reverse charge"}};
    const auto html = made(accounts, "invoice", "html", issuer);
    CHECK(html.find("VAT category and rate") == std::string::npos);
    CHECK(html.find("seller's name: not configured") == std::string::npos);
    CHECK(html.find("seller's VAT identifier: not configured") != std::string::npos);
    CHECK(term(html, "BT-109") == accounts.list()[0].total.text(2));
    auto gross = *metering::Decimal::parse(term(html, "BT-109"));
    gross += *metering::Decimal::parse(term(html, "BT-110"));
    CHECK(term(html, "BT-112") == gross.text(2));
    CHECK(term(html, "BT-110") != "0.00");
    // Two corrections of September, at what was charged then.
    CHECK(html.find(">19%<") != std::string::npos);
    CHECK(html.find(">16%<") != std::string::npos);
    CHECK(html.find(">25%<") == std::string::npos);
}

TEST_CASE("a buyer of a country nobody configured gets no tax invoice, one who is charged none is told why") {
    FakeAccounts::Contract c;
    c.closed = true;
    Issuer issuer;
    issuer.tax = {
        {"2020-01", "DE", "S", "19", ""}, {"2020-01", "FR", "AE", "0", "Reverse charge"}, {"2020-01", "US", "O", "0", "Outside the scope of VAT"}};
    c.country = "JP";
    FakeAccounts japan({c});
    CHECK(made(japan, "invoice", "html", issuer).find("this is not a tax invoice") != std::string::npos);
    c.country = "FR";
    FakeAccounts france({c});
    const auto french = made(france, "invoice", "html", issuer);
    CHECK(french.find("AE: Reverse charge") != std::string::npos);
    CHECK(french.find(">0%<") != std::string::npos);
    CHECK(term(french, "BT-110") == "0.00");
    c.country = "US";
    FakeAccounts states({c});
    const auto american = made(states, "invoice", "html", issuer);
    CHECK(american.find("O: Outside the scope of VAT") != std::string::npos);
    CHECK(american.find(">0%<") == std::string::npos);
}

TEST_CASE("what is owed back is a credit note") {
    FakeAccounts::Contract c;
    c.lines = 1;
    FakeAccounts accounts({c});
    CHECK(made(accounts, "invoice", "html").find("type 380") != std::string::npos);
    accounts.flip_signs = true;
    const auto html = made(accounts, "invoice", "html");
    CHECK(html.find("<h1>Credit note ") != std::string::npos);
    CHECK(html.find("type 381") != std::string::npos);
    CHECK(term(html, "BT-115").starts_with("-"));
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
