// How other metering systems lost or doubled usage, each told again here: what happened there must not happen.
#include <fstream>
#include <future>
#include <thread>

#include "server/app/usage_flusher.h"
#include "server/prometheus/metrics.h"
#include "tests/integration/ledger/fixture.h"

using namespace licet;
using namespace licet::testing;
using Ranges = Books::Ranges;

namespace {

// Refuses every write to a table, as a server in trouble may in the middle of a transaction.
class Refusing {
  public:
    Refusing(const Books& books, std::string table) : books_(books), table_(std::move(table)) {
        books_.database.exec("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'in trouble'; END $$");
        books_.database.exec("CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON " + table_ + " FOR EACH STATEMENT EXECUTE FUNCTION refuse()");
    }
    ~Refusing() { books_.database.exec("DROP TRIGGER refuses ON " + table_); }

  private:
    const Books& books_;
    const std::string table_;
};

struct Directory {
    Directory() { REQUIRE(mkdtemp(path) != nullptr); }
    ~Directory() { std::filesystem::remove_all(path); }
    char path[32] = "/tmp/licet-stories-XXXXXX";
};

ports::UsageRecord record(UsageKind kind, Offset from, Offset to) {
    const bool counts = kind == UsageKind::delivered;
    return {kind,   kOf.contract, kOf.product, kOf.partition, kOf.stream_epoch, from, to, counts ? to - from : 0, counts ? bytes_of(from, to) : 0,
            {kNoon}};
}

}  // namespace

TEST_CASE("openmeter#5118: an id claimed before its write was metered zero times. Watermark and rows are one transaction, whichever write fails") {
    for (const auto* table :
         {"usage_billed", "usage_covered", "usage_delivered", "usage_intent", "usage_minutes", "usage_watermark", "usage_by_start"}) {
        CAPTURE(table);
        const Books b;
        Script script;
        const auto records = script.intent(0, 100).delivered(0, 10).delivered(10, 20).take();
        {
            const Refusing trouble(b, table);
            for (int attempt = 0; attempt < 3; ++attempt) CHECK_FALSE(b.ledger->flush("n1", "eu", records).ok());
        }
        CHECK(b.billed().empty());
        CHECK(b.database.value("SELECT coalesce(sum(sequence), 0) FROM usage_watermark") == "0");
        b.flush(records);
        CHECK(b.billed() == Ranges{{0, 20}});
        CHECK(b.total() == ports::UsageCount{20, bytes_of(0, 20)});
        CHECK(b.balance().delivered.events == 20);
    }
}

TEST_CASE("openmeter#4902: 77 seconds were lost after a rollout. What one start could not bring to the ledger the next one brings") {
    const Books b;
    const Directory dir;
    const auto metrics = prometheus_metrics::make_metrics();
    const auto start = [&](const std::shared_ptr<ports::UsageLedger>& ledger) {
        auto opened = journal::open_journal(journal_options(dir.path));
        REQUIRE(opened.ok());
        return std::pair(*opened,
                         std::make_unique<app::UsageFlusher>("n1", "eu", *opened, ledger, std::make_shared<BoundedLog>(Offset{1000}), *metrics));
    };
    {
        auto [journal, flusher] = start(b.ledger);
        REQUIRE(flusher->recover().ok());
        flusher->start();
        const Refusing trouble(b, "usage_watermark");  // for as long as this start lives
        REQUIRE(journal->append({record(UsageKind::intent, 0, 1000)}, {}).ok());
        for (Offset at = 0; at < 770; at += 10) REQUIRE(journal->append({record(UsageKind::delivered, at, at + 10)}, {}).ok());
        REQUIRE(journal->append({record(UsageKind::aborted, 770, 1000)}, {}).ok());
        journal->close();
        flusher->stop();
        CHECK(b.billed().empty());
    }
    auto [journal, flusher] = start(b.ledger);
    REQUIRE(flusher->recover().ok());
    CHECK(b.billed() == Ranges{{0, 770}});
    CHECK(b.suspense().empty());
    CHECK(b.total() == ports::UsageCount{770, bytes_of(0, 770)});
    journal->close();
}

TEST_CASE(
    "lago-api#4725, #5359: usage was billed twice by writers that met. The same records, from connections that do not know of each other, count "
    "once") {
    const Books b;
    for (int round = 0; round < 8; ++round) {
        Script script(static_cast<std::uint64_t>(round) + 1);
        const Offset from = static_cast<Offset>(round) * 100;
        const auto records = script.intent(from, from + 100).delivered(from, from + 40).delivered(from + 40, from + 100).take();
        std::vector<std::future<bool>> writers;
        for (int w = 0; w < 4; ++w)
            writers.push_back(std::async(std::launch::async, [&] {
                const auto ledger = postgres::make_ledger(postgres::make_pool(b.database.serving_dsn()));
                for (int attempt = 0; attempt < 100; ++attempt)
                    if (ledger->flush("n1", "eu", records).ok()) return true;
                return false;
            }));
        for (auto& w : writers) CHECK(w.get());
        CHECK(b.total() == ports::UsageCount{from + 100, bytes_of(0, from + 100)});
        CHECK(b.balance().delivered.events == from + 100);
        CHECK(b.balance().unbilled.events == 0);
    }
    CHECK(b.billed() == Ranges{{0, 800}});
}
