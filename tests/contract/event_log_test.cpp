// The contract of ports::EventLog, run against every implementation: order, durability, deduplication, reading back, and a process killed in the
// middle of writes.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <random>
#include <set>
#include <sstream>

#include "base/limits.h"
#include "server/rocksdb/event_log.h"

using namespace licet;
namespace fs = std::filesystem;
using ports::AppendItem;
using ports::AppendOutcome;
using ports::LogPosition;

namespace {

class TestClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {now.load()}; }
    std::int64_t monotonic_ns() const noexcept override { return now.load() * 1'000'000; }
    std::atomic<std::int64_t> now{1'795'000'000'000};
};

struct Fixture {
    Fixture() {
        char name[] = "/tmp/licet-log-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path = name;
    }
    ~Fixture() { fs::remove_all(path); }
    [[nodiscard]] std::shared_ptr<ports::EventLog> open() const {
        auto opened = rocks::open_event_log(path, clock);
        REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().detail));
        return *opened;
    }
    std::string path;
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
};

constexpr LogPosition kAt{{7}, {0}};

EventIdentity identity(std::uint64_t n) {
    EventIdentity out;
    for (std::size_t i = 0; i < 8; ++i) out.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    out.bytes[15] = 1;
    return out;
}
std::string text(std::uint64_t n) { return "record " + std::to_string(n) + std::string(n % 97, '.'); }
AppendItem item(std::uint64_t n) { return {identity(n), text(n)}; }
std::vector<AppendItem> items(std::uint64_t from, std::uint64_t to) {
    std::vector<AppendItem> out;
    for (; from < to; ++from) out.push_back(item(from));
    return out;
}

using Outcomes = Result<std::vector<AppendOutcome>>;
std::future<Outcomes> queue(ports::EventLog& log, std::vector<AppendItem> what, LogPosition at = kAt) {
    auto done = std::make_shared<std::promise<Outcomes>>();
    auto result = done->get_future();
    auto queued = log.append(at, std::move(what), [done](Outcomes outcomes) { done->set_value(std::move(outcomes)); });
    if (!queued) done->set_value(queued.error());
    return result;
}
std::vector<AppendOutcome> append(ports::EventLog& log, std::vector<AppendItem> what, LogPosition at = kAt) {
    auto outcomes = queue(log, std::move(what), at).get();
    REQUIRE_MESSAGE(outcomes.ok(), (outcomes.ok() ? "" : outcomes.error().detail));
    return *outcomes;
}

// Every record of the partition, page by page.
std::vector<std::string> all_of(ports::EventLog& log, LogPosition at = kAt, std::size_t page = 100) {
    std::vector<std::string> out;
    for (Offset next = log.bounds(at).begin; next < log.bounds(at).end;) {
        const auto batch = log.read(at, next, page, SIZE_MAX);
        REQUIRE(batch);
        REQUIRE((*batch)->next > next);
        for (const auto& entry : (*batch)->entries) {
            REQUIRE(entry.offset == next++);
            out.emplace_back(entry.record);
        }
        REQUIRE((*batch)->next == next);
    }
    return out;
}

}  // namespace

TEST_CASE("event log: offsets are dense from 0 in each partition, and survive a restart") {
    const Fixture f;
    {
        const auto log = f.open();
        CHECK(log->bounds(kAt).end == 0);
        const auto first = append(*log, items(0, 10));
        for (std::size_t i = 0; i < 10; ++i) {
            CHECK(first[i].offset == i);
            CHECK_FALSE(first[i].duplicate);
        }
        CHECK(append(*log, items(10, 11))[0].offset == 10);
        CHECK(append(*log, items(0, 3), {{7}, {1}})[2].offset == 2);  // identities are of a partition
        CHECK(append(*log, items(0, 3), {{8}, {0}})[0].offset == 0);
        CHECK(append(*log, {}).empty());
    }
    const auto log = f.open();
    CHECK(log->bounds(kAt).begin == 0);
    CHECK(log->bounds(kAt).end == 11);
    CHECK(log->bounds({{7}, {1}}).end == 3);
    CHECK(log->bounds({{8}, {0}}).end == 3);
    CHECK(log->bounds({{9}, {0}}).end == 0);
    const auto records = all_of(*log);
    REQUIRE(records.size() == 11);
    for (std::size_t i = 0; i < records.size(); ++i) CHECK(records[i] == text(i));
    CHECK(append(*log, items(11, 12))[0].offset == 11);
}

