// Closing periods over a real PostgreSQL: what holds it up and is named, what is late, what no longer moves, and that it comes out the same again.
#include <algorithm>
#include <sstream>
#include <thread>

#include "server/app/statement_documents.h"
#include "server/app/usage_progress.h"
#include "server/app/usage_reports.h"
#include "server/app/verify_usage.h"
#include "tests/integration/ledger/market.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const app::Actor kFinance{"treasurer", "press", {"finance"}};

// Two contracts with usage in October and November 2020, and the clock in December.
struct Closing : Market {
    Closing() {
        clock->now = moment("2020-12-03T08:00:00Z");
        claim("n1");
    }
    void usage() {
        deliver(1, 1, 2469, 0, "2020-10-31T23:59:59.999Z");
        deliver(1, 1, 2000, 1'000'000, "2020-11-01T00:00:00Z");
        deliver(1, 2, 100, 50, "2020-11-30T23:59:59.999Z");
        deliver(2, 1, 3, 7, "2020-10-10T00:00:00Z");
        deliver(1, 1, 11, 11, "2020-12-01T00:00:00Z");
    }
    json close(const char* period) {
        const auto done = periods().close(kFinance, period);
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail + done.error().members));
        return done->body;
    }
    Error refused(const char* period) {
        const auto done = periods().close(kFinance, period);
        REQUIRE_FALSE(done.ok());
        return done.error();
    }
    void over() { passed("n1", "2020-12-02T00:00:00Z"); }
    std::string last_audit(const char* what) const {
        return database.value(std::string("SELECT (line::json ->> '") + what + "') FROM audit ORDER BY seq DESC LIMIT 1");
    }
    // Whatever finance could hand on: documents, each with its lines.
    std::string bundle(const char* first = "1") {
        std::string out;
        auto p = periods();
        const auto documents = p.statements({}, {});
        REQUIRE(documents.ok());
        std::istringstream all(*documents);
        for (std::string document; std::getline(all, document);) {
            const auto number = json::parse(document)["number"].get<std::uint64_t>();
            if (number < std::stoull(first)) continue;
            out += document + "\n" + *p.lines(std::to_string(number), "", "", "");
        }
        return out;
    }
};

Result<app::VerifiedUsage> verify(const std::string& text) {
    static const auto crypto = openssl::make_crypto();
    static const auto verifier = *openssl::make_verifier(test_signer()->public_key());
    app::UsageVerification verification(*crypto, *verifier);
    std::istringstream file(text);
    if (auto added = verification.add("bundle", file); !added) return added.error();
    return verification.finish();
}

}  // namespace

TEST_CASE("periods: a node that has not passed the end holds the closing up, by name") {
    Closing m;
    m.usage();
    m.claim("n2");
    m.passed("n2", "2020-10-31T23:59:59.999Z");
    m.over();
    auto error = m.refused("2020-10");
    CHECK(error.code == Errc::period_open);
    CHECK(error.detail.find("node n2") != std::string::npos);
    const auto members = json::parse(error.members);
    REQUIRE(members["gaps"].size() == 1);
    CHECK(members["gaps"][0] == json{{"node", "n2"}, {"boot", 1}, {"sequence", 0}, {"flushedUntil", "2020-10-31T23:59:59.999Z"}});
    CHECK(m.database.value("SELECT count(*) FROM statements") == "0");
    CHECK(m.database.value("SELECT count(*) FROM billing_periods") == "0");
    // Half-open: the first millisecond of the next month is past the end.
    m.passed("n2", "2020-11-01T00:00:00.000Z");
    CHECK(m.close("2020-10")["statements"] == 2);
    // A node that has ended in order waits for nobody, one that starts again is waited for.
    error = m.refused("2020-11");
    CHECK(json::parse(error.members)["gaps"][0]["node"] == "n2");
    REQUIRE(m.billing->ended("n2", 1, {moment("2020-11-20T12:00:00Z")}).ok());
    m.claim("n2", 2);
    CHECK(json::parse(m.refused("2020-11").members)["gaps"][0]["boot"] == 2);
    m.ended("n2", 2);
    CHECK(m.close("2020-11")["firstStatement"] == 3);
    // A node the ledger never heard of says nothing.
    CHECK(m.billing->advance("n9", 1, {0}).error().code == Errc::not_found);
}

TEST_CASE("periods: in their order, once, and not before they are over") {
    Closing m;
    m.usage();
    m.over();
    CHECK(m.refused("2020-12").code == Errc::period_open);
    CHECK(m.refused("2021-01").code == Errc::period_open);
    CHECK(m.refused("2020-13").code == Errc::invalid_parameter);
    const auto early = m.refused("2020-11");
    CHECK(early.code == Errc::period_open);
    CHECK(json::parse(early.members)["earlier"] == json::array({"2020-10"}));
    const auto closed = m.close("2020-10");
    CHECK(closed["closedBy"] == "treasurer");
    CHECK(closed["firstStatement"] == 1);
    CHECK(closed["lastStatement"] == 2);
    CHECK(m.last_audit("action") == "period.close");
    CHECK(m.last_audit("target") == "2020-10");
    const auto again = m.refused("2020-10");
    CHECK(again.code == Errc::period_closed);
    CHECK(json::parse(again.members)["firstStatement"] == 1);
    CHECK(m.refused("2020-09").code == Errc::period_closed);
    m.close("2020-11");
    const auto list = m.periods().list();
    REQUIRE(list.ok());
    std::string states;
    for (const auto& p : list->body["periods"]) states += p["period"].get<std::string>() + " " + p["state"].get<std::string>() + ", ";
    CHECK(states == "2020-10 closed, 2020-11 closed, 2020-12 current, ");
    CHECK(list->body["nodes"][0]["node"] == "n1");
}

