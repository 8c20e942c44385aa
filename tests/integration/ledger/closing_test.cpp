// Closing in two steps over a real PostgreSQL: a month is cut, and its statements are made while usage is booked behind it. What ends in between is
// taken up, and comes out the same; what is held meanwhile does not grow with the lines.
#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "server/app/contract_bills.h"
#include "server/app/period_accounts.h"
#include "server/app/statement_documents.h"
#include "tests/integration/ledger/market.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const app::Actor kFinance{"treasurer", "press", {"finance"}};

// Signs, after whatever a test wants to happen before a signature; audit entries are signed by another.
class Interrupted final : public ports::Signer {
  public:
    std::array<std::uint8_t, 64> sign(Bytes message) const override {
        before(++count_);
        return signer_->sign(message);
    }
    std::array<std::uint8_t, 32> public_key() const override { return signer_->public_key(); }
    std::function<void(int)> before = [](int) {};

  private:
    const std::shared_ptr<const ports::Signer> signer_ = test_signer();
    mutable std::atomic<int> count_{0};
};

struct Closing : Market {
    Closing() {
        clock->now = moment("2020-12-03T08:00:00Z");
        claim("n1");
        deliver(1, 1, 2469, 0, "2020-10-31T23:59:59.999Z");
        deliver(1, 2, 2000, 1'000'000, "2020-10-01T00:00:00Z");
        deliver(2, 1, 3, 7, "2020-10-10T00:00:00Z");
        passed("n1", "2020-12-02T00:00:00Z");
    }
    [[nodiscard]] app::Periods closer(std::shared_ptr<const ports::Signer> by = test_signer()) {
        return app::Periods(
            {billing, [this] { return Result<ports::Configuration>(configuration); }, openssl::make_crypto(), std::move(by), clock, "eu"});
    }
    [[nodiscard]] std::string state(const char* period) {
        const auto listed = closer().list();
        REQUIRE(listed.ok());
        for (const auto& p : listed->body["periods"])
            if (p["period"] == period) return p["state"];
        return "none";
    }
    // Statements and lines, to the byte.
    [[nodiscard]] std::string made() const {
        return database.value("SELECT coalesce(string_agg(document, ' ' ORDER BY number), '') FROM statements") + "\n" +
               database.value("SELECT coalesce(string_agg(line, ' ' ORDER BY number, no), '') FROM statement_lines") + "\n" +
               database.value("SELECT closed_at || closed_by || first_number || statements FROM billing_periods");
    }
};

// Runs a closing on its own thread and holds it before a signature.
class Held {
  public:
    Held(Closing& m, int at) : periods_(m.closer(signer_)) {
        signer_->before = [this, at](int count) {
            if (count != at) return;
            std::unique_lock lock(mutex_);
            reached_ = true;
            changed_.notify_all();
            changed_.wait(lock, [&] { return released_; });
        };
        thread_ = std::thread([this] {
            auto result = periods_.close(kFinance, "2020-10");
            const std::lock_guard lock(mutex_);
            result_.emplace(std::move(result));
            changed_.notify_all();
        });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return reached_ || result_; });
        held = reached_;
    }
    ~Held() {
        if (thread_.joinable()) (void)finish();
    }
    Result<app::Reply> finish() {
        {
            const std::lock_guard lock(mutex_);
            released_ = true;
            changed_.notify_all();
        }
        thread_.join();
        return *result_;
    }
    bool held = false;

  private:
    std::shared_ptr<Interrupted> signer_ = std::make_shared<Interrupted>();
    app::Periods periods_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool reached_ = false, released_ = false;
    std::optional<Result<app::Reply>> result_;
    std::thread thread_;
};

// Peak resident memory since the last call, in MiB.
std::uint64_t peak_mib() {
    std::ifstream status("/proc/self/status");
    std::uint64_t kib = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) kib = std::stoull(line.substr(6));
    std::ofstream("/proc/self/clear_refs") << "5";
    return kib / 1024;
}

// Usage of `rows` lines, written past the triggers: a month of them would take minutes through a journal.
void fill(const Market& m, std::uint64_t rows, const char* day = "2020-10-07") {
    m.database.exec(
        "ALTER TABLE usage_replayed DISABLE TRIGGER USER; INSERT INTO usage_replayed (contract, product, partition, stream_epoch, range, events, "
        "bytes, day, region, view, node, boot, sequence, period) SELECT 1, 1 + i % 2, 0, 1, '[0,1)'::int8range, 1 + i * 7919 % 100003, 0, '" +
        std::string(day) +
        "'::date + (i % 3)::int, (ARRAY['eu-', 'EU_', 'a'])[1 + i % 3] || i, i % 5, 'n1', 1, i, '2020-10-01'::date FROM "
        "generate_series(1, " +
        std::to_string(rows) + ") i; ALTER TABLE usage_replayed ENABLE TRIGGER USER; ANALYZE usage_replayed");
}

}  // namespace