TEST_CASE("event log: an event is known by its identity, within a batch, between batches and across restarts") {
    const Fixture f;
    {
        const auto log = f.open();
        const auto outcomes = append(*log, {item(1), item(2), {identity(1), "again"}, item(3), {identity(2), "again"}});
        CHECK(outcomes[2].duplicate);
        CHECK(outcomes[2].offset == 0);
        CHECK(outcomes[4].duplicate);
        CHECK(outcomes[4].offset == 1);
        CHECK_FALSE(outcomes[3].duplicate);
        CHECK(outcomes[3].offset == 2);
        // Two batches that may go into one group commit.
        auto one = queue(*log, {item(4), item(5)}), two = queue(*log, {item(5), item(6)});
        CHECK(one.get().value()[1].offset == 4);
        const auto second = *two.get();
        CHECK(second[0].duplicate);
        CHECK(second[0].offset == 4);
        CHECK(second[1].offset == 5);
    }
    const auto log = f.open();
    const auto outcomes = append(*log, items(1, 8));
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK(outcomes[i].duplicate);
        CHECK(outcomes[i].offset == i);
    }
    CHECK_FALSE(outcomes[6].duplicate);
    CHECK(outcomes[6].offset == 6);
    CHECK(log->bounds(kAt).end == 7);
    CHECK(all_of(*log)[0] == text(1));  // the first one stays
    CHECK(*log->find(kAt, identity(3)) == 2);
    CHECK(log->find(kAt, identity(99)).error().code == Errc::not_found);
    CHECK(log->find({{8}, {0}}, identity(3)).error().code == Errc::not_found);
}

TEST_CASE("event log: reads stop at their limits, yield one event at least, and end at the end") {
    const Fixture f;
    const auto log = f.open();
    append(*log, {{identity(1), std::string(1000, 'a')}, {identity(2), std::string(1000, 'b')}, {identity(3), ""}, {identity(4), "d"}});
    const auto read = [&](Offset from, std::size_t events, std::size_t bytes) {
        auto batch = log->read(kAt, from, events, bytes);
        REQUIRE(batch);
        CHECK((*batch)->position == kAt);
        CHECK((*batch)->next == from + (*batch)->entries.size());
        return (*batch)->entries.size();
    };
    CHECK(read(0, 100, SIZE_MAX) == 4);
    CHECK(read(0, 2, SIZE_MAX) == 2);
    CHECK(read(0, 100, 1) == 1);
    CHECK(read(0, 100, 1500) == 1);
    CHECK(read(0, 100, 2500) == 4);
    CHECK(read(0, 1, 1) == 1);
    CHECK(read(2, 100, SIZE_MAX) == 2);
    CHECK(read(4, 100, SIZE_MAX) == 0);
    CHECK(read(1000, 100, SIZE_MAX) == 0);
    const auto empty = log->read(kAt, 2, 1, SIZE_MAX);
    CHECK((*empty)->entries[0].record.empty());
    CHECK((*log->read({{9}, {9}}, 0, 10, 10))->entries.empty());
    for (std::size_t page = 1; page < 6; ++page) CHECK(all_of(*log, kAt, page).size() == 4);
}

TEST_CASE("event log: a batch read stays whole while the log moves on") {
    const Fixture f;
    const auto log = f.open();
    append(*log, items(0, 50));
    const auto batch = *log->read(kAt, 0, 50, SIZE_MAX);
    append(*log, items(50, 2000));
    log->close();
    for (std::size_t i = 0; i < 50; ++i) CHECK(batch->entries[i].record == text(i));
}

TEST_CASE("event log: times of acceptance never decrease, also when the clock does; seeking finds the first at or after") {
    const Fixture f;
    const std::int64_t start = f.clock->now;
    {
        const auto log = f.open();
        for (std::uint64_t n = 0; n < 10; ++n) {
            f.clock->now = start + 1000 * static_cast<std::int64_t>(n / 2);  // two events of each second
            append(*log, {item(n)});
        }
        for (Offset n = 0; n < 10; n += 2) {
            const std::int64_t at = start + 500 * static_cast<std::int64_t>(n);
            CHECK(*log->seek(kAt, {at}) == n);
            CHECK(*log->seek(kAt, {at - 999}) == n);
            CHECK(*log->seek(kAt, {at + 1}) == n + 2);
        }
        CHECK(*log->seek(kAt, {0}) == 0);
        CHECK(*log->seek(kAt, {start + 1'000'000}) == 10);
        CHECK(*log->seek({{9}, {0}}, {0}) == 0);
    }
    f.clock->now = start - 60'000;  // set back between two starts
    const auto log = f.open();
    append(*log, {item(10)});
    const auto batch = *log->read(kAt, 9, 2, SIZE_MAX);
    CHECK(batch->entries[0].appended_at.value == start + 4000);
    CHECK(batch->entries[1].appended_at.value == start + 4000);
    CHECK(*log->seek(kAt, {start + 4000}) == 8);
}

