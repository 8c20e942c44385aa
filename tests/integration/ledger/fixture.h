// A ledger on a real PostgreSQL, journal records for it, and an event log that only has bounds. Private to this folder.
#pragma once

#include <filesystem>
#include <map>

#include "server/journal/journal.h"
#include "server/ports/event_log.h"
#include "server/postgres/ledger.h"
#include "tests/integration/database.h"

namespace licet::testing {

using metering::JournalRecord;
using ports::UsageKind;
using ports::UsageOf;

inline constexpr UsageOf kOf{{1}, {2}, {0}, {4}};
inline constexpr std::int64_t kNoon = 1'795'262'400'000;                                // 2026-11-21T12:00:00Z
inline constexpr UtcMillis kMonthFrom{1'793'491'200'000}, kMonthTo{1'796'083'200'000};  // November 2026

// Each offset has its own size, so that a range billed as another shows.
inline std::uint64_t bytes_of(Offset from, Offset to) {
    std::uint64_t sum = 0;
    for (; from < to; ++from) sum += 100 + from % 7;
    return sum;
}

// Writes the records of one node as its journal would number them.
class Script {
  public:
    explicit Script(std::uint64_t boot = 1) : boot_(boot) {}
    Script& add(UsageKind kind, Offset from, Offset to, UsageOf of = kOf, std::int64_t at = kNoon, metering::ViewDigest view = {}) {
        const bool counts = kind == UsageKind::delivered || kind == UsageKind::replayed;
        records.push_back({boot_, ++sequence_, kind, of.contract, of.product, of.partition, of.stream_epoch, from, to, counts ? to - from : 0,
                           counts ? bytes_of(from, to) : 0, UtcMillis{at}, view});
        return *this;
    }
    Script& intent(Offset from, Offset to, UsageOf of = kOf) { return add(UsageKind::intent, from, to, of); }
    Script& delivered(Offset from, Offset to, UsageOf of = kOf, std::int64_t at = kNoon) { return add(UsageKind::delivered, from, to, of, at); }
    Script& aborted(Offset from, Offset to, UsageOf of = kOf) { return add(UsageKind::aborted, from, to, of); }
    // What was added since the last call.
    std::vector<JournalRecord> take() { return std::exchange(records, {}); }
    std::vector<JournalRecord> records;

  private:
    const std::uint64_t boot_;
    std::uint64_t sequence_ = 0;
};

struct Books {
    Database database;
    std::shared_ptr<ports::UsageLedger> ledger = postgres::make_ledger(postgres::make_pool(database.serving_dsn()));

    void flush(const std::vector<JournalRecord>& records, const std::string& node = "n1", const std::string& region = "eu") const {
        const auto done = ledger->flush(node, region, records);
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
    }
    void settle(std::uint64_t boot, Offset log_end = ~Offset{0}, const std::string& node = "n1") const {
        const auto done = ledger->settle_ended_boots(node, boot, [&](const UsageOf&, Offset to) { return std::min(to, log_end); });
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
    }
    using Ranges = std::map<Offset, Offset>;
    [[nodiscard]] Ranges billed(UsageOf of = kOf) const {
        const auto told = ledger->ranges(of)->billed.all();
        metering::IntervalSet rows;
        const auto text =
            database.value("SELECT coalesce(range_agg(range)::text, '{}') FROM usage_billed WHERE contract = " + std::to_string(of.contract.value) +
                           " AND product = " + std::to_string(of.product.value) + " AND partition = " + std::to_string(of.partition.value) +
                           " AND stream_epoch = " + std::to_string(of.stream_epoch.value));
        for (std::size_t at = text.find('['); at != std::string::npos; at = text.find('[', at + 1)) {
            const auto comma = text.find(',', at);
            rows.add(std::stoull(text.substr(at + 1)), std::stoull(text.substr(comma + 1)));
        }
        CHECK(rows.all() == told);
        return told;
    }
    [[nodiscard]] Ranges suspense(UsageOf of = kOf) const { return ledger->ranges(of)->suspense.all(); }
    [[nodiscard]] std::vector<ports::UsageTotal> lines() const {
        auto totals = ledger->totals(kMonthFrom, kMonthTo, {});
        REQUIRE(totals.ok());
        return *std::move(totals);
    }
    [[nodiscard]] ports::UsageCount total() const {
        ports::UsageCount sum;
        for (const auto& t : lines()) sum.events += t.events, sum.bytes += t.bytes;
        return sum;
    }
    [[nodiscard]] ports::UsageBalance balance() const {
        const auto all = ledger->balance(kMonthFrom, kMonthTo);
        REQUIRE(all.ok());
        REQUIRE(all->size() == 1);
        CHECK(all->at(0).delivered.events == all->at(0).billed.events + all->at(0).unbilled.events);
        CHECK(all->at(0).delivered.bytes == all->at(0).billed.bytes + all->at(0).unbilled.bytes);
        return all->at(0);
    }
};

class BoundedLog final : public ports::EventLog {
  public:
    explicit BoundedLog(Offset end) : end_(end) {}
    Status append(ports::LogPosition, std::vector<ports::AppendItem>, AppendDone) override { return {Errc::unavailable, "not here"}; }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition, Offset, std::size_t, std::size_t) override {
        return {Errc::unavailable, "not here"};
    }
    ports::LogBounds bounds(ports::LogPosition) override { return {0, end_, kOf.stream_epoch}; }
    UtcMillis settled() override { return {}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis) override { return end_; }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return {Errc::not_found, "not here"}; }
    void on_appended(Appended) override {}
    void close() override {}

  private:
    const Offset end_;
};

inline journal::Options journal_options(const std::string& directory, journal::Durability durability = journal::Durability::os) {
    return {directory, durability, [crypto = openssl::make_crypto()](std::string_view bytes) { return crypto->sha256(as_bytes(bytes)); }};
}

}  // namespace licet::testing