TEST_CASE("periods: a month nothing was delivered in is closed like any other") {
    Closing m;
    m.deliver(1, 1, 10, 10, "2020-09-10T00:00:00Z");
    m.over();
    m.close("2020-09");
    CHECK(json::parse(m.refused("2020-11").members)["earlier"] == json::array({"2020-10"}));
    CHECK(m.close("2020-10")["statements"] == 0);
    CHECK(m.close("2020-11")["statements"] == 0);
    CHECK(m.of("2020-10").empty());
}

TEST_CASE("periods: what is closed is read from its statement, and states what the draft said") {
    Closing m;
    m.usage();
    m.over();
    const auto draft = m.of("2020-10"), later_draft = m.of("2020-11");
    const auto draft_lines = m.lines("lab-all", 0, 1000, "2020-10");
    m.close("2020-10");
    const auto closed = m.of("2020-10");
    REQUIRE(closed.size() == draft.size());
    CHECK(closed[0].contract == "ads-yen");
    const auto& lab = closed[1];
    CHECK(lab.closed);
    CHECK(lab.statement == 2);
    CHECK(lab.total == draft[1].total);
    CHECK(lab.total.text(2) == "1.23");
    CHECK(lab.books.billed == draft[1].books.billed);
    CHECK(lab.party_title == "Lab");
    CHECK(lab.previous == closed[0].hash);
    CHECK(closed[0].previous == std::string(64, '0'));
    const auto lines = m.lines("lab-all", 0, 1000, "2020-10");
    REQUIRE(lines.size() == draft_lines.size());
    CHECK(lines[0].amount == draft_lines[0].amount);
    CHECK(lines[0].day == "2020-10-31");
    CHECK(lines[0].party == "lab");
    CHECK(m.lines("lab-all", 1, 1000, "2020-10").empty());
    CHECK(m.read_lines("2020-10", "nobody", 0, [](const ports::AccountLine&) { return success(); }).error().code == Errc::not_found);
    CHECK(m.of("2020-10", "", "ads").size() == 1);
    // The catalog may change as it likes.
    m.configuration.contracts[0].prices = flat_prices("EUR", "9", "9");
    m.snapshot = app::build_snapshot(m.configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    CHECK(m.of("2020-10")[1].total.text(2) == "1.23");
    CHECK(m.of("2020-11")[0].total != later_draft[0].total);
}

TEST_CASE("periods: usage reports of a closed month are sums of its statements, whatever came or changed since") {
    Closing m;
    m.usage();
    m.over();
    const auto report = [&](const char* group, const char* party = "") {
        const app::UsageReports reports(m.ledger, m.clock, "eu", m.billing, m.accounts);
        auto made = reports.report(*m.snapshot, "2020-10", group, party);
        REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().detail));
        return *std::move(made);
    };
    const auto open = report("product,day");
    CHECK_FALSE(open.closed);
    CHECK(open.statements.empty());
    m.close("2020-10");
    m.configuration.contracts[0].prices = flat_prices("EUR", "9", "9");
    m.snapshot = app::build_snapshot(m.configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    m.claim("n2");
    m.deliver(1, 1, 2, 0, "2020-10-31T23:00:00Z", "n2");  // late: of an open month
    const auto closed = report("product,day");
    CHECK(closed.closed);
    REQUIRE(closed.lines.size() == open.lines.size());
    for (std::size_t i = 0; i < closed.lines.size(); ++i) {
        CHECK(closed.lines[i].contract == open.lines[i].contract);
        CHECK(closed.lines[i].day == open.lines[i].day);
        CHECK(closed.lines[i].events == open.lines[i].events);
        CHECK(closed.lines[i].amount == open.lines[i].amount);
        CHECK(closed.lines[i].currency == open.lines[i].currency);
    }
    const auto accounts = m.of("2020-10");
    REQUIRE(closed.statements.size() == 2);
    REQUIRE(closed.books.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(closed.statements[i].contract == accounts[i].contract);
        CHECK(closed.statements[i].number == accounts[i].statement);
        CHECK(closed.statements[i].hash == accounts[i].hash);
        CHECK(closed.books[i].delivered == accounts[i].books.delivered);
        CHECK(closed.books[i].balanced());
    }
    const auto text = app::to_json(closed);
    CHECK(text["closed"] == true);
    CHECK(text["statements"][1] ==
          json{{"contract", "lab-all"}, {"number", 2}, {"hash", accounts[1].hash}, {"closedAt", format_rfc3339(accounts[1].closed_at)}});
    CHECK(app::to_csv(report("", "lab")) ==
          "period,contract,kind,events,bytes,minutes,currency,amount,statement,hash\r\n2020-10,lab-all,usage,2469,0,1,EUR,1.23,2," +
              accounts[1].hash + "\r\n");
    CHECK(report("", "nobody").statements.empty());
    CHECK(report("", "nobody").closed);
}