TEST_CASE("event log: the stream epoch is the log's own for as long as it lives, and another's is another") {
    const Fixture f;
    const auto first = f.open()->bounds(kAt).stream_epoch;
    CHECK(f.open()->bounds(kAt).stream_epoch == first);
    CHECK(f.open()->bounds({{9}, {3}}).stream_epoch == first);
    fs::remove_all(f.path);
    CHECK(f.open()->bounds(kAt).stream_epoch != first);  // at the same moment: two nodes' logs must not bill each other's offsets
}

TEST_CASE("event log: the listener hears every durable event once, in order, before who appended it") {
    const Fixture f;
    const auto log = f.open();
    std::atomic<Offset> heard{0};
    std::atomic<bool> in_order{true}, whole{true}, readable{true}, settled_early{false};
    CHECK(log->settled() == f.clock->utc_now());
    log->on_appended([&](const std::shared_ptr<const ports::LogBatch>& batch) {
        for (const auto& entry : batch->entries) {
            if (entry.offset != heard) in_order = false;
            if (entry.record != text(entry.offset)) whole = false;
            ++heard;
            ++f.clock->now;
            if (log->settled() > entry.appended_at) settled_early = true;  // the group's other partitions may still be unread
        }
        if (batch->next != heard || log->bounds(kAt).end < heard) readable = false;
    });
    std::atomic<int> late{0};
    std::vector<std::future<void>> done;
    for (std::uint64_t n = 0; n < 500; n += 5) {
        auto reached = std::make_shared<std::promise<void>>();
        done.push_back(reached->get_future());
        auto what = items(n, n + 5);
        what.push_back(item(n));  // a duplicate is nobody's news
        REQUIRE(log->append(kAt, std::move(what), [&, n, reached](const Outcomes& outcomes) {
            if (!outcomes.ok() || heard < n + 5) ++late;
            reached->set_value();
        }));
    }
    for (auto& d : done) d.wait();
    log->close();
    CHECK(heard == 500);
    CHECK(late == 0);
    CHECK(in_order);
    CHECK(whole);
    CHECK(readable);
    CHECK_FALSE(settled_early);
    CHECK(log->settled() == f.clock->utc_now());
}

TEST_CASE("event log: many threads append at once, and every event has one offset") {
    const Fixture f;
    const auto log = f.open();
    constexpr std::uint64_t kThreads = 4, kEach = 300;
    std::vector<std::future<std::vector<Offset>>> threads;
    for (std::uint64_t t = 0; t < kThreads; ++t)
        threads.push_back(std::async(std::launch::async, [&, t] {
            std::vector<Offset> mine;
            std::vector<std::future<Outcomes>> waiting;
            for (std::uint64_t n = 0; n < kEach; ++n) waiting.push_back(queue(*log, {item(t * kEach + n), item(1'000'000 + n)}));
            for (auto& w : waiting) {
                const auto outcomes = w.get();
                for (const auto& outcome : *outcomes) mine.push_back(outcome.offset);
            }
            return mine;
        }));
    std::set<Offset> own, shared;
    for (auto& t : threads) {
        const auto mine = t.get();
        for (std::size_t i = 0; i < mine.size(); i += 2) {
            CHECK(own.insert(mine[i]).second);
            shared.insert(mine[i + 1]);
        }
    }
    CHECK(own.size() == kThreads * kEach);
    CHECK(shared.size() == kEach);  // each thread was told the same offset
    CHECK(log->bounds(kAt).end == kThreads * kEach + kEach);
}

TEST_CASE("event log: closing finishes what was queued, then nothing is accepted") {
    const Fixture f;
    {
        const auto log = f.open();
        std::vector<std::future<Outcomes>> waiting;
        for (std::uint64_t n = 0; n < 200; ++n) waiting.push_back(queue(*log, {item(n)}));
        log->close();
        for (auto& w : waiting) CHECK(w.get().ok());
        CHECK_FALSE(queue(*log, {item(999)}).get().ok());
        CHECK(log->read(kAt, 0, 1, 1).error().code == Errc::unavailable);
        log->close();
    }
    CHECK(all_of(*f.open()).size() == 200);
}

