// Usage reports over a real ledger: exact amounts, rounded once per line, by every grouping; CSV and JSON say the same.
#include "server/app/usage_reports.h"
#include "tests/integration/ledger/fixture.h"
#include "tests/support/prices.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

ports::Contract contract(std::uint32_t no, const char* name, const char* party, std::vector<metering::DatedPrice> prices) {
    ports::Contract c;
    c.no = {no};
    c.name = name;
    c.party = party;
    c.products = {"wiki", "news"};
    c.prices = std::move(prices);
    return c;
}

std::shared_ptr<const app::Snapshot> snapshot() {
    const json mapping{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                       {"fields", json::array()}};
    ports::Configuration c;
    c.parties = {{"lab", "Lab", "DE", {}, {}}, {"ads", "Ads", "US", {}, {}}};
    c.products = {{{1}, "wiki", "Wiki", "lab", "lab", "", 1, {mapping}}, {{2}, "news", "News", "lab", "lab", "", 1, {mapping}}};
    c.contracts = {contract(1, "lab-all", "lab", flat_prices("EUR", "0.0005", "0.10")), contract(2, "ads-yen", "ads", flat_prices("JPY", "0.5", "0")),
                   contract(3, "ads-dinar", "ads", flat_prices("KWD", "0.0005", "0.00000001"))};
    return app::build_snapshot(c, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
}

UsageOf of(std::uint32_t contract_no, std::uint32_t product_no) { return {{contract_no}, {product_no}, {0}, {1}}; }

struct Month : Books {
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    app::UsageReports reports{ledger, clock, "eu"};
    void suspend(UsageOf what, Offset from, Offset to) {
        flush(Script(1).intent(from, to, what).take(), "gone");
        settle(2, ~Offset{0}, "gone");
    }
    // Delivered: `events` of `bytes` in all.
    void deliver(UsageOf what, Offset from, std::uint64_t events, std::uint64_t bytes, int day = 21, const char* node = "n1",
                 const char* region = "eu") {
        const std::int64_t at = kNoon + (day - 21) * std::int64_t{86'400'000};
        auto& next = sequence_[node];
        flush({{1,
                ++next,
                UsageKind::delivered,
                what.contract,
                what.product,
                what.partition,
                what.stream_epoch,
                from,
                from + events,
                events,
                bytes,
                {at}}},
              node, region);
    }
    [[nodiscard]] app::UsageReport report(std::string_view group = "", std::string_view party = "") const {
        auto made = reports.report(*snapshot(), "2026-11", group, party);
        REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().detail));
        return *std::move(made);
    }
    [[nodiscard]] std::string amount(std::string_view name) const {
        for (const auto& line : report().lines)
            if (line.contract == name) return line.amount.text(line.exponent) + " " + line.currency;
        return "none";
    }

  private:
    std::map<std::string, std::uint64_t> sequence_;
};

}  // namespace