TEST_CASE("closing: usage goes on being booked while statements are made, into the next month, and the month is not closed yet") {
    Closing m;
    {
        Held closing(m, 1);
        REQUIRE(closing.held);
        // None of these waits for the closing, which waits for them to be done.
        m.deliver(2, 2, 40, 1, "2020-10-31T12:00:00Z");
        m.deliver(1, 1, 2, 0, "2020-11-05T12:00:00Z");
        CHECK(m.database.value("SELECT string_agg(to_char(period, 'YYYY-MM'), ' ') FROM usage_billed WHERE contract = 2 AND product = 2") ==
              "2020-11");
        CHECK(m.state("2020-10") == "closing");
        const auto october = m.of("2020-10");
        REQUIRE(october.size() == 2);
        CHECK(october[0].closing);
        CHECK_FALSE(october[0].closed);
        CHECK(october[0].books.billed.events == 3);
        CHECK(m.closer().statements({}, {})->empty());
        // Neither a note with a number of its own, nor a second time, nor the next month.
        CHECK(m.closer().close(kFinance, "2020-10").error().code == Errc::conflict);
        const auto next = m.closer().close(kFinance, "2020-11");
        CHECK(next.error().code == Errc::period_open);
        CHECK(json::parse(next.error().members)["earlier"] == json::array({"2020-10"}));
        const auto done = closing.finish();
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
        CHECK(done->body["statements"] == 2);
    }
    CHECK(m.state("2020-10") == "closed");
    CHECK(m.of("2020-10")[0].books.billed.events == 3);
    CHECK(m.of("2020-11")[0].books.billed.events == 40);
    for (const char* number : {"1", "2"}) CHECK(m.closer().rerate(number)->body["identical"] == true);
}

TEST_CASE("closing: numbers are not given twice, a note waits for its turn") {
    Closing m;
    REQUIRE(m.closer().close(kFinance, "2020-10").ok());
    m.deliver(1, 1, 5, 5, "2020-11-05T00:00:00Z");
    auto signer = std::make_shared<Interrupted>();
    std::optional<Error> refused;
    signer->before = [&](int) {
        const auto done = m.closer().correct(
            kFinance,
            {{"reference", "cn-1"}, {"contract", "lab-all"}, {"chargePeriod", "2020-10"}, {"reason", "r"}, {"amount", "-1"}, {"period", "2020-12"}});
        if (!done.ok()) refused = done.error();
    };
    const auto done = m.closer(signer).close(kFinance, "2020-11");
    REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
    REQUIRE(refused);
    CHECK(refused->code == Errc::unavailable);
    signer->before = [](int) {};
    CHECK(m.closer()
              .correct(kFinance, {{"reference", "cn-1"},
                                  {"contract", "lab-all"},
                                  {"chargePeriod", "2020-10"},
                                  {"reason", "r"},
                                  {"amount", "-1"},
                                  {"period", "2020-12"}})
              ->body["number"] == 4);
}

TEST_CASE("closing: what ended in between is taken up, by whomever, and comes out the same to the byte") {
    std::string expected;
    {
        Closing m;
        REQUIRE(m.closer().close(kFinance, "2020-10").ok());
        expected = m.made();
    }
    for (const int at : {0, 1, 2}) {
        CAPTURE(at);
        Closing m;
        if (at == 0) {  // cut, and nothing more
            REQUIRE(m.billing
                        ->cut("2020-10", m.clock->utc_now(), {"treasurer", "period.cut", "2020-10", json::object()},
                              app::terms_text(app::terms_of(m.configuration)))
                        .ok());
        } else {
            Held closing(m, at);
            REQUIRE(closing.held);
            m.database.end_connections();
            CHECK(closing.finish().error().code == Errc::unavailable);
            (void)m.ledger->ranges({{1}, {1}, {0}, {1}});  // its connection was ended, too
        }
        CHECK(m.state("2020-10") == "closing");
        CHECK(m.database.value("SELECT count(*) FROM statements") == "0");
        CHECK(m.database.value("SELECT count(*) FROM statement_lines") == "0");
        // Whatever changes meanwhile is of later months.
        m.deliver(2, 2, 40, 1, "2020-10-31T12:00:00Z");
        Script script(1);
        m.flush(script.intent(9000, 9100, {{1}, {1}, {0}, {9}}).take(), "n3");
        m.settle(2, ~Offset{0}, "n3");
        m.configuration.parties[0].title = "Laboratory";
        m.configuration.contracts[0].prices = flat_prices("EUR", "9", "9");
        m.clock->now += 3'600'000;
        const auto other = m.closer().close({"clerk", "press", {"finance"}}, "2020-10");
        REQUIRE_MESSAGE(other.ok(), (other.ok() ? "" : other.error().detail));
        CHECK(other->body["closedBy"] == "treasurer");
        CHECK(m.made() == expected);
        const auto again = m.closer().close(kFinance, "2020-10");
        CHECK(again.error().code == Errc::period_closed);
    }
}

