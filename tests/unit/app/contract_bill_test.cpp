// What a contract owes for a month: days, changes of price, terms that end, the same bytes for the same usage in any order, groups that sum.
#include "server/app/contract_bills.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/support/prices.h"

using namespace licet;
using namespace licet::app;
using licet::metering::Decimal;
using licet::ports::LineKind;
using licet::testing::flat_prices;

namespace {

Decimal dec(const char* text) { return *Decimal::parse(text); }
UtcMillis at(const char* text) { return *parse_rfc3339(text); }

ports::Contract contract(const char* per_event = "1") {
    ports::Contract c;
    c.name = "lab-wiki";
    c.party = "lab";
    c.purposes = {"dpv:AcademicResearch", "dpv:Marketing"};
    c.prices = flat_prices("EUR", per_event, "0");
    return c;
}

metering::DatedPrice from(const char* day, const char* per_event) {
    auto price = flat_prices("EUR", per_event, "0").front();
    price.from = day;
    return price;
}

ContractUsage used(const char* day, std::uint64_t events, const char* product = "wiki", const char* view = "v") {
    return {product, "eu", day, view, events, events * 100, 1};
}

Result<ContractBill> bill(const ports::Contract& c, std::vector<ContractUsage> usage, const char* period = "2026-11", bool finished = true) {
    return bill_contract({c, "DE", "eu", period, finished}, usage);
}
std::string total(const ports::Contract& c, std::vector<ContractUsage> usage, const char* period = "2026-11") {
    const auto made = bill(c, std::move(usage), period);
    return made ? made->total.text(made->exponent) : made.error().detail;
}

// A line as text, to the last member.
std::string text(const ports::AccountLine& l) {
    std::string out = std::to_string(l.no) + "|" + std::string(ports::line_kind_name(l.kind));
    for (const auto* part :
         {&l.contract, &l.party, &l.day, &l.product, &l.region, &l.view, &l.purpose, &l.jurisdiction, &l.currency, &l.charge_period, &l.reason})
        out += "|" + *part;
    for (const auto count : {l.events, l.bytes, l.minutes}) out += "|" + std::to_string(count);
    return out + "|" + l.amount.shortest();
}
std::string text(const ContractBill& b) {
    std::string out;
    for (const auto& line : b.lines) out += text(line) + "\n";
    return out + b.total.shortest();
}

}  // namespace

TEST_CASE("bill: a line has all there is to say of it, and lines are numbered") {
    auto c = contract();
    c.prices[0].price.discount_percent = dec("50");
    const auto made = bill(c, {used("2026-11-02", 4, "wiki", "b"), used("2026-11-02", 3, "news", "a"), used("2026-11-01", 2)});
    REQUIRE(made.ok());
    CHECK(text(*made) ==
          "1|usage|lab-wiki|lab|2026-11-01|wiki|eu|v|dpv:AcademicResearch dpv:Marketing|DE|EUR|2026-11||2|200|1|2\n"
          "2|usage|lab-wiki|lab|2026-11-02|news|eu|a|dpv:AcademicResearch dpv:Marketing|DE|EUR|2026-11||3|300|1|3\n"
          "3|usage|lab-wiki|lab|2026-11-02|wiki|eu|b|dpv:AcademicResearch dpv:Marketing|DE|EUR|2026-11||4|400|1|4\n"
          "4|discount|lab-wiki|lab|||eu||dpv:AcademicResearch dpv:Marketing|DE|EUR|2026-11||0|0|0|-4.5\n"
          "4.5");
    CHECK(made->currency == "EUR");
    CHECK(made->exponent == 2);
}

