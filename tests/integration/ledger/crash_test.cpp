// A node that is killed at any moment, over and over, with PostgreSQL's connections ended in between: what its subscriber received is billed, once.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <random>

#include "metering/contract_meter.h"
#include "server/app/usage_flusher.h"
#include "server/prometheus/metrics.h"
#include "tests/integration/ledger/fixture.h"

using namespace licet;
using namespace licet::testing;

namespace {

struct Sent {
    Offset from, to;
};

// What one start of a node does, as the data plane does it: recovers, settles by the subscriber's cursor, then for ever intent -> send -> delivered.
class Node {
  public:
    Node(const std::string& directory, const std::string& dsn, journal::Durability durability)
        : journal_(open(directory, durability)),
          ledger_(postgres::make_ledger(postgres::make_pool(dsn))),
          flusher_("n1", "eu", journal_, ledger_, std::make_shared<BoundedLog>(Offset{1} << 40), *metrics_) {}

    bool start(Offset cursor) {
        // The connection may be ended under it at any time: then again, as a supervisor would start it again.
        for (int attempt = 0; attempt < 50; ++attempt) {
            if (!flusher_.recover()) continue;
            const auto ranges = ledger_->ranges(kOf);
            if (!ranges) continue;
            meter_.emplace(ranges->billed);
            for (const auto& [from, to] : ranges->suspense.all())
                if (from < cursor) note(from, std::min(to, cursor));
            flusher_.start();
            return true;
        }
        return false;
    }
    // Returns only when the pipe is gone.
    void deliver(Offset at, int pipe) {
        std::mt19937 random(static_cast<unsigned>(getpid()));
        for (;;) {
            if (const auto needed = meter_->intent_needed(at)) {
                auto done = std::make_shared<std::promise<bool>>();
                put({UsageKind::intent, kOf.contract, kOf.product, kOf.partition, kOf.stream_epoch, needed->from, needed->to, 0, 0, {kNoon}},
                    [done](const Status& status) { done->set_value(status.ok()); });
                if (!done->get_future().get()) _exit(7);
                meter_->intent_durable(*needed);
            }
            const Sent sent{at, meter_->sendable_until(at, at + 1 + random() % 3000)};
            if (sent.to == at) _exit(8);
            if (::write(pipe, &sent, sizeof sent) != sizeof sent) return;
            note(sent.from, sent.to);
            at = sent.to;
        }
    }
    void stop() {
        for (const auto& r : meter_->abandon())
            put({UsageKind::aborted, kOf.contract, kOf.product, kOf.partition, kOf.stream_epoch, r.from, r.to, 0, 0, {kNoon}}, {});
        journal_->close();
        flusher_.stop();
    }

  private:
    static std::shared_ptr<journal::Journal> open(const std::string& directory, journal::Durability durability) {
        auto opened = journal::open_journal(journal_options(directory, durability));
        if (!opened) _exit(3);
        return *opened;
    }
    void put(const ports::UsageRecord& record, ports::UsageJournal::Durable durable) {
        while (!journal_->append({record}, durable).ok()) std::this_thread::yield();
    }
    void note(Offset from, Offset to) {
        std::vector<metering::OffsetRange> fresh;
        meter_->delivered(from, to, fresh);
        for (const auto& r : fresh)
            put({UsageKind::delivered,
                 kOf.contract,
                 kOf.product,
                 kOf.partition,
                 kOf.stream_epoch,
                 r.from,
                 r.to,
                 r.to - r.from,
                 bytes_of(r.from, r.to),
                 {kNoon}},
                {});
    }
    std::shared_ptr<ports::Metrics> metrics_ = prometheus_metrics::make_metrics();
    std::shared_ptr<journal::Journal> journal_;
    std::shared_ptr<ports::UsageLedger> ledger_;
    app::UsageFlusher flusher_;
    std::optional<metering::ContractMeter> meter_;
};

}  // namespace

