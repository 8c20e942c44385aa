// The usage journal on a real disk: order and durability, damage, a disk that refuses, and processes killed in the middle of writes.
#include "server/journal/journal.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>

#include "base/limits.h"
#include "metering/crc32c.h"
#include "server/openssl/crypto.h"

using namespace licet;
namespace fs = std::filesystem;
using journal::Durability;

namespace {

metering::Sha256Function sha256() {
    return [crypto = openssl::make_crypto()](std::string_view bytes) { return crypto->sha256(as_bytes(bytes)); };
}

class Directory {
  public:
    Directory() {
        char name[] = "/tmp/licet-journal-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path = name;
    }
    ~Directory() { fs::remove_all(path); }
    [[nodiscard]] journal::Options options(Durability durability = Durability::fsync) const { return {path, durability, sha256()}; }
    [[nodiscard]] std::shared_ptr<journal::Journal> open(Durability durability = Durability::fsync) const {
        auto opened = journal::open_journal(options(durability));
        REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().detail));
        return *opened;
    }
    [[nodiscard]] fs::path segment(const std::string& name) const { return fs::path(path) / (name + ".usage"); }
    std::string path;
};

ports::UsageRecord record(Offset at) { return {ports::UsageKind::delivered, {1}, {2}, {3}, {4}, at, at + 1, 1, at * 10, {1'795'000'000'000}}; }

// Appends one record and waits until it is durable.
Status append(journal::Journal& to, const ports::UsageRecord& record) {
    auto done = std::make_shared<std::promise<Status>>();
    auto result = done->get_future();
    if (auto queued = to.append({record}, [done](Status status) { done->set_value(std::move(status)); }); !queued) return queued;
    return result.get();
}
Status append(journal::Journal& to, Offset at) { return append(to, record(at)); }

std::vector<metering::JournalRecord> all_of(journal::Journal& from) { return from.take(SIZE_MAX, 0); }

std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write(const fs::path& file, const std::string& bytes) { std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes; }

// Three records of boot 1 in one closed segment.
void write_three(const Directory& dir) {
    const auto journal = dir.open();
    for (Offset at = 0; at < 3; ++at) REQUIRE(append(*journal, at));
    journal->close();
}

void reseal(std::string& bytes, std::size_t index) {
    const auto at = index * metering::kRecordBytes;
    const auto crc = metering::crc32c(std::string_view(bytes).substr(at, metering::kRecordBytes - 4));
    for (std::size_t i = 0; i < 4; ++i) bytes[at + metering::kRecordBytes - 4 + i] = static_cast<char>(crc >> (8 * i));
}

}  // namespace

TEST_CASE("journal: records come back in order, with dense sequences, until they are flushed") {
    const Directory dir;
    for (const auto durability : {Durability::fsync, Durability::os}) {
        const auto journal = dir.open(durability);
        const auto recovered = all_of(*journal).size();
        for (Offset at = 0; at < 20; ++at) REQUIRE(append(*journal, at));
        const auto records = all_of(*journal);
        REQUIRE(records.size() == recovered + 20);
        for (std::size_t i = 0; i < 20; ++i) {
            const auto& r = records[recovered + i];
            CHECK(r.boot == journal->boot());
            CHECK(r.sequence == i + 1);
            CHECK(r.from == i);
            CHECK(r.bytes == i * 10);
        }
        CHECK(journal->take(5, 0).size() == 5);
        journal->flushed(journal->boot(), 15);
        const auto rest = all_of(*journal);
        REQUIRE(rest.size() == 5);
        CHECK(rest.front().sequence == 16);
        journal->close();
        CHECK(journal->append({record(0)}, {}).error().code == Errc::journal_full);
    }
    const auto verified = journal::verify_journal(dir.path, sha256());
    REQUIRE(verified);
    CHECK(verified->records == 20);  // those of the first start were in the ledger, by the second's word
    CHECK(verified->boots == 1);
}