TEST_CASE("bill: a price that changes within the month is the price of its days") {
    auto c = contract();
    c.prices.push_back(from("2026-11-11", "10"));
    c.prices.push_back(from("2026-11-21", "100"));
    c.prices.push_back(from("2026-12-01", "1000"));
    CHECK(total(c, {used("2026-11-10", 1), used("2026-11-11", 1), used("2026-11-20", 1), used("2026-11-21", 1), used("2026-11-30", 1)}) == "221.00");
    CHECK(total(c, {used("2026-10-31", 1)}, "2026-10") == "1.00");
    CHECK(total(c, {used("2026-12-01", 1)}, "2026-12") == "1000.00");
    // What is said of the month counts by days: 10 each of 30.
    for (auto& price : c.prices) price.price.minimum = dec("30");
    const auto made = bill(c, {used("2026-11-10", 5)});
    REQUIRE(made.ok());
    REQUIRE(made->lines.size() == 4);
    CHECK(made->lines[1].reason == "2026-11-01 to 2026-11-10");
    CHECK(made->lines[1].amount == dec("5"));
    CHECK(made->lines[2].reason == "2026-11-11 to 2026-11-20");
    CHECK(made->lines[3].reason == "2026-11-21 to 2026-11-30");
    CHECK(made->total == dec("30"));
    CHECK(bill(c, {used("2026-11-10", 5)}, "2026-11", false)->lines.size() == 1);  // not before the month is over
}

TEST_CASE("bill: a later price does not reach into the months before it") {
    auto c = contract();
    const std::vector<ContractUsage> usage{used("2026-11-30", 7)};
    const auto before = bill(c, usage);
    c.prices.push_back(from("2026-12-01", "1000"));
    CHECK(text(*bill(c, usage)) == text(*before));
}

TEST_CASE("bill: a contract that begins or ends within the month owes the minimum of its days, an idle one all of it") {
    auto c = contract();
    c.prices[0].price.minimum = dec("300");
    CHECK(total(c, {}) == "300.00");
    c.valid_from = at("2026-11-16T00:00:00Z");
    CHECK(total(c, {}) == "150.00");
    c.valid_from = at("2026-11-16T23:59:59.999Z");  // a day begun is a day
    CHECK(total(c, {}) == "150.00");
    c.valid_until = at("2026-11-21T00:00:00Z");
    CHECK(total(c, {}) == "50.00");
    c.valid_until = at("2026-11-21T00:00:00.001Z");
    CHECK(total(c, {}) == "60.00");
    CHECK(total(c, {}, "2026-12") == "0.00");
    CHECK(total(c, {}, "2026-10") == "0.00");
    CHECK(bill(c, {}, "2026-12")->lines.empty());
    CHECK(total(c, {used("2026-12-03", 2)}, "2026-12") == "9.68");  // used after its end all the same: a day's worth of the month
}

TEST_CASE("bill: an ended contract that does not say since when owes its usage only") {
    auto c = contract();
    c.prices[0].price.minimum = dec("300");
    c.state = ports::ContractState::ended;
    CHECK(total(c, {used("2026-11-03", 2)}) == "2.00");
    c.valid_until = at("2026-11-16T00:00:00Z");
    CHECK(total(c, {used("2026-11-03", 2)}) == "150.00");
    c.state = ports::ContractState::suspended;
    c.valid_until = {};
    CHECK(total(c, {used("2026-11-03", 2)}) == "300.00");
}