TEST_CASE("usage: across thirty kills every offset the subscriber received is billed once, and nothing else is") {
    const Database database;
    const std::string dsn = database.serving_dsn();
    char directory[] = "/tmp/licet-usage-XXXXXX";
    REQUIRE(mkdtemp(directory) != nullptr);
    std::mt19937 random(20261121);
    Offset cursor = 0;  // where the subscriber goes on
    for (int cycle = 0; cycle < 30; ++cycle) {
        CAPTURE(cycle);
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        const auto durability = cycle % 3 == 0 ? journal::Durability::fsync : journal::Durability::os;
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            Node node(directory, dsn, durability);
            if (!node.start(cursor)) _exit(4);
            node.deliver(cursor, ends[1]);
            _exit(5);
        }
        close(ends[1]);
        const auto receive = [&] {
            Sent sent{};
            if (::read(ends[0], &sent, sizeof sent) != sizeof sent) return false;
            REQUIRE(sent.from == cursor);  // sees nothing twice, misses nothing
            cursor = sent.to;
            return true;
        };
        // Some are killed while they recover, before they send anything.
        const auto frames = cycle % 5 == 4 ? 0 : 1 + random() % 3000;
        for (unsigned n = 0; n < frames; ++n) {
            REQUIRE(receive());
            if (n == frames / 2 && cycle % 4 == 1) database.end_connections();
        }
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        while (receive()) {  // what the kernel had taken
        }
        close(ends[0]);
    }
    const auto ledger = postgres::make_ledger(postgres::make_pool(dsn));
    {
        Node last(directory, dsn, journal::Durability::fsync);
        REQUIRE(last.start(cursor));
        last.stop();
    }
    const auto ranges = *ledger->ranges(kOf);
    CHECK(cursor > 1'000'000);
    CHECK(ranges.billed.all() == std::map<Offset, Offset>{{0, cursor}});
    const auto totals = *ledger->totals(kMonthFrom, kMonthTo, {});
    REQUIRE(totals.size() == 1);
    CHECK(totals[0].events == cursor);
    CHECK(totals[0].bytes == bytes_of(0, cursor));
    // What is left in suspense is ahead of the subscriber: intended by a start that was killed, and delivered to nobody.
    for (const auto& [from, to] : ranges.suspense.all()) CHECK(from >= cursor);
    const auto books = ledger->balance(kMonthFrom, kMonthTo)->at(0);
    CHECK(books.delivered == books.billed);
    CHECK(journal::verify_journal(directory, journal_options(directory).sha256).ok());
    std::filesystem::remove_all(directory);
}

TEST_CASE("usage: a journal whose directory was lost does not pass for the one before") {
    const Database database;
    const std::string dsn = database.serving_dsn();
    char directory[] = "/tmp/licet-usage-XXXXXX";
    REQUIRE(mkdtemp(directory) != nullptr);
    const auto ledger = postgres::make_ledger(postgres::make_pool(dsn));
    const auto metrics = prometheus_metrics::make_metrics();
    const auto recover = [&] {
        auto journal = journal::open_journal(journal_options(directory));
        REQUIRE(journal.ok());
        app::UsageFlusher flusher("n1", "eu", *journal, ledger, std::make_shared<BoundedLog>(100), *metrics);
        const auto recovered = flusher.recover();
        if (!recovered.ok()) return recovered.error().code;
        flusher.start();
        auto done = std::make_shared<std::promise<void>>();
        REQUIRE((*journal)->append({{UsageKind::intent, kOf.contract, kOf.product, kOf.partition, kOf.stream_epoch, 0, 1000, 0, 0, {kNoon}}},
                                   [done](const Status&) { done->set_value(); }));
        done->get_future().wait();
        (*journal)->close();
        flusher.stop();
        return Errc::not_found;  // nothing wrong
    };
    CHECK(recover() == Errc::not_found);
    CHECK(recover() == Errc::not_found);
    CHECK(ledger->ranges(kOf)->suspense.all() == std::map<Offset, Offset>{{0, 100}});  // no further than the log
    std::filesystem::remove_all(directory);
    CHECK(recover() == Errc::conflict);
    // The way out: the count goes on where the ledger knows it to be.
    CHECK(database.value("SELECT max(boot) FROM usage_watermark WHERE node = 'n1'") == "2");
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    FILE* boot = std::fopen((std::string(directory) + "/boot").c_str(), "w");
    std::fputs("2\n", boot);
    std::fclose(boot);
    CHECK(recover() == Errc::not_found);
    std::filesystem::remove_all(directory);
}