TEST_CASE("event log: bytes that wait are bounded") {
    const Fixture f;
    const auto log = f.open();
    std::promise<void> release;
    std::atomic<bool> held{false};
    log->on_appended([&](const auto&) {
        if (!held.exchange(true)) release.get_future().wait();
    });
    auto first = queue(*log, {item(0)});
    while (!held) std::this_thread::yield();
    const std::size_t piece = limits::log_writer_queue_max_bytes / 4;
    std::size_t accepted = 0;
    for (std::uint64_t n = 1; n <= 4; ++n) {
        std::vector<AppendItem> big;
        big.push_back({identity(n), std::string(piece, 'x')});
        accepted += log->append(kAt, std::move(big), [](const Outcomes&) {}).ok();
    }
    CHECK(accepted == 3);  // the fourth would be past the limit, by its overhead
    release.set_value();
    CHECK(first.get().ok());
    append(*log, {item(100)});
    CHECK(log->append(kAt, {item(101)}, [](const Outcomes&) {}).ok());
}

TEST_CASE("event log: one process at a time, and damage is named, not skipped") {
    const Fixture f;
    {
        const auto log = f.open();
        CHECK(rocks::open_event_log(f.path, f.clock).error().code == Errc::unavailable);
        for (std::uint64_t n = 0; n < 20; ++n) append(*log, {{identity(n), std::string(2000, 'x')}});
    }
    // A byte in the middle of what was made durable flips.
    bool flipped = false;
    for (const auto& entry : fs::directory_iterator(f.path)) {
        if (entry.path().extension() != ".log" || fs::file_size(entry.path()) < 20'000) continue;
        FILE* file = std::fopen(entry.path().c_str(), "r+b");
        REQUIRE(file != nullptr);
        std::fseek(file, 15'000, SEEK_SET);
        const int byte = std::fgetc(file);
        std::fseek(file, 15'000, SEEK_SET);
        std::fputc(byte ^ 1, file);
        std::fclose(file);
        flipped = true;
    }
    REQUIRE(flipped);
    const auto reopened = rocks::open_event_log(f.path, f.clock);
    REQUIRE_FALSE(reopened.ok());
    CHECK(reopened.error().code == Errc::corrupt);
}

namespace {

struct Report {
    std::uint64_t first, count;
};

// In the child: appends batches without end, each event once, and reports what was acknowledged.
[[noreturn]] void append_for_ever(const std::string& path, std::uint64_t next, int report) {
    auto opened = rocks::open_event_log(path, std::make_shared<TestClock>());
    if (!opened) _exit(3);
    std::mt19937 random(static_cast<unsigned>(getpid()));
    for (;;) {
        const Report batch{next, 1 + random() % 40};
        const auto queued = (*opened)->append(kAt, items(next, next + batch.count), [report, batch](const Outcomes& outcomes) {
            if (!outcomes.ok() || outcomes.value()[0].offset != batch.first || ::write(report, &batch, sizeof batch) != sizeof batch) _exit(4);
        });
        if (queued) next += batch.count;
    }
}

}  // namespace

TEST_CASE("event log: appender" * doctest::skip()) {  // what the next one kills
    const char* wanted = std::getenv("LICET_APPENDER");
    REQUIRE(wanted != nullptr);
    std::istringstream in(wanted);
    int pipe = -1;
    std::uint64_t end = 0;
    std::string path;
    REQUIRE((in >> pipe >> end >> path));
    append_for_ever(path, end, pipe);
}

TEST_CASE("event log: nothing acknowledged is lost when the process is killed in the middle of writes") {
    const Fixture f;
    std::mt19937 random(20261121);
    std::uint64_t end = 0;
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        const pid_t child = fork();
        if (child == 0) {
            // A process of its own from the start: the library's threads do not come along with a fork, but what they wait for does.
            close(ends[0]);
            setenv("LICET_APPENDER", (std::to_string(ends[1]) + " " + std::to_string(end) + " " + f.path).c_str(), 1);
            execl("/proc/self/exe", "test_contract", "-ns", "-tc=event log: appender", nullptr);
            _exit(9);
        }
        close(ends[1]);
        std::uint64_t acknowledged = end;
        Report batch{};
        const auto reports = 1 + random() % 60;
        for (unsigned n = 0; n < reports; ++n) {
            REQUIRE(::read(ends[0], &batch, sizeof batch) == sizeof batch);
            REQUIRE(batch.first == acknowledged);
            acknowledged += batch.count;
        }
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        while (::read(ends[0], &batch, sizeof batch) == sizeof batch) acknowledged += batch.count;
        close(ends[0]);

        const auto log = f.open();
        end = log->bounds(kAt).end;
        REQUIRE(end >= acknowledged);
        const auto records = all_of(*log);
        REQUIRE(records.size() == end);
        bool same = true;
        for (std::uint64_t n = 0; n < end; ++n) same = same && records[n] == text(n);
        CHECK(same);
        // A producer that heard nothing sends again: known, whatever of it had become durable.
        if (end > 0) CHECK(append(*log, {item(end - 1)})[0].duplicate);
    }
    CHECK(end > 0);
}