TEST_CASE("bill: months are UTC, a day of a clock change has 24 hours as any other") {
    auto c = contract("0");
    c.prices[0].price.minimum = dec("744");  // an hour of a month of 31 days: 1
    for (const auto& [period, day, next] :
         {std::tuple{"2026-03", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"}, {"2026-10", "2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z"}}) {
        c.valid_from = at(day);
        c.valid_until = at(next);
        CHECK(total(c, {}, period) == "24.00");
    }
    c.valid_from = c.valid_until = {};
    for (const auto& [period, days] : {std::pair{"2026-02", 28}, {"2028-02", 29}, {"2100-02", 28}, {"2026-04", 30}, {"2026-12", 31}}) {
        const auto month = metering::parse_month(period);
        REQUIRE(month);
        CHECK(month->days() == static_cast<std::uint32_t>(days));
        CHECK(total(c, {}, period) == "744.00");
    }
    for (const char* no : {"", "2026", "2026-00", "2026-13", "2026-1", "26-01", "2026-011", "2026/01", "9999-12"})
        CHECK_FALSE(metering::parse_month(no));
}

TEST_CASE("bill: usage that is not of the month, and what has no price, is refused and named") {
    auto c = contract();
    for (const char* day : {"2026-10-31", "2026-12-01", "", "yesterday", "2026-11-31"})
        CHECK(total(c, {used(day, 1)}) == "contract lab-wiki: usage that is not of the month, or too much of it to count");
    CHECK(total(c, {used("2026-11-01", UINT64_MAX / 100), used("2026-11-01", UINT64_MAX / 100)}) ==
          "contract lab-wiki: usage that is not of the month, or too much of it to count");
    c.prices = flat_prices("EUR", "999999999999", "0");
    CHECK(total(c, {used("2026-11-01", 10'000'000)}) == "contract lab-wiki: an amount has more than 18 digits before the point");
    c.prices.clear();
    CHECK(total(c, {}) == "contract lab-wiki: no readable price");
    CHECK(bill(contract(), {}, "2026-13").error().pointer == "query:period");
}

TEST_CASE("bill: the same usage in any order, whole or in pieces, gives the same bytes; every grouping sums to the total") {
    std::mt19937_64 random(821);
    const auto any = [&](std::uint64_t most) { return random() % (most + 1); };
    for (int round = 0; round < 60; ++round) {
        auto c = contract("0.00333");
        c.prices[0].price.charges.push_back({metering::Metric::minutes,
                                             metering::ChargeModel::graduated,
                                             dec("3"),
                                             {{dec("40"), dec("0.071"), {}}, {std::nullopt, dec("0.013"), {}}},
                                             {},
                                             {}});
        c.prices[0].price.discount_percent = dec("7.5");
        if (any(1)) c.prices.push_back(from("2026-11-16", "0.00777"));
        if (any(1)) c.prices.back().price.minimum = dec("90.01");
        std::vector<ContractUsage> usage, pieces;
        for (auto n = any(60); n > 0; --n) {
            const auto day = "2026-11-" + std::string(any(1) ? "0" : "2") + std::to_string(1 + any(8));
            ContractUsage u{any(1) ? "wiki" : "news", any(1) ? "eu" : "us", day, any(1) ? "v1" : "v2", any(1000), any(100'000), any(60)};
            const auto part = any(u.events);
            pieces.push_back({u.product, u.region, u.day, u.view, part, 0, u.minutes});
            pieces.push_back({u.product, u.region, u.day, u.view, u.events - part, u.bytes, 0});
            usage.push_back(std::move(u));
        }
        const auto made = bill(c, usage);
        REQUIRE(made.ok());
        for (auto* list : {&usage, &pieces}) {
            std::shuffle(list->begin(), list->end(), random);
            CHECK(text(*bill(c, *list)) == text(*made));
        }
        Decimal sum;
        std::map<std::string, Decimal> by_product, by_day, by_view;
        for (const auto& line : made->lines) {
            sum += line.amount;
            by_product[line.product] += line.amount, by_day[line.day] += line.amount, by_view[line.view + line.region] += line.amount;
            CHECK(line.amount == line.amount.rounded(2));
            if (line.kind != LineKind::discount && line.kind != LineKind::cap) CHECK_FALSE(line.amount.negative());
        }
        CHECK(sum == made->total);
        for (const auto* groups : {&by_product, &by_day, &by_view}) {
            Decimal of_groups;
            for (const auto& [key, amount] : *groups) of_groups += amount;
            CHECK(of_groups == made->total);
        }
    }
}

TEST_CASE("bill: what was delivered again while the contract paid for it is billed as what was delivered first") {
    ports::UsageTotal total{{1}, {2}, "2026-11-04", "eu", 5, 500};
    total.view = "00000000000000aa";
    total.minutes = 3;
    total.replayed_events = 2;
    total.replayed_bytes = 70;
    const auto u = contract_usage(total, "wiki");
    CHECK(u.product == "wiki");
    CHECK(u.region == "eu");
    CHECK(u.day == "2026-11-04");
    CHECK(u.view == "00000000000000aa");
    CHECK(u.events == 7);
    CHECK(u.bytes == 570);
    CHECK(u.minutes == 3);
}

TEST_CASE("bill: many small lines do not drift from the whole") {
    // A third of a cent each: rounded apart, 900 lines would come to nothing.
    auto c = contract("0.00333333333333");
    std::vector<ContractUsage> usage;
    std::vector<std::string> views;
    for (int i = 0; i < 900; ++i) views.push_back("v" + std::to_string(i));
    for (const auto& view : views) usage.push_back(used("2026-11-05", 1, "wiki", view.c_str()));
    CHECK(total(c, usage) == "3.00");
    const auto made = bill(c, usage);
    REQUIRE(made->lines.size() == 900);
    for (const auto& line : made->lines) CHECK(line.amount <= dec("0.01"));
}
