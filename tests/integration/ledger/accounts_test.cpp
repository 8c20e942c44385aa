// Accounts of open periods over a real ledger: the finest lines, exact, their total their sum, the books beside them.
#include "tests/integration/ledger/market.h"

using namespace licet;
using namespace licet::testing;

TEST_CASE("accounts: the lines of an open period, their total and the books") {
    Market m;
    m.deliver(1, 1, 2469, 0, "2026-11-01T00:00:00Z");           // 1.2345
    m.deliver(1, 1, 1, 1'000'000, "2026-11-30T23:59:59.999Z");  // 0.1005
    m.deliver(1, 2, 1000, 0, "2026-11-30T10:00:00Z");           // 0.50
    m.deliver(1, 1, 7, 7, "2026-10-31T23:59:59.999Z");          // before
    m.deliver(1, 1, 9, 9, "2026-12-01T00:00:00Z");              // after
    m.deliver(2, 1, 3, 5);                                      // 1.5
    const auto all = m.of("2026-11");
    REQUIRE(all.size() == 2);
    CHECK(all[0].contract == "ads-yen");
    CHECK(all[0].total.text(0) == "2");
    CHECK(all[0].exponent == 0);
    const auto& lab = all[1];
    CHECK(lab.contract == "lab-all");
    CHECK(lab.party == "lab");
    CHECK(lab.party_title == "Lab");
    CHECK(lab.party_country == "DE");
    CHECK(format_rfc3339(lab.from) == "2026-11-01T00:00:00.000Z");
    CHECK(format_rfc3339(lab.to) == "2026-12-01T00:00:00.000Z");
    CHECK(lab.currency == "EUR");
    CHECK(lab.total.text(2) == "1.84");  // 1.835, rounded once
    CHECK(lab.lines == 3);
    CHECK_FALSE(lab.closed);
    CHECK(lab.books.delivered.events == 3470);
    CHECK(lab.books.billed.bytes == 1'000'000);

    const auto lines = m.lines("lab-all");
    REQUIRE(lines.size() == 3);
    metering::Decimal sum;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        CHECK(lines[i].no == i + 1);
        CHECK(lines[i].kind == ports::LineKind::usage);
        CHECK(lines[i].charge_period == "2026-11");
        CHECK(lines[i].purpose == "dpv:ServiceProvision dpv:Advertising");
        CHECK(lines[i].jurisdiction == "DE");
        CHECK(lines[i].region == "eu");
        sum += lines[i].amount;
    }
    CHECK(sum == lab.total);
    CHECK(lines[0].day == "2026-11-01");
    CHECK(lines[0].amount.text(2) == "1.24");
    CHECK(lines[1].day == "2026-11-30");
    CHECK(lines[1].product == "news");
    CHECK(lines[2].product == "wiki");
    // The other months have what is theirs.
    CHECK(m.of("2026-10").at(0).books.billed.events == 7);
    CHECK(m.of("2026-12").at(0).books.billed.events == 9);
}

TEST_CASE("accounts: of one contract, of one party, of none") {
    Market m;
    m.deliver(1, 1, 10, 10);
    m.deliver(2, 1, 10, 10);
    CHECK(m.of("2026-11", "lab-all").size() == 1);
    CHECK(m.of("2026-11", "", "ads").at(0).contract == "ads-yen");
    CHECK(m.of("2026-11", "lab-all", "ads").empty());
    CHECK(m.of("2026-11", "nobody").empty());
    CHECK(m.of("2026-12").empty());
    CHECK(m.accounts->accounts({"2026-13", "", ""}).error().pointer == "query:period");
    const auto ignore = [](const ports::AccountLine&) { return success(); };
    CHECK(m.read_lines("2026-11", "nobody", 0, ignore).error().code == Errc::not_found);
    CHECK(m.read_lines("2026/11", "lab-all", 0, ignore).error().code == Errc::invalid_parameter);
    // Finance must not miss a line in silence.
    m.deliver(9, 1, 1, 1);
    CHECK(m.accounts->accounts({"2026-11", "", ""}).error().code == Errc::internal);
    CHECK(m.of("2026-11", "", "lab").size() == 1);
}

TEST_CASE("accounts: what is read is of one state, though usage is booked meanwhile") {
    Market m;
    for (int day = 1; day <= 9; ++day) m.deliver(1, 1, 10, 10, ("2026-11-0" + std::to_string(day) + "T00:00:00Z").c_str());
    std::vector<ports::AccountLine> lines;
    const auto done = m.accounts->read({"2026-11", "", ""}, [&](ports::AccountsReading& reading) -> Status {
        REQUIRE(reading.accounts().size() == 1);
        CHECK(reading.accounts()[0].lines == 9);
        m.deliver(1, 1, 10, 10, "2026-11-01T01:00:00Z");
        m.deliver(1, 1, 10, 10, "2026-11-10T00:00:00Z");
        return reading.lines("lab-all", 0, [&](const ports::AccountLine& line) {
            if (lines.size() == 3) m.deliver(1, 1, 10, 10, "2026-11-01T02:00:00Z");
            lines.push_back(line);
            return success();
        });
    });
    REQUIRE(done.ok());
    REQUIRE(lines.size() == 9);
    std::uint64_t events = 0;
    for (const auto& line : lines) events += line.events;
    CHECK(events == 90);
    CHECK(m.lines("lab-all").size() == 10);
    CHECK(m.lines("lab-all", 8).size() == 2);
    CHECK(m.of("2026-11")[0].books.billed.events == 120);
}