TEST_CASE("journal: it knows what is flushed as a time, whether records wait or not") {
    const Directory dir;
    const std::int64_t at = record(0).at.value;
    const UtcMillis now{at + 60'000};
    auto journal = dir.open();
    CHECK(journal->complete_before(now) == now);
    REQUIRE(append(*journal, 0));
    REQUIRE(append(*journal, 1));
    CHECK(journal->complete_before(now) == UtcMillis{at});
    CHECK(journal->complete_before({at - 5}) == UtcMillis{at - 5});
    journal->flushed(journal->boot(), 1);
    CHECK(journal->complete_before(now) == UtcMillis{at});
    journal->flushed(journal->boot(), 2);
    CHECK(journal->complete_before(now) == now);
    // What an earlier start left waits like everything else.
    REQUIRE(append(*journal, 2));
    journal->close();
    journal.reset();
    const auto next = dir.open();
    CHECK(next->complete_before(now) == UtcMillis{at});
    next->close();
}

TEST_CASE("journal: it is complete up to the oldest there is, wherever that stands") {
    const Directory dir;
    const std::int64_t at = record(0).at.value;
    const UtcMillis now{at + 60'000};
    auto journal = dir.open();
    const auto writer = journal->writer(), other = journal->writer();
    writer->since({at + 1'000});
    CHECK(journal->complete_before(now) == UtcMillis{at + 1'000});
    CHECK(journal->complete_before({at}) == UtcMillis{at});
    other->since({at + 500});
    CHECK(journal->complete_before(now) == UtcMillis{at + 500});
    other->none();
    // A writer that was held up brings older records than others brought before it.
    auto late = record(0), early = record(1);
    late.at = {at + 9'000};
    early.at = {at + 1'000};
    REQUIRE(append(*journal, late));
    REQUIRE(append(*journal, early));
    writer->none();
    CHECK(journal->complete_before(now) == UtcMillis{at + 1'000});
    journal->flushed(journal->boot(), 1);
    CHECK(journal->complete_before(now) == UtcMillis{at + 1'000});
    journal->flushed(journal->boot(), 2);
    CHECK(journal->complete_before(now) == now);
    journal->close();
}

TEST_CASE("journal: every start has its own number, even when the file that counts is lost") {
    const Directory dir;
    CHECK(dir.open()->boot() == 1);
    CHECK(dir.open()->boot() == 2);
    fs::remove(fs::path(dir.path) / "boot");
    CHECK(dir.open()->boot() == 3);
    write(fs::path(dir.path) / "boot", "not a number");
    CHECK(journal::open_journal(dir.options()).error().code == Errc::corrupt);
}

TEST_CASE("journal: one process at a time") {
    const Directory dir;
    auto first = dir.open();
    CHECK(journal::open_journal(dir.options()).error().code == Errc::unavailable);
    first.reset();
    CHECK(dir.open()->boot() == 2);
}

TEST_CASE("journal: a torn end is passed over, damage before the end is not") {
    const Directory dir;
    write_three(dir);
    const auto whole = read(dir.segment("1-1"));
    REQUIRE(whole.size() == 3 * metering::kRecordBytes);
    std::string named;
    const auto records_of = [&](const std::string& bytes) -> std::optional<std::size_t> {
        for (const auto& entry : fs::directory_iterator(dir.path))
            if (entry.path().extension() == ".usage") fs::remove(entry.path());
        write(dir.segment("1-1"), bytes);
        auto opened = journal::open_journal(dir.options());
        if (!opened) {
            CHECK(opened.error().code == Errc::corrupt);
            named = opened.error().detail;
            return std::nullopt;
        }
        return all_of(**opened).size();
    };
    CHECK(records_of(whole) == 3);
    for (std::size_t cut = 1; cut < metering::kRecordBytes; cut += 9) CHECK(records_of(whole.substr(0, whole.size() - cut)) == 2);
    CHECK(records_of(whole + std::string(1000, '\0')) == 3);  // a write that grew the file and no more
    CHECK(records_of(whole.substr(0, metering::kRecordBytes) + std::string(2 * metering::kRecordBytes, '\0')) == 1);
    std::string damaged = whole;
    damaged[40] ^= 1;
    CHECK_FALSE(records_of(damaged));
    damaged = whole;
    damaged[metering::kRecordBytes + 70] ^= 1;
    CHECK_FALSE(records_of(damaged));
    CHECK(named.find("1-1.usage: record 1 ") == 0);
}

TEST_CASE("journal: a full segment is followed by another, and goes when the ledger holds all of it") {
    const Directory dir;
    constexpr std::size_t kBatch = limits::journal_segment_max_bytes / metering::kRecordBytes * 2 / 5;
    {
        const auto journal = dir.open(Durability::os);
        for (std::size_t n = 0; n < 3; ++n) {
            std::vector<ports::UsageRecord> batch;
            for (std::size_t i = 0; i < kBatch; ++i) batch.push_back(record(n * kBatch + i));
            auto done = std::make_shared<std::promise<Status>>();
            REQUIRE(journal->append(std::move(batch), [done](Status status) { done->set_value(std::move(status)); }));
            REQUIRE(done->get_future().get());
        }
        CHECK(fs::file_size(dir.segment("1-1")) == 2 * kBatch * metering::kRecordBytes);
        CHECK(fs::file_size(dir.segment("1-2")) == kBatch * metering::kRecordBytes);
        journal->flushed(1, 2 * kBatch - 1);
        CHECK(fs::exists(dir.segment("1-1")));
        CHECK(journal->take(SIZE_MAX, 0).size() == kBatch + 1);
    }
    // What is flushed is known to the ledger, not to the files: a restart offers both segments again.
    CHECK(journal::verify_journal(dir.path, sha256())->records == 3 * kBatch);
    const auto last = read(dir.segment("1-1"));
    write(dir.segment("1-1"), last.substr(0, last.size() - 1));
    CHECK(journal::open_journal(dir.options()).error().detail == "1-1.usage is torn but not the last of its boot");
    CHECK_FALSE(journal::verify_journal(dir.path, sha256()));
    write(dir.segment("1-1"), last);
    const auto journal = dir.open(Durability::os);
    CHECK(journal->take(SIZE_MAX, 0).size() == 3 * kBatch);
    REQUIRE(append(*journal, 0));
    journal->flushed(1, 3 * kBatch);
    CHECK(fs::exists(dir.segment("1-1")));
    journal->flushed(2, 1);
    CHECK_FALSE(fs::exists(dir.segment("1-1")));
    CHECK_FALSE(fs::exists(dir.segment("1-2")));
    CHECK(fs::exists(dir.segment("2-1")));
}

TEST_CASE("journal: verification finds what was changed, removed or reordered") {
    const Directory dir;
    write_three(dir);
    const auto whole = read(dir.segment("1-1"));
    const auto verdict = [&](const std::string& bytes) {
        write(dir.segment("1-1"), bytes);
        const auto result = journal::verify_journal(dir.path, sha256());
        if (!result) CHECK(result.error().code == Errc::verification_failed);
        return result.ok();
    };
    constexpr auto kSize = metering::kRecordBytes;
    CHECK(verdict(whole));
    std::string forged = whole;
    forged[kSize + 56] ^= 1;  // another count of events, with a checksum to match
    reseal(forged, 1);
    CHECK_FALSE(verdict(forged));
    CHECK_FALSE(verdict(whole.substr(0, kSize) + whole.substr(2 * kSize)));
    CHECK_FALSE(verdict(whole.substr(kSize)));
    CHECK_FALSE(verdict(whole.substr(kSize, kSize) + whole.substr(0, kSize) + whole.substr(2 * kSize)));
    CHECK_FALSE(verdict(whole + whole.substr(2 * kSize)));
    CHECK(journal::verify_journal(dir.path + "/none", sha256()).error().code == Errc::not_found);
}

TEST_CASE("journal: what is over the limit of unflushed records is refused, not kept") {
    const Directory dir;
    const auto journal = dir.open(Durability::os);
    const std::vector<ports::UsageRecord> too_many(limits::journal_unflushed_max_bytes / metering::kRecordBytes + 1, record(1));
    CHECK(journal->append(too_many, {}).error().code == Errc::journal_full);
    CHECK(append(*journal, 1));
}

namespace {

// In the child: appends batches of one to five records without end and reports each durable offset over the pipe.
[[noreturn]] void append_for_ever(const journal::Options& options, int report) {
    auto opened = journal::open_journal(options);
    if (!opened) _exit(3);
    std::mt19937 random(static_cast<unsigned>(getpid()));
    for (Offset next = 0;;) {
        std::vector<ports::UsageRecord> batch;
        for (unsigned n = 1 + random() % 5; n > 0; --n) batch.push_back(record(next++));
        const Offset end = next;
        const auto queued = (*opened)->append(std::move(batch), [report, end](const Status& status) {
            if (!status || ::write(report, &end, sizeof end) != sizeof end) _exit(4);
        });
        if (!queued) next = end - batch.size();
    }
}

}  // namespace

TEST_CASE("journal: nothing acknowledged is lost when the process is killed in the middle of writes") {
    const Directory dir;
    std::mt19937 random(20261121);
    for (int round = 0; round < 12; ++round) {
        CAPTURE(round);
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        auto options = dir.options(round % 2 == 0 ? Durability::fsync : Durability::os);
        if (round % 3 != 0) options.segment_max_bytes = 20 * metering::kRecordBytes;  // killed between segments, too
        const pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            append_for_ever(options, ends[1]);
        }
        close(ends[1]);
        Offset acknowledged = 0;
        const auto reports = 1 + random() % 400;
        for (unsigned n = 0; n < reports; ++n) REQUIRE(::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        for (Offset more; ::read(ends[0], &more, sizeof more) == sizeof more;) acknowledged = more;
        close(ends[0]);

        const auto journal = dir.open();
        const auto records = all_of(*journal);
        REQUIRE(records.size() >= acknowledged);
        for (std::size_t i = 0; i < records.size(); ++i) {
            REQUIRE(records[i].boot == journal->boot() - 1);
            REQUIRE(records[i].sequence == i + 1);
            REQUIRE(records[i].from == i);
        }
        REQUIRE(journal::verify_journal(dir.path, sha256()));
        // The next round must not see these again: this start takes them and one of its own into the ledger.
        REQUIRE(append(*journal, 0));
        journal->flushed(journal->boot(), 1);
        REQUIRE(all_of(*journal).empty());
        journal->close();
        for (const auto& entry : fs::directory_iterator(dir.path)) {
            const auto name = entry.path().filename().string();
            if (entry.path().extension() == ".usage") REQUIRE(name.rfind(std::to_string(journal->boot()) + "-", 0) == 0);
        }
        fs::remove(dir.segment(std::to_string(journal->boot()) + "-1"));
    }
}

TEST_CASE("journal: after a disk that refused nothing is acknowledged any more, and what was is kept") {
    const Directory dir;
    const auto options = dir.options();
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        auto opened = journal::open_journal(options);
        if (!opened) _exit(10);
        if (!append(**opened, 0) || !append(**opened, 1)) _exit(11);
        const rlimit limit{2 * metering::kRecordBytes + 50, RLIM_INFINITY};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(12);
        const auto failed = append(**opened, 2);  // a part of it is written
        if (failed.ok() || failed.error().code != Errc::journal_full) _exit(13);
        const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
        if (setrlimit(RLIMIT_FSIZE, &none) != 0) _exit(14);
        const auto later = append(**opened, 3);  // the disk is well again: still refused, the chain has a hole
        if (later.ok() || later.error().code != Errc::journal_full) _exit(15);
        if (all_of(**opened).size() != 2) _exit(16);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    const auto records = all_of(*dir.open());
    REQUIRE(records.size() == 2);
    CHECK(records[1].from == 1);
    CHECK(journal::verify_journal(dir.path, sha256()));
}

TEST_CASE(
    "journal: a bit that turns anywhere is found: the node does not start, and file and record are named; only of the last record is nothing known") {
    const Directory dir;
    std::size_t records = 0;
    {
        const auto journal = dir.open();
        for (Offset at = 0; at < 40; ++at) REQUIRE(append(*journal, at));
        records = all_of(*journal).size();
        journal->close();
    }
    const auto whole = read(dir.segment("1-1"));
    REQUIRE(whole.size() == records * metering::kRecordBytes);
    std::mt19937 random(20261121);
    for (int round = 0; round < 300; ++round) {
        const std::size_t bit = random() % (whole.size() * 8), hit = bit / 8 / metering::kRecordBytes;
        CAPTURE(bit);
        for (const auto& entry : fs::directory_iterator(dir.path))
            if (entry.path().extension() == ".usage") fs::remove(entry.path());
        auto damaged = whole;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
        write(dir.segment("1-1"), damaged);
        const auto verified = journal::verify_journal(dir.path, sha256());
        const auto opened = journal::open_journal(dir.options());
        if (hit + 1 == records) {
            REQUIRE(opened.ok());
            CHECK(all_of(**opened).size() == records - 1);
            continue;
        }
        CHECK_FALSE(verified);
        REQUIRE_FALSE(opened.ok());
        CHECK(opened.error().code == Errc::corrupt);
        const auto named = "1-1.usage: record " + std::to_string(hit) + " ";
        CHECK(opened.error().detail.find(named) == 0);
        CHECK(verified.error().detail.find(named) == 0);
        // What docs/operations.md says to do: keep what is whole, and let the ledger's suspense have the rest.
        fs::resize_file(dir.segment("1-1"), hit * metering::kRecordBytes);
        const auto again = journal::open_journal(dir.options());
        REQUIRE(again.ok());
        CHECK(all_of(**again).size() == hit);
    }
}

TEST_CASE("journal: clocks that step back and forth change nothing but the time that is noted") {
    const Directory dir;
    std::vector<std::int64_t> times;
    {
        const auto journal = dir.open();
        for (Offset at = 0; at < 20; ++at) {
            auto r = record(at);
            r.at.value += (at % 2 == 0 ? 1 : -1) * static_cast<std::int64_t>(at) * 86'400'000;
            times.push_back(r.at.value);
            auto done = std::make_shared<std::promise<Status>>();
            REQUIRE(journal->append({r}, [done](Status status) { done->set_value(std::move(status)); }));
            REQUIRE(done->get_future().get());
        }
    }
    CHECK(journal::verify_journal(dir.path, sha256())->records == 20);
    const auto records = all_of(*dir.open());
    REQUIRE(records.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(records[i].sequence == i + 1);
        CHECK(records[i].at.value == times[i]);
    }
}