TEST_CASE("periods: what comes late is booked into the open month with its own day, and the closed one does not move") {
    Closing m;
    m.usage();
    m.over();
    m.close("2020-10");
    const auto closed = m.bundle();
    const auto november = m.of("2020-11")[0].total;
    // A node comes back with October's deliveries: 2 more events of the last day (2471 in all are 1.2355, before 1.2345), and another day's.
    m.claim("n2");
    m.deliver(1, 1, 2, 0, "2020-10-31T23:00:00Z", "n2");
    m.deliver(1, 1, 10'000, 0, "2020-10-07T23:00:00Z", "n2");
    CHECK(m.database.value(
              "SELECT string_agg(to_char(period, 'YYYY-MM'), ' ' ORDER BY day) FROM usage_billed WHERE day < '2020-11-01' AND node = 'n2'") ==
          "2020-11 2020-11");
    CHECK(m.bundle() == closed);
    CHECK(m.of("2020-10")[1].books.billed.events == 2469);
    const auto account = m.of("2020-11")[0];
    CHECK(account.books.delivered.events == 2100 + 10'002);
    CHECK(account.books.delivered == account.books.billed);
    const auto lines = m.lines("lab-all", 0, 1000, "2020-11");
    REQUIRE(lines.size() == 4);
    CHECK(lines[2].kind == ports::LineKind::correction);
    CHECK(lines[2].day == "2020-10-07");
    CHECK(lines[2].charge_period == "2020-10");
    CHECK(lines[2].events == 10'000);
    CHECK(lines[2].amount.text(2) == "5.00");
    CHECK_FALSE(lines[2].reason.empty());
    CHECK(lines[3].day == "2020-10-31");
    CHECK(lines[3].events == 2);
    // What the whole month would have come to, less what was billed.
    CHECK(lines[2].amount.text(2) == "5.00");
    auto expected = november;
    expected += lines[2].amount;
    expected += lines[3].amount;
    CHECK(account.total == expected);
    // It is closed with that, and later usage of October goes to December, against both.
    m.ended("n2", 1);
    m.close("2020-11");
    CHECK(m.lines("lab-all", 0, 1000, "2020-11").size() == 4);
    m.deliver(1, 1, 2000, 0, "2020-10-07T23:30:00Z", "n2");
    const auto december = m.lines("lab-all", 0, 1000, "2020-12");
    REQUIRE(december.size() == 2);
    CHECK(december[1].amount.text(2) == "1.00");
    CHECK(december[1].charge_period == "2020-10");
    for (const char* number : {"1", "2", "3"}) CHECK(m.periods().rerate(number)->body["identical"] == true);
}

TEST_CASE("periods: the database refuses to change what is closed, whoever asks") {
    Closing m;
    m.usage();
    m.over();
    m.close("2020-10");
    const auto refused = [&](const std::string& sql) {
        CAPTURE(sql);
        CHECK_THROWS_AS(m.database.exec(sql), pqxx::sql_error);
    };
    for (const char* table : {"usage_billed", "usage_delivered"}) {
        refused(std::string("UPDATE ") + table + " SET events = events + 1 WHERE day < '2020-11-01'");
        refused(std::string("UPDATE ") + table + " SET day = '2020-11-05' WHERE day < '2020-11-01'");
        refused(std::string("UPDATE ") + table + " SET period = '2020-10-01' WHERE day >= '2020-11-01'");
        refused(std::string("DELETE FROM ") + table + " WHERE day < '2020-11-01'");
        refused(std::string("TRUNCATE ") + table);
    }
    for (const char* table : {"statements", "statement_lines", "statement_tree", "billing_periods"}) {
        refused(std::string("DELETE FROM ") + table);
        refused(std::string("TRUNCATE ") + table + " CASCADE");
    }
    refused("UPDATE statements SET document = '{}'");
    refused("UPDATE statement_lines SET line = '{}'");
    refused("UPDATE billing_periods SET closed_by = 'x'");
    refused("INSERT INTO statement_lines VALUES (1, 99, '{}')");
    refused("INSERT INTO statements VALUES (9, 'statement', '2020-11-01', 'x', 'x', '{}', 'h', (SELECT hash FROM statements WHERE number = 2))");
    refused("INSERT INTO statements VALUES (3, 'statement', '2020-11-01', 'x', 'x', '{}', 'h', repeat('0', 64))");
    refused("INSERT INTO billing_periods VALUES ('2020-12-01', 1, 'x', 1, 0)");
    refused("INSERT INTO billing_periods VALUES ('2020-09-01', 1, 'x', 1, 0)");
    // What is open may be put right by its owner, and its period follows its day.
    m.database.exec("UPDATE usage_billed SET day = '2020-12-05' WHERE day = '2020-11-30'");
    CHECK(m.database.value("SELECT period FROM usage_billed WHERE day = '2020-12-05'") == "2020-12-01");
    // Whatever period is written, the day decides.
    m.database.exec(
        "INSERT INTO usage_billed (contract, product, partition, stream_epoch, range, events, bytes, day, region, node, boot, sequence, period) "
        "VALUES "
        "(1, 1, 0, 9, '[0,1)', 1, 1, '2020-10-05', 'eu', 'n1', 9, 1, '2020-10-01')");
    CHECK(m.database.value("SELECT period FROM usage_billed WHERE stream_epoch = 9") == "2020-11-01");
    CHECK(verify(m.bundle()).ok());
    refused("UPDATE billing_cuts SET cut_at = 1");
    refused("DELETE FROM billing_terms");
    refused("TRUNCATE billing_suspense");
    refused("INSERT INTO billing_terms VALUES ('2020-10-01', 2, '')");
    refused("INSERT INTO billing_suspense VALUES ('2020-10-01', 7, 7, 7)");
    refused("INSERT INTO billing_periods VALUES ('2020-11-01', 1, 'x', 3, 0)");  // it is not cut
    refused("INSERT INTO billing_cuts VALUES ('2020-12-01', 1, 'x')");
    refused("INSERT INTO billing_cuts VALUES ('2020-10-01', 1, 'x')");
    refused("INSERT INTO billing_cuts VALUES ('2020-11-01', 1, 'x'); INSERT INTO billing_cuts VALUES ('2020-12-01', 1, 'x')");
    refused("INSERT INTO billing_cuts VALUES ('2020-11-01', 1, 'x'); INSERT INTO billing_periods VALUES ('2020-11-01', 1, 'x', 3, 1)");
    // Neither a note of a closed month, nor a statement more of it, nor a table of the session that stands in for what the triggers read.
    const std::string hash = m.database.value("SELECT hash FROM statements ORDER BY number DESC LIMIT 1");
    refused("INSERT INTO statements VALUES (3, 'credit-note', '2020-10-01', 'x', 'x', '{}', 'h', '" + hash + "', 'r')");
    refused("INSERT INTO statements VALUES (3, 'statement', '2020-10-01', 'x', 'x', '{}', 'h', '" + hash + "')");
    pqxx::connection serving(m.database.serving_dsn());
    pqxx::work t(serving);
    for (const char* table : {"billing_periods", "billing_cuts"}) t.exec(std::string("CREATE TEMP TABLE ") + table + " (LIKE public." + table + ")");
    t.exec(
        "INSERT INTO usage_billed (contract, product, partition, stream_epoch, range, events, bytes, day, region, node, boot, sequence) VALUES "
        "(1, 1, 0, 10, '[0,1)', 1, 1, '2020-10-05', 'eu', 'n1', 9, 2)");
    CHECK(t.exec("SELECT period FROM usage_billed WHERE stream_epoch = 10")[0][0].as<std::string>() == "2020-11-01");
}

TEST_CASE("periods: of two who close at once one does, and usage that is flushed beside it is in one month or the other") {
    Closing m;
    m.usage();
    m.over();
    std::atomic<bool> done{false};
    std::uint64_t flushed = 0;
    std::thread flusher([&] {
        while (!done) {
            m.deliver(2, 2, 1, 1, "2020-10-31T12:00:00Z");
            ++flushed;
        }
    });
    const auto other = Market::billing_of(m.database, m.clock);
    std::vector<Result<app::Reply>> results(2, Error{Errc::internal, "not run", {}});
    std::vector<std::thread> closers;
    for (std::size_t i = 0; i < 2; ++i)
        closers.emplace_back([&, i] {
            app::Periods periods({i == 0 ? m.billing : other, [&] { return Result<ports::Configuration>(m.configuration); }, openssl::make_crypto(),
                                  test_signer(), m.clock, "eu"});
            results[i] = periods.close(kFinance, "2020-10");
        });
    for (auto& thread : closers) thread.join();
    done = true;
    flusher.join();
    CHECK(results[0].ok() != results[1].ok());
    for (const auto& r : results)
        if (!r.ok()) CHECK((r.error().code == Errc::period_closed || r.error().code == Errc::conflict));  // or it was told, on a slow machine
    const auto october = m.of("2020-10", "ads-yen")[0].books.billed.events;
    const auto november = m.of("2020-11", "ads-yen");
    CHECK(october + (november.empty() ? 0 : november[0].books.billed.events) == flushed + 3);
    for (const char* number : {"1", "2"}) CHECK(m.periods().rerate(number)->body["identical"] == true);
}

TEST_CASE("periods: a contract that cannot be rated is named, closes nothing, and does not touch the others") {
    Closing m;
    m.usage();
    m.over();
    const auto named = [&](const char* contract) {
        const auto error = m.refused("2020-10");
        CHECK(error.code == Errc::period_open);
        CHECK(error.detail.find(contract) != std::string::npos);
        const auto gaps = json::parse(error.members)["gaps"];
        REQUIRE(gaps.size() == 1);
        CHECK(gaps[0]["contract"] == contract);
        CHECK_FALSE(gaps[0]["reason"].get<std::string>().empty());
        CHECK(m.database.value("SELECT count(*) FROM statements") == "0");
        CHECK(m.database.value("SELECT count(*) FROM billing_periods") == "0");
        CHECK(m.database.value("SELECT count(*) FROM audit") == "0");
        CHECK(m.database.value("SELECT count(*) FROM billing_cuts") == "0");
    };
    const auto again = [&] {
        m.snapshot = app::build_snapshot(m.configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    };
    // A price that is not read, and one that comes to too much.
    m.configuration.contracts[0].prices.clear();
    named("lab-all");
    m.configuration.contracts[0].prices = flat_prices("EUR", "999999999999999999", "0");
    named("lab-all");
    again();
    CHECK(m.accounts->accounts({"2020-10", "lab-all", ""}).error().code == Errc::internal);
    CHECK(m.accounts->accounts({"2020-10", "", ""}).error().detail.find("lab-all") != std::string::npos);
    CHECK(m.of("2020-10", "ads-yen").size() == 1);
    CHECK(m.of("2020-10", "", "ads").size() == 1);
    // Usage of a contract that the catalog does not hold.
    m.configuration = market_configuration();
    m.configuration.contracts.erase(m.configuration.contracts.begin());
    named("number 1");
    again();
    CHECK(m.of("2020-10", "ads-yen").size() == 1);
    CHECK_FALSE(m.accounts->accounts({"2020-10", "", ""}).ok());
    m.configuration = market_configuration();
    again();
    m.close("2020-10");
    // What came late of a closed month, in a currency that is no longer the contract's.
    m.claim("n2");
    m.deliver(1, 1, 2, 0, "2020-10-31T23:00:00Z", "n2");
    m.ended("n2", 1);
    m.configuration.contracts[0].prices = flat_prices("USD", "1", "1");
    CHECK(json::parse(m.refused("2020-11").members)["gaps"][0]["contract"] == "lab-all");
    m.configuration = market_configuration();
    m.close("2020-11");
}

TEST_CASE("periods: a statement says who bills and what tax, whatever is configured later") {
    Closing m;
    m.usage();
    m.over();
    // October is closed by a version whose statements say nothing of it.
    m.close("2020-10");
    CHECK_FALSE(m.of("2020-10")[1].invoicing.has_value());
    ports::InvoicingConfig config;
    config.name = "Seller GmbH";
    config.address = {"Musterweg 1", "10115 Berlin"};
    config.country = "DE";
    config.vat_id = "DE123456789";
    config.payment_terms = "30 days net";
    config.tax = {{"2020-10", "DE", "S", "16", ""}, {"2020-11", "DE", "S", "19", ""}};
    m.configure_invoicing(config);
    auto periods = m.periods();
    const json wanted{{"reference", "cn-1"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"},
                      {"reason", "outage"},  {"period", "2020-11"},   {"amount", "-0.50"}};
    REQUIRE(periods.correct(kFinance, wanted).ok());
    const ports::TaxTerms sixteen{"S", "16", ""}, nineteen{"S", "19", ""};
    const std::vector<ports::TaxOf> taxes{{"2020-11", nineteen, 0}, {"2020-10", sixteen, 2}};
    const auto draft = m.of("2020-11")[0];
    REQUIRE(draft.invoicing);
    CHECK(draft.invoicing->taxes == taxes);
    m.close("2020-11");
    const auto stated = m.of("2020-11")[0];
    REQUIRE(stated.invoicing);
    CHECK(*stated.invoicing == *draft.invoicing);
    CHECK(stated.invoicing->issuer == static_cast<const ports::Issuer&>(config));
    // Then it all changes.
    config.name = "Successor AG";
    config.tax = {{"2020-01", "DE", "S", "25", ""}};
    m.configure_invoicing(config);
    CHECK(*m.of("2020-11")[0].invoicing == *draft.invoicing);
    for (const char* number : {"1", "2", "4"}) CHECK(m.periods().rerate(number)->body["identical"] == true);
    CHECK(m.bundle().find("Successor") == std::string::npos);
    // Old and new are checked as ever.
    const auto verified = verify(m.bundle());
    REQUIRE(verified.ok());
    CHECK(verified->statements == 3);
    auto forged = m.bundle();
    forged.replace(forged.find("\"rate\":\"19\""), 11, "\"rate\":\"16\"");
    CHECK_FALSE(verify(forged).ok());

    // A note of November's carries November's class, and December's account the class of what it corrects.
    const json later{{"reference", "cn-2"}, {"contract", "lab-all"}, {"chargePeriod", "2020-11"}, {"reason", "outage"}, {"amount", "-0.10"}};
    const auto note = m.periods().correct(kFinance, later);
    REQUIRE_MESSAGE(note.ok(), (note.ok() ? "" : note.error().detail));
    CHECK(note->body["issuer"]["name"] == "Seller GmbH");
    CHECK(note->body["tax"] == json::array({{{"chargePeriod", "2020-11"}, {"category", "S"}, {"rate", "19"}, {"reason", ""}, {"corrects", 4}}}));
    const auto december = m.of("2020-12");
    REQUIRE(december.size() == 1);
    CHECK(december[0].invoicing->taxes == std::vector<ports::TaxOf>{{"2020-12", ports::TaxTerms{"S", "25", ""}, 0}, {"2020-11", nineteen, 4}});
    // A buyer abroad of whom nothing is said has no class.
    m.deliver(2, 1, 3, 7, "2020-12-02T00:00:00Z");
    CHECK_FALSE(m.of("2020-12", "ads-yen")[0].invoicing->taxes[0].terms.has_value());
}

TEST_CASE("periods: suspense is stated, and holds nothing up") {
    Closing m;
    m.deliver(1, 1, 100, 1000, "2020-10-10T00:00:00Z");
    Script script(1);
    m.flush(script.add(UsageKind::intent, 1000, 1100, {{1}, {1}, {0}, {1}}, moment("2020-10-31T12:00:00Z")).take(), "n3");
    m.claim("n3", 2);
    m.ended("n3", 2);
    m.over();
    m.close("2020-10");
    CHECK(m.of("2020-10")[0].books.suspense_offsets == 100);
    // Settled later, it is billed on its day, in the month that is open; the statement stays what it was.
    m.flush(Script(3).add(UsageKind::delivered, 1000, 1001, {{1}, {1}, {0}, {1}}, moment("2020-10-31T12:00:00Z")).take(), "n3");
    CHECK(m.of("2020-10")[0].books.suspense_offsets == 100);
    std::uint64_t billed = 0;
    for (const auto& account : m.of("2020-11")) {
        CHECK(account.books.suspense_offsets == 0);
        billed += account.books.billed.events;
    }
    CHECK(billed == 1);
    CHECK(m.periods().rerate("1")->body["identical"] == true);
}

TEST_CASE("periods: a node that will not come back is written off, with a reason and only when it is silent") {
    Closing m;
    m.usage();
    m.over();
    m.claim("n2");
    m.passed("n2", "2020-10-15T00:00:00Z");
    m.flush({{1, 1, UsageKind::intent, {1}, {1}, {0}, {7}, 0, 500, 0, 0, {moment("2020-10-15T00:00:00Z")}}}, "n2");
    auto periods = m.periods();
    const json reason{{"reason", "disk lost, see incident 12"}};
    // It was heard of just now, by the database's clock.
    m.clock->now = parse_rfc3339(m.database.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"))->value;
    CHECK(periods.write_off(kFinance, "n2", reason).error().code == Errc::conflict);
    m.clock->now += 120'000;
    CHECK(periods.write_off(kFinance, "n2", json::object()).error().pointer == "/reason");
    CHECK(periods.write_off(kFinance, "n9", reason).error().code == Errc::not_found);
    m.clock->now = std::max<std::int64_t>(m.clock->now, moment("2020-12-03T08:00:00Z"));
    CHECK(m.refused("2020-10").code == Errc::period_open);
    const auto done = periods.write_off(kFinance, "n2", reason);
    REQUIRE(done.ok());
    CHECK(done->body["intendedOffsets"] == 500);
    CHECK(m.last_audit("action") == "node.write_off");
    CHECK(m.database.value("SELECT line::json #>> '{detail,reason}' FROM audit ORDER BY seq DESC LIMIT 1") == "disk lost, see incident 12");
    CHECK(periods.write_off(kFinance, "n2", reason).error().code == Errc::conflict);
    // What it meant to deliver is on the books, and in the statement.
    CHECK(m.suspense({{1}, {1}, {0}, {7}}) == Books::Ranges{{0, 500}});
    m.close("2020-10");
    CHECK(m.of("2020-10", "lab-all")[0].books.suspense_offsets == 500);
    // It comes back all the same: what it brings is late, and it is waited for again.
    m.claim("n2", 2);
    CHECK(json::parse(m.refused("2020-11").members)["gaps"][0]["node"] == "n2");
}

TEST_CASE("periods: a node tells how far it is, and that it has ended only when all is in the ledger") {
    struct Told final : ports::UsageCompleteness {
        std::optional<UtcMillis> complete_before(UtcMillis now) const override { return waits ? since : now; }
        bool waits = false;
        std::optional<UtcMillis> since;
    };
    Closing m;
    const auto journal = std::make_shared<Told>();
    const auto node = [&] { return m.billing->nodes()->at(0); };
    app::UsageProgress progress("n1", 1, journal, m.billing, m.clock);
    REQUIRE(progress.tell().ok());
    CHECK(node().flushed_until.value == m.clock->now - 5'000);
    journal->waits = true;
    REQUIRE(progress.tell().ok());  // nothing known: nothing said
    CHECK(node().flushed_until.value == m.clock->now - 5'000);
    journal->since = UtcMillis{m.clock->now - 60'000};
    REQUIRE(progress.tell().ok());
    CHECK(node().flushed_until.value == m.clock->now - 65'000);
    progress.start();
    progress.stop();
    CHECK(node().state == "running");
    journal->waits = false;
    app::UsageProgress again("n1", 1, journal, m.billing, m.clock);
    again.start();
    again.stop();
    CHECK(node().state == "ended");
    CHECK(node().flushed_until.value == m.clock->now);
    // Of a start that is over nothing is taken any more.
    m.claim("n1", 2);
    CHECK(progress.tell().error().code == Errc::not_found);
    CHECK(node().state == "running");
}

TEST_CASE("periods: notes correct a statement in an open month") {
    Closing m;
    m.usage();
    m.over();
    auto periods = m.periods();
    json wanted{{"reference", "cn-1"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"}, {"reason", "outage on the 12th"},
                {"period", "2020-11"}, {"amount", "-0.50"}};
    CHECK(periods.correct(kFinance, wanted).error().code == Errc::not_found);  // nothing to correct yet
    m.close("2020-10");
    const auto before = m.of("2020-11")[0].total;
    const auto note = periods.correct(kFinance, wanted);
    REQUIRE_MESSAGE(note.ok(), (note.ok() ? "" : note.error().detail));
    CHECK(note->status == 201);
    CHECK(note->body["kind"] == "licet/credit-note/1");
    CHECK(note->body["number"] == 3);
    CHECK(note->body["total"] == "-0.50");
    CHECK(note->body["corrects"]["number"] == 2);
    CHECK(note->body["corrects"]["hash"] == m.of("2020-10")[1].hash);
    CHECK(m.last_audit("action") == "correction.book");
    CHECK(periods.correct(kFinance, wanted).error().code == Errc::conflict);  // the same reference
    wanted["reference"] = "dn-1";
    wanted["lines"] = json::array({{{"amount", "0.25"}, {"product", "wiki"}, {"day", "2020-10-12"}}, {{"amount", "0.10"}}});
    CHECK(periods.correct(kFinance, wanted).error().pointer == "/amount");
    wanted.erase("amount");
    CHECK(periods.correct(kFinance, wanted)->body["kind"] == "licet/debit-note/1");

    const auto lines = m.lines("lab-all", 0, 1000, "2020-11");
    REQUIRE(lines.size() == 5);
    CHECK(lines[2].kind == ports::LineKind::correction);
    CHECK(lines[2].charge_period == "2020-10");
    CHECK(lines[2].amount.text(2) == "-0.50");
    CHECK(lines[2].reason == "note 3 to statement 2: outage on the 12th");
    CHECK(lines[3].product == "wiki");
    auto expected = before;
    for (std::size_t i = 2; i < 5; ++i) expected += lines[i].amount;
    CHECK(m.of("2020-11")[0].total == expected);
    CHECK(m.of("2020-10")[1].total.text(2) == "1.23");
    m.close("2020-11");
    CHECK(m.of("2020-11")[0].total == expected);
    CHECK(periods.rerate("5")->body["identical"] == true);
    CHECK(verify(m.bundle())->notes == 2);

    const auto pointer = [&](json change) {
        json body{{"reference", "cn-9"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"}, {"reason", "r"}, {"amount", "-1"}};
        body.update(change);
        const auto done = periods.correct(kFinance, body);
        REQUIRE_FALSE(done.ok());
        return done.error().pointer;
    };
    CHECK(pointer({{"amount", "0.001"}}) == "/amount");
    CHECK(pointer({{"amount", "0.00"}}) == "/amount");
    CHECK(pointer({{"amount", "1e3"}}) == "/amount");
    CHECK(pointer({{"amount", "1000000000000000000"}}) == "/amount");
    CHECK(pointer({{"amount", "-999999999999999999999999"}}) == "/amount");
    CHECK(pointer({{"amount", 5}}) == "/amount");
    CHECK(pointer({{"reason", ""}}) == "/reason");
    CHECK(pointer({{"chargePeriod", "2020-1"}}) == "/chargePeriod");
    CHECK(pointer({{"period", "2021-09"}}) == "/period");
    CHECK(pointer({{"extra", 1}}) == "/extra");
    CHECK(pointer({{"contract", "nobody"}}) == "/chargePeriod");
    json closed{{"reference", "cn-9"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"},
                {"reason", "r"},       {"amount", "-1"},        {"period", "2020-11"}};
    CHECK(periods.correct(kFinance, closed).error().code == Errc::period_closed);
    m.configuration.contracts[0].prices = flat_prices("USD", "1", "1");
    closed.erase("period");
    CHECK(periods.correct(kFinance, closed).error().code == Errc::conflict);
}

TEST_CASE("periods: proofs of every line, over small trees and over stored subtrees; partners see their own") {
    Closing m;
    // 700 lines: days, products and nodes' regions.
    std::map<std::string, std::uint64_t> sequence;
    for (int i = 0; i < 700; ++i) {
        const std::string region = "r" + std::to_string(i);
        m.flush({{1,
                  static_cast<std::uint64_t>(i) + 1,
                  UsageKind::delivered,
                  {1},
                  {1},
                  {0},
                  {1},
                  static_cast<Offset>(i),
                  static_cast<Offset>(i) + 1,
                  1,
                  static_cast<std::uint64_t>(i),
                  {moment("2020-10-05T00:00:00Z")}}},
                "n1", region);
    }
    m.deliver(2, 1, 3, 7, "2020-10-10T00:00:00Z", "n2");
    m.over();
    m.close("2020-10");
    auto periods = m.periods();
    const auto crypto = openssl::make_crypto();
    std::string receipts;
    for (const std::uint64_t line : {1, 2, 255, 256, 257, 511, 512, 513, 640, 699, 700}) {
        const auto receipt = periods.proof("2", std::to_string(line), "lab");
        REQUIRE_MESSAGE(receipt.ok(), (receipt.ok() ? "" : receipt.error().detail));
        CHECK(json::parse(*receipt)["line"]["no"] == line);
        receipts += *receipt + "\n";
    }
    const auto verified = verify(receipts);
    REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().detail));
    CHECK(verified->receipts == 11);
    CHECK_FALSE(verified->complete());
    CHECK(periods.proof("2", "0", "").error().pointer == "query:line");
    CHECK(periods.proof("2", "701", "").error().pointer == "query:line");
    CHECK(periods.proof("2", "", "").error().pointer == "query:line");
    // Of others there is nothing.
    for (const char* number : {"2", "3", "0", "x", "99999999999999999999"}) {
        CHECK(periods.statement(number, "ads").error().code == Errc::not_found);
        CHECK(periods.lines(number, "", "", "ads").error().code == Errc::not_found);
        CHECK(periods.proof(number, "1", "ads").error().code == Errc::not_found);
    }
    CHECK(periods.statement("1", "ads").ok());
    CHECK(json::parse(*periods.statements({}, "ads"))["number"] == 1);
    CHECK(periods.statements({"", "lab-all", "", ""}, "ads")->empty());
    const auto page = *periods.lines("2", "10", "100", "lab");
    CHECK(std::count(page.begin(), page.end(), '\n') == 100);
    CHECK(periods.statements({"2026", "", "", ""}, "").error().pointer == "query:period");
    CHECK(periods.statements({"", "", "x", ""}, "").error().pointer == "query:after");
    CHECK(periods.statements({"", "", "", "0"}, "").error().pointer == "query:limit");
}

TEST_CASE("periods: verification finds whatever was changed") {
    Closing m;
    m.usage();
    m.over();
    m.close("2020-10");
    REQUIRE(m.periods()
                .correct(kFinance, {{"reference", "cn-1"},
                                    {"contract", "lab-all"},
                                    {"chargePeriod", "2020-10"},
                                    {"reason", "r"},
                                    {"amount", "-0.50"},
                                    {"period", "2020-11"}})
                .ok());
    m.close("2020-11");
    const auto whole = m.bundle();
    const auto verified = verify(whole);
    REQUIRE_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().detail));
    CHECK(verified->complete());
    CHECK(verified->statements == 3);
    CHECK(verified->notes == 1);
    CHECK(verified->first == 1);
    CHECK(verified->last == 4);
    const auto changed = [&](const std::string& from, const std::string& to) {
        auto text = whole;
        const auto at = text.find(from);
        REQUIRE_MESSAGE(at != std::string::npos, from);
        text.replace(at, from.size(), to);
        const auto result = verify(text);
        CHECK_MESSAGE(!result.ok(), from);
        return result.ok() ? std::string() : result.error().detail;
    };
    CHECK(changed("\"total\":\"1.23\"", "\"total\":\"1.22\"").find("hash") != std::string::npos);
    CHECK(changed("\"amount\":\"1.23\"", "\"amount\":\"1.24\"").find("not those that were signed") != std::string::npos);
    CHECK(changed("\"events\":2469", "\"events\":2468") != "");
    CHECK(changed("\"previous\":\"0000", "\"previous\":\"0001") != "");
    CHECK(changed("\"signature\":\"", "\"signature\":\"A") != "");
    CHECK(changed("\"country\":\"DE\"", "\"country\":\"DE\",\"country\":\"DE\"").find("as it was written") != std::string::npos);
    CHECK(changed("{\"amount\"", "{ \"amount\"") != "");
    // A document signed again by another key, or left out, or its lines cut.
    std::vector<std::string> lines;
    std::istringstream in(whole);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    const auto without = [&](std::size_t skip) {
        std::string text;
        for (std::size_t i = 0; i < lines.size(); ++i)
            if (i != skip) text += lines[i] + "\n";
        return verify(text);
    };
    CHECK_FALSE(without(0).ok());  // lines of no statement
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const auto result = without(i);
        CHECK((!result.ok() || !result->complete()));
    }
    const auto later = verify(m.bundle("2"));
    REQUIRE(later.ok());
    CHECK(later->complete());  // a part of the chain
    CHECK_FALSE(verify("").ok());
    CHECK_FALSE(verify("[]\n").ok());
    CHECK_FALSE(verify(std::string(100'000, '[') + "\n").ok());
}

TEST_CASE("periods: a re-rating names what differs") {
    Closing m;
    m.usage();
    m.over();
    m.close("2020-10");
    CHECK(m.periods().rerate("2")->body["identical"] == true);
    // Only with the triggers off can a closed month be changed: it shows.
    m.database.exec(
        "ALTER TABLE usage_billed DISABLE TRIGGER USER; UPDATE usage_billed SET events = events - 1000 WHERE contract = 1 AND day < '2020-11-01'; "
        "ALTER TABLE usage_billed ENABLE TRIGGER USER");
    const auto again = m.periods().rerate("2");
    REQUIRE(again.ok());
    CHECK(again->body["identical"] == false);
    CHECK(again->body["differences"][0]["line"] == 1);
    CHECK(again->body["differences"][0]["stated"]["events"] == 2469);
    CHECK(again->body["differences"][0]["rated"]["events"] == 1469);
    CHECK(m.periods().rerate("99").error().code == Errc::not_found);
}