TEST_CASE("reports: exact amounts, rounded half away from zero, once per line, to the currency's own digits") {
    Month m;
    m.deliver(of(1, 1), 0, 2469, 0);  // 1.2345
    CHECK(m.amount("lab-all") == "1.23 EUR");
    m.deliver(of(1, 1), 2469, 1, 0);  // 1.2350
    CHECK(m.amount("lab-all") == "1.24 EUR");
    m.deliver(of(1, 1), 2470, 1, 49'999);  // 1.2355 + 0.0049999
    CHECK(m.amount("lab-all") == "1.24 EUR");
    m.deliver(of(1, 1), 2471, 7, 10'000);  // 1.2390 + 0.0059999: 1.2449999
    CHECK(m.amount("lab-all") == "1.24 EUR");
    m.deliver(of(1, 1), 2478, 0, 0);
    m.deliver(of(1, 1), 2480, 1, 0);  // 1.2454999
    CHECK(m.amount("lab-all") == "1.25 EUR");
    m.deliver(of(2, 1), 0, 3, 1'000'000);  // 1.5
    CHECK(m.amount("ads-yen") == "2 JPY");
    m.deliver(of(2, 1), 3, 1, 0);
    CHECK(m.amount("ads-yen") == "2 JPY");
    m.deliver(of(3, 1), 0, 1, 0);  // 0.0005
    CHECK(m.amount("ads-dinar") == "0.001 KWD");
    m.deliver(of(3, 1), 1, 1'000'000'000, 9'000'000'000'000'000);  // 500000.0005 + 90.0
    CHECK(m.amount("ads-dinar") == "500090.001 KWD");
}

TEST_CASE("reports: every grouping sums to the same events and bytes, and its total is the sum of its lines") {
    Month m;
    std::uint64_t events = 0, bytes = 0;
    Offset at = 0;
    for (int day = 1; day <= 5; ++day)
        for (std::uint32_t product = 1; product <= 2; ++product)
            for (const char* region : {"eu", "us"}) {
                const std::uint64_t n = 7 * static_cast<std::uint64_t>(day) + product;
                m.deliver(of(1, product), at, n, n * 101, day, region, region);
                at += n, events += n, bytes += n * 101;
            }
    const struct {
        const char* group;
        std::size_t lines;
    } groups[] = {{"", 1},
                  {"contract", 1},
                  {"product", 2},
                  {"contract,product", 2},
                  {"day", 5},
                  {"region", 2},
                  {"product,day", 10},
                  {"day,region", 10},
                  {"product,region", 4},
                  {"product,day,region", 20},
                  {"region,day", 10},
                  {"day,day,contract", 5}};
    for (const auto& [group, lines] : groups) {
        CAPTURE(group);
        const auto report = m.report(group);
        REQUIRE(report.lines.size() == lines);
        std::uint64_t e = 0, b = 0;
        metering::Decimal sum;
        for (const auto& line : report.lines) e += line.events, b += line.bytes, sum += line.amount;
        CHECK(e == events);
        CHECK(b == bytes);
        const auto text = app::to_json(report);
        CHECK(text["totals"][0]["amount"] == sum.text(2));
        CHECK(text["lines"].size() == lines);
    }
}

TEST_CASE("reports: CSV and JSON, to the character") {
    Month m;
    m.deliver(of(1, 1), 0, 10'000, 1'500'000, 3);
    m.deliver(of(1, 2), 0, 4, 321, 4, "n2", "us");
    m.deliver(of(2, 1), 0, 5, 100, 3);
    const auto report = m.report("product,day,region");
    CHECK(app::to_csv(report) ==
          "period,contract,product,day,region,kind,events,bytes,minutes,currency,amount,statement,hash\r\n"
          "2026-11,ads-yen,wiki,2026-11-03,eu,usage,5,100,1,JPY,3,,\r\n"
          "2026-11,lab-all,news,2026-11-04,us,usage,4,321,1,EUR,0.00,,\r\n"
          "2026-11,lab-all,wiki,2026-11-03,eu,usage,10000,1500000,1,EUR,5.15,,\r\n");
    CHECK(app::to_csv(m.report()) ==
          "period,contract,kind,events,bytes,minutes,currency,amount,statement,hash\r\n"
          "2026-11,ads-yen,usage,5,100,1,JPY,3,,\r\n"
          "2026-11,lab-all,usage,10004,1500321,2,EUR,5.15,,\r\n");
    const auto text = app::to_json(report);
    CHECK(text["period"] == "2026-11");
    CHECK(text["lines"][2] == json{{"contract", "lab-all"},
                                   {"product", "wiki"},
                                   {"day", "2026-11-03"},
                                   {"region", "eu"},
                                   {"kind", "usage"},
                                   {"events", 10'000},
                                   {"bytes", 1'500'000},
                                   {"minutes", 1},
                                   {"currency", "EUR"},
                                   {"amount", "5.15"}});
    CHECK(text["totals"] == json::array({{{"currency", "EUR"}, {"amount", "5.15"}}, {{"currency", "JPY"}, {"amount", "3"}}}));
    CHECK(text["suspenseOffsets"] == 0);
    CHECK(text["books"][0] == json{{"contract", "ads-yen"},
                                   {"delivered", {{"events", 5}, {"bytes", 100}}},
                                   {"billed", {{"events", 5}, {"bytes", 100}}},
                                   {"unbilled", {{"events", 0}, {"bytes", 0}}},
                                   {"suspenseOffsets", 0},
                                   {"balanced", true}});
}

TEST_CASE("reports: a partner sees its own contracts only; suspense and what is unbilled are on the books, in no line") {
    Month m;
    m.deliver(of(1, 1), 0, 100, 1000);
    m.deliver(of(1, 1), 50, 100, 1000, 21, "n2");  // a part again: unbilled
    m.suspend(of(1, 1), 200, 250);
    m.deliver(of(2, 1), 0, 10, 100);
    const auto own = m.report("", "lab");
    REQUIRE(own.lines.size() == 1);
    CHECK(own.lines[0].events == 100);
    REQUIRE(own.books.size() == 1);
    CHECK(own.books[0].delivered.events == 200);
    CHECK(own.books[0].unbilled.events == 100);
    CHECK(own.books[0].suspense_offsets == 50);
    CHECK(own.books[0].balanced());
    CHECK(app::to_json(own)["suspenseOffsets"] == 50);
    CHECK(m.report("", "nobody").lines.empty());
    CHECK(m.report("", "nobody").books.empty());
    CHECK(app::to_csv(m.report("", "nobody")) == "period,contract,kind,events,bytes,minutes,currency,amount,statement,hash\r\n");
    // Another month: no line, and none of this one's suspense.
    const auto before = m.reports.report(*snapshot(), "2026-10", "", "");
    REQUIRE(before.ok());
    CHECK(before->lines.empty());
    CHECK(before->books.empty());
    CHECK(m.reports.report(*snapshot(), "2026-12", "", "")->lines.empty());
}

TEST_CASE("reports: months, groups and contracts that are not there") {
    Month m;
    const auto refused = [&](const char* period, const char* group) {
        const auto made = m.reports.report(*snapshot(), period, group, "");
        REQUIRE_FALSE(made.ok());
        CHECK(made.error().code == Errc::invalid_parameter);
        return made.error().pointer;
    };
    for (const char* period : {"", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "2026/11", "x026-11"})
        CHECK(refused(period, "") == "query:period");
    for (const char* group : {"party", "contract,", "contract,,day", ",", "Day", "day "}) CHECK(refused("2026-11", group) == "query:group");
    for (const char* period : {"2026-01", "2026-12", "2024-02"}) CHECK(m.reports.report(*snapshot(), period, "", "").ok());
    // Finance must not miss a line in silence; a partner is not told of others' trouble.
    m.deliver(of(9, 1), 0, 1, 1);
    CHECK(m.reports.report(*snapshot(), "2026-11", "", "").error().code == Errc::internal);
    CHECK(m.reports.report(*snapshot(), "2026-11", "", "lab").ok());
}