TEST_CASE("closing: terms a cut period cannot be rated by are replaced, while nothing is made of them") {
    Closing m;
    auto broken = m.configuration;
    broken.contracts[0].prices.clear();
    REQUIRE(
        m.billing->cut("2020-10", m.clock->utc_now(), {"treasurer", "period.cut", "2020-10", json::object()}, app::terms_text(app::terms_of(broken)))
            .ok());
    const auto done = m.closer().close(kFinance, "2020-10");
    REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
    CHECK(done->body["statements"] == 2);
    CHECK(m.database.value("SELECT max(revision) FROM billing_terms") == "2");
    CHECK(m.database.value("SELECT count(*) FROM audit WHERE line LIKE '%period.restate%'") == "1");
}

TEST_CASE("closing: terms are read back as they were written") {
    auto configuration = market_configuration();
    configuration.contracts[0].valid_from = {moment("2020-10-05T00:00:00Z")};
    configuration.contracts[0].replays_billed = true;
    const auto terms = app::terms_of(configuration);
    const auto text = app::terms_text(terms);
    const auto read = app::parse_terms(text);
    REQUIRE(read.ok());
    CHECK(app::terms_text(*read) == text);
    CHECK(read->contracts.size() == 2);
    CHECK(read->products == terms.products);
    CHECK(app::parse_terms("{}\n").error().code == Errc::corrupt);
    CHECK(app::parse_terms(text + "x").error().code == Errc::corrupt);
}

TEST_CASE("closing: more lines than are held at once come out as they do with all in memory") {
    Closing m;
    fill(m, 25'000);
    const auto totals = m.ledger->totals({moment("2020-10-01T00:00:00Z")}, {moment("2020-11-01T00:00:00Z")}, {{1}});
    REQUIRE(totals.ok());
    std::vector<app::ContractUsage> usage;
    for (const auto& total : *totals) usage.push_back(app::contract_usage(total, total.product == ProductNo{1} ? "wiki" : "news"));
    std::shuffle(usage.begin(), usage.end(), std::mt19937(5));
    const auto expected = app::bill_contract({m.configuration.contracts[0], "DE", "eu", "2020-10", true}, usage);
    REQUIRE(expected.ok());
    REQUIRE(expected->lines.size() == 25'002);
    const auto same = [&](const std::vector<ports::AccountLine>& lines) {
        REQUIRE(lines.size() == expected->lines.size());
        std::size_t differ = 0;
        for (std::size_t i = 0; i < lines.size(); ++i)
            if (app::line_text(lines[i], 2) != app::line_text(expected->lines[i], 2)) ++differ;
        CHECK(differ == 0);
    };
    same(m.lines("lab-all", 0, SIZE_MAX, "2020-10"));
    CHECK(m.of("2020-10")[1].lines == 25'002);
    CHECK(m.of("2020-10")[1].total == expected->total);
    REQUIRE(m.closer().close(kFinance, "2020-10").ok());
    same(m.lines("lab-all", 0, SIZE_MAX, "2020-10"));
    CHECK(m.closer().rerate("2")->body["identical"] == true);
}

TEST_CASE("closing: what is held does not grow with the lines of a contract") {
    const char* wanted = std::getenv("LICET_TEST_LINES");  // 1000000 takes minutes
    const std::uint64_t rows = wanted == nullptr ? 200'000 : std::stoull(wanted);
    constexpr std::uint64_t kMost = 48;  // MiB; lines held would be more than half a KiB each
    Closing m;
    fill(m, rows);
    m.configuration.contracts[0].replays_billed = true;
    (void)peak_mib();
    const auto before = peak_mib();
    const auto grown = [&] {
        const auto peak = peak_mib();
        return peak > before ? peak - before : 0;
    };
    std::uint64_t drafted = 0;
    REQUIRE(m.read_lines("2020-10", "lab-all", 0, [&](const ports::AccountLine&) {
                 ++drafted;
                 return success();
             }).ok());
    CHECK(drafted == rows + 2);
    const auto drafting = grown();
    const auto done = m.closer().close(kFinance, "2020-10");
    REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
    const auto closing = grown();
    CHECK(m.closer().rerate("2")->body["identical"] == true);
    const auto rating = grown();
    MESSAGE(rows << " lines: MiB more at the most while drafted " << drafting << ", closed " << closing << ", rated again " << rating);
    CHECK(drafting < kMost);
    CHECK(closing < kMost);
    CHECK(rating < kMost);
}
