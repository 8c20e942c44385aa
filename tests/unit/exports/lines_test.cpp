#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "base/usage_limits.h"
#include "metering/csv.h"
#include "server/exports/groups.h"
#include "server/exports/layout.h"
#include "tests/support/csv_reader.h"
#include "tests/support/fake_accounts.h"

using namespace licet;
using namespace licet::exports;
using licet::testing::FakeAccounts;
using licet::testing::read_csv;
using nlohmann::json;

namespace {

const UtcMillis kNow = *parse_rfc3339("2026-11-21T12:00:00Z");

Wanted wanted(const char* report, const char* format, const char* group = "", const char* contract = "") {
    auto out = parse_wanted(report, format, "2026-11", group, contract);
    REQUIRE(out);
    return *out;
}

Result<std::string> made(ports::Accounts& accounts, const Wanted& what, Issuer issuer = {}) {
    issuer.region = "eu";
    std::string out;
    const auto layout = make_layout(what, issuer, kNow);
    const auto done = run(
        accounts, what, *layout,
        [&](std::string_view bytes) {
            out += bytes;
            return success();
        },
        [](const Progress&, const Place*) { return success(); });
    if (!done) return done.error();
    return out;
}

std::vector<std::map<std::string, std::string>> rows(const std::string& csv) {
    const auto records = read_csv(csv);
    REQUIRE(records);
    std::vector<std::map<std::string, std::string>> out;
    for (std::size_t i = 1; i < records->size(); ++i) {
        std::map<std::string, std::string> row;
        for (std::size_t j = 0; j < (*records)[i].size(); ++j) row[(*records)[0][j]] = (*records)[i][j];
        out.push_back(std::move(row));
    }
    return out;
}

std::map<std::string, std::string> sums(const std::vector<std::map<std::string, std::string>>& rows) {
    Totals totals;
    for (const auto& row : rows) totals.add(row.at("currency"), row.at("currency") == "JPY" ? 0 : 2, *metering::Decimal::parse(row.at("amount")));
    std::map<std::string, std::string> out;
    for (const auto& [currency, total] : totals.all()) out[currency] = total.amount.text(total.exponent);
    return out;
}

std::vector<FakeAccounts::Contract> three() {
    FakeAccounts::Contract a, b, c;
    a.lines = 12'345;
    b.name = "beta";
    b.party = "beta-kk";
    b.currency = "JPY";
    b.exponent = 0;
    b.country = "JP";
    b.lines = 5'000;
    b.closed = true;
    b.statement = 4;
    c.name = "gamma";
    c.lines = 1;
    return {a, b, c};
}

}  // namespace

TEST_CASE("a cell that begins like a formula does not become one; numbers stay numbers") {
    std::string out;
    metering::CsvRow(out)
        .text("=1+1")
        .text("+49")
        .text("-x")
        .text("@a")
        .text("\tx")
        .text("\rx")
        .text("'=a")
        .text("it's")
        .raw("-1.50")
        .number(7)
        .end();
    CHECK(out == "'=1+1,'+49,'-x,'@a,'\tx,\"'\rx\",''=a,it's,-1.50,7\r\n");
    out.clear();
    metering::CsvRow(out).text("a,b").text("say \"x\"").text("two\nlines").text("").text("=\"x\",1").end();
    CHECK(out == "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",,\"'=\"\"x\"\",1\"\r\n");
}

TEST_CASE("every naughty string comes back from the CSV, led by an apostrophe exactly when it could be a formula") {
    std::vector<std::string> strings{
        "", "a", "=cmd|' /C calc'!A0", "\xff\xfe", std::string(40'000, 'x'), "\"", "\"\"", "\uff1dSUM(A1)", ",", "\r\n", "\n", "'", "''", "'+'"};
    if (const char* file = std::getenv("LICET_BLNS")) {
        std::ifstream in(file);
        for (const auto& text : json::parse(in)) strings.push_back(text.get<std::string>());
        CHECK(strings.size() > 400);
    }
    std::string csv;
    for (const auto& text : strings) metering::CsvRow(csv).text(text).raw("x").end();
    const auto records = read_csv(csv);
    REQUIRE(records);
    REQUIRE(records->size() == strings.size());
    for (std::size_t i = 0; i < strings.size(); ++i) {
        const auto& cell = (*records)[i][0];
        const auto start = strings[i].find_first_not_of('\'');
        const auto rest = start == std::string::npos ? std::string() : strings[i].substr(start);
        bool formula = !rest.empty() && std::string("=+-@\t\r\n").find(rest[0]) != std::string::npos;
        for (const char* wide : {"\uff1d", "\uff0b", "\uff0d", "\uff20"}) formula = formula || rest.starts_with(wide);
        CHECK(cell == (formula ? "'" : "") + strings[i]);
        CHECK((cell.empty() || std::string("=+-@\t\r\n").find(cell[0]) == std::string::npos));
    }
}

TEST_CASE("the strict reader reads what csv-spectrum says and refuses what is none") {
    CHECK_FALSE(read_csv("a\"b\r\n"));
    CHECK_FALSE(read_csv("\"a\"b\r\n"));
    CHECK_FALSE(read_csv("\"a\r\n"));
    CHECK_FALSE(read_csv("a\nb\r\n"));
    CHECK_FALSE(read_csv("a,b\r\nc\r\n"));
    const char* folder = std::getenv("LICET_CSV_SPECTRUM");
    if (folder == nullptr) return;
    int files = 0;
    for (const char* name : {"comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines", "newlines_crlf", "quotes_and_newlines",
                             "simple", "simple_crlf", "utf8"}) {
        std::ifstream csv(std::string(folder) + "/csvs/" + name + ".csv", std::ios::binary),
            expected(std::string(folder) + "/json/" + name + ".json");
        const std::string text(std::istreambuf_iterator<char>(csv), {});
        const auto records = read_csv(text, text.find("\r\n") != std::string::npos ? "\r\n" : "\n");
        REQUIRE_MESSAGE(records, name);
        json found = json::array();
        for (std::size_t i = 1; i < records->size(); ++i) {
            json row = json::object();
            for (std::size_t j = 0; j < (*records)[i].size(); ++j) row[(*records)[0][j]] = (*records)[i][j];
            found.push_back(std::move(row));
        }
        std::string wanted(std::istreambuf_iterator<char>(expected), {});
        // A copy of the files may have lost the carriage returns that what is expected still has.
        if (text.find('\r') == std::string::npos)
            for (auto at = wanted.find("\\r\\n"); at != std::string::npos; at = wanted.find("\\r\\n", at)) wanted.erase(at, 2);
        CHECK_MESSAGE(found == json::parse(wanted), name);
        ++files;
    }
    CHECK(files == 11);
}

TEST_CASE("the lines as CSV are the accounts, line by line and to the cent") {
    FakeAccounts accounts(three());
    const auto csv = made(accounts, wanted("lines", "csv"));
    REQUIRE(csv);
    const auto all = rows(*csv);
    REQUIRE(all.size() == 12'345 + 5'000 + 1);
    auto expected = accounts.list()[0].total;
    expected += accounts.list()[2].total;
    CHECK(sums(all) == std::map<std::string, std::string>{{"EUR", expected.text(2)}, {"JPY", accounts.list()[1].total.text(0)}});
    CHECK(all[0].at("contract") == "acme");
    CHECK(all[0].at("line") == "1");
    CHECK(all[0].at("events") == "7919");
    CHECK(all[0].at("status") == "open");
    CHECK(all[0].at("statement").empty());
    CHECK(all[12'345].at("contract") == "beta");
    CHECK(all[12'345].at("status") == "closed");
    CHECK(all[12'345].at("statement") == "4");
    CHECK(all[996].at("kind") == "correction");
    CHECK(all[996].at("charge_period") == "2026-09");
    CHECK(csv->find('e') != std::string::npos);
}

TEST_CASE("every grouping comes to the same totals; what is no usage stays a line of its own") {
    FakeAccounts accounts(three());
    const auto fine = rows(*made(accounts, wanted("lines", "csv")));
    const auto expected = sums(fine);
    std::size_t own = 0;
    for (const auto& row : fine) own += row.at("kind") != "usage";
    for (unsigned mask = 1; mask < 128; ++mask) {
        std::string group;
        for (std::size_t i = 0; i < kGroups.size(); ++i)
            if ((mask >> i & 1) != 0) group += (group.empty() ? "" : ",") + std::string(kGroups[i]);
        const auto csv = made(accounts, wanted("lines", "csv", group.c_str()));
        REQUIRE(csv);
        const auto grouped = rows(*csv);
        CHECK_MESSAGE(sums(grouped) == expected, group);
        std::size_t found = 0;
        std::uint64_t events = 0;
        std::set<std::string> keys;
        for (const auto& row : grouped) {
            if (row.at("kind") != "usage") {
                ++found;
                continue;
            }
            events += std::stoull(row.at("events"));
            std::string key = row.at("currency");
            for (std::size_t i = 0; i < kGroups.size(); ++i)
                if ((mask >> i & 1) != 0) key += "|" + row.at(std::string(kGroups[i]));
            CHECK_MESSAGE(keys.insert(key).second, "twice: " << key);
        }
        CHECK(found == own);
        CHECK(events == FakeAccounts::usage_events(12'345) + FakeAccounts::usage_events(5'000) + FakeAccounts::usage_events(1));
    }
}

TEST_CASE("the lines as JSON say what the CSV says") {
    FakeAccounts accounts(three());
    for (const char* group : {"", "contract,day", "product"}) {
        const auto text = made(accounts, wanted("lines", "json", group));
        REQUIRE(text);
        const auto document = json::parse(*text);
        const auto csv = rows(*made(accounts, wanted("lines", "csv", group)));
        REQUIRE(document["lines"].size() == csv.size());
        for (std::size_t i = 0; i < csv.size(); ++i) {
            CHECK(document["lines"][i]["amount"] == csv[i].at("amount"));
            CHECK(document["lines"][i]["kind"] == csv[i].at("kind"));
            CHECK(document["lines"][i]["events"].get<std::uint64_t>() == std::stoull(csv[i].at("events")));
        }
        std::map<std::string, std::string> totals;
        for (const auto& total : document["totals"]) totals[total["currency"]] = total["amount"];
        CHECK(totals == sums(csv));
        CHECK(document["accounts"].size() == 3);
        CHECK(document["accounts"][1]["statement"]["number"] == 4);
    }
}

TEST_CASE("an export taken up at any place is the same, byte for byte") {
    FakeAccounts accounts(three());
    for (const char* report : {"lines csv", "lines json", "cost-and-usage csv", "invoice-detail csv", "invoice html"}) {
        const std::string text(report);
        const auto what = wanted(text.substr(0, text.find(' ')).c_str(), text.substr(text.find(' ') + 1).c_str());
        const auto whole = made(accounts, what);
        REQUIRE(whole);
        std::vector<Place> places;
        std::string sink;
        const auto collect = [&](std::string_view bytes) {
            sink += bytes;
            return success();
        };
        REQUIRE(run(accounts, what, *make_layout(what, {{}, "eu"}, kNow), collect, [&](const Progress&, const Place* place) {
            if (place != nullptr) places.push_back(*place);
            return success();
        }));
        CHECK(places.size() >= 3);
        for (const auto& place : places) {
            sink = whole->substr(0, place.bytes);
            REQUIRE(run(
                accounts, what, *make_layout(what, {{}, "eu"}, kNow), collect, [](const Progress&, const Place*) { return success(); }, place));
            CHECK_MESSAGE(sink == *whole, report << " from line " << place.lines);
        }
    }
}

TEST_CASE("a closed account whose lines do not come to its total is not exported; a draft is what its lines are") {
    FakeAccounts accounts(three());
    accounts.list()[1].total = *metering::Decimal::parse("1");
    CHECK(made(accounts, wanted("lines", "csv")).error().code == Errc::corrupt);
    CHECK(made(accounts, wanted("lines", "csv", "", "acme")));
    accounts.list()[0].total = *metering::Decimal::parse("1");
    CHECK(made(accounts, wanted("lines", "csv", "", "acme")));
}

TEST_CASE("what cannot be asked for is refused with the parameter it is about") {
    const auto pointer = [](auto... texts) { return parse_wanted(texts...).error().pointer; };
    CHECK(pointer("invoices", "", "2026-11", "", "") == "query:report");
    CHECK(pointer("lines", "html", "2026-11", "", "") == "query:format");
    CHECK(pointer("lines", "csv", "2026-13", "", "") == "query:period");
    CHECK(pointer("lines", "csv", "2026-1", "", "") == "query:period");
    CHECK(pointer("lines", "csv", "", "", "") == "query:period");
    CHECK(pointer("lines", "csv", "2026-11", "colour", "") == "query:group");
    CHECK(pointer("lines", "csv", "2026-11", "day,", "") == "query:group");
    CHECK(pointer("lines", "csv", "2026-11", ",day", "") == "query:group");
    CHECK(pointer("lines", "xlsx", "2026-11", "day", "") == "query:group");
    CHECK(pointer("invoice", "html", "2026-11", "day", "") == "query:group");
    CHECK(pointer("lines", "csv", "2026-11", "", "../etc") == "query:contract");
    FakeAccounts accounts(three());
    CHECK(made(accounts, wanted("lines", "csv", "", "nobody")).error().code == Errc::not_found);
    CHECK(parse_wanted("invoice", "", "2026-12", "", "")->format == Format::html);
}
