// What is journaled and not flushed is shown once: as pending, then in the ledger's lines.
#include "server/app/usage_now.h"

#include <doctest/doctest.h>

#include <chrono>
#include <deque>

#include "base/usage_limits.h"
#include "tests/support/memory_quotas.h"
#include "tests/support/no_metrics.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;
using namespace licet::app;
using nlohmann::json;

namespace {

constexpr std::int64_t kToday = 20'778;  // 2026-11-21

// Both ends of a journal of start 2, which still holds a record of start 1.
class Ends final : public ports::UsageJournal, public ports::UsageBacklog {
  public:
    Status append(std::vector<ports::UsageRecord> records, Durable) override {
        if (refusing) return {Errc::journal_full, "test"};
        for (const auto& r : records) {
            metering::JournalRecord kept;
            kept.kind = r.kind;
            kept.boot = 2;
            kept.sequence = ++sequence;
            kept.contract = r.contract;
            kept.product = r.product;
            kept.events = r.events;
            kept.bytes = r.bytes;
            kept.at = r.at;
            all.push_back(kept);
        }
        return success();
    }
    std::shared_ptr<ports::UnappendedUsage> writer() override { return unappended; }
    void close() override {}
    std::uint64_t boot() const noexcept override { return 2; }
    std::vector<metering::JournalRecord> take(std::size_t most, int) override {
        return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(most, all.size()))};
    }
    void flushed(std::uint64_t, std::uint64_t to) override {
        while (!all.empty() && all.front().sequence <= to) all.pop_front();
    }
    std::deque<metering::JournalRecord> all;
    std::uint64_t sequence = 0;
    bool refusing = false;
    const std::shared_ptr<ports::UnappendedUsage> unappended = std::make_shared<ports::UnappendedUsage>();
};

ports::UsageRecord record(ports::UsageKind kind, std::uint32_t contract, std::uint64_t events, std::uint64_t bytes) {
    ports::UsageRecord out;
    out.kind = kind;
    out.contract = {contract};
    out.product = {7};
    out.events = events;
    out.bytes = bytes;
    out.at = {kToday * 86'400'000 + 5};
    return out;
}

}  // namespace

TEST_CASE("usage: pending is what was accepted and not flushed, of this start") {
    using Kind = ports::UsageKind;
    UsagePending pending;
    const auto ends = std::make_shared<Ends>();
    metering::JournalRecord before;
    before.kind = Kind::delivered;
    before.boot = 1;
    before.contract = {1};
    before.product = {7};
    before.events = 1000;
    ends->all.push_back(before);
    const auto journal = pending.counted(std::shared_ptr<ports::UsageJournal>(ends));
    CHECK(journal->writer() == ends->unappended);
    const auto backlog = pending.counted(std::shared_ptr<ports::UsageBacklog>(ends));
    CHECK(backlog->boot() == 2);
    REQUIRE(journal->append({record(Kind::intent, 1, 0, 0), record(Kind::delivered, 1, 5, 50), record(Kind::delivered, 2, 1, 9)}, {}).ok());
    REQUIRE(journal->append({record(Kind::delivered, 1, 3, 30)}, {}).ok());
    ends->refusing = true;
    CHECK_FALSE(journal->append({record(Kind::delivered, 1, 100, 100)}, {}).ok());
    using Counts = UsagePending::Counts;
    const auto key = [](std::uint32_t contract) { return UsagePending::Of(ContractNo{contract}, ProductNo{7}, kToday); };
    CHECK(pending.read().counts == Counts{{key(1), {8, 80}}, {key(2), {1, 9}}});
    // A batch the ledger refused is taken again.
    CHECK(backlog->take(3, 0).size() == 3);
    const auto first = backlog->take(3, 0);
    backlog->flushed(first.back().boot, first.back().sequence);
    CHECK(pending.read().counts == Counts{{key(1), {3, 30}}, {key(2), {1, 9}}});
    CHECK(pending.read().flushes == 1);
    const auto rest = backlog->take(10, 0);
    backlog->flushed(rest.back().boot, rest.back().sequence);
    CHECK(pending.read().counts.empty());
}

namespace {

std::shared_ptr<const Snapshot> snapshot_of(std::uint32_t contracts) {
    const json mapping{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                       {"fields", json::array()}};
    ports::Configuration c;
    c.parties = {{"lab", "Lab", "DE", {}, {}}};
    c.products = {{{7}, "wiki", "Wiki", "lab", "lab", "", 1, {mapping}}};
    for (std::uint32_t no = 1; no <= contracts; ++no) {
        ports::Contract contract;
        contract.no = {no};
        contract.name = "c" + std::to_string(no);
        contract.party = "lab";
        contract.products = {"wiki"};
        contract.purposes = {"dpv:ServiceProvision"};
        contract.quota.quotas = {{metering::QuotaMetric::events, metering::QuotaPeriod::month, metering::QuotaKind::hard, 100}};
        c.contracts.push_back(contract);
    }
    return build_snapshot(c, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
}

class SteadyClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {kToday * 86'400'000}; }
    std::int64_t monotonic_ns() const noexcept override { return std::chrono::steady_clock::now().time_since_epoch().count(); }
};

}  // namespace

TEST_CASE("usage: what is pending is of its own month; quotas of which nothing is heard say so, all within one wait") {
    constexpr std::uint32_t kContracts = 30;
    const auto snapshot = snapshot_of(kContracts);
    const auto books = std::make_shared<testing::MemoryBooks>();
    const auto ledger = std::make_shared<testing::MemoryQuotaLedger>();
    Quotas quotas(
        {"a", 1, std::make_shared<testing::MemoryLeases>(books, "a/1"), ledger, std::make_shared<SteadyClock>(), std::make_shared<NoMetrics>(), {}});
    quotas.start();
    UsagePending pending;
    const auto ends = std::make_shared<Ends>();
    const auto journal = pending.counted(std::shared_ptr<ports::UsageJournal>(ends));
    auto last_month = record(ports::UsageKind::delivered, 1, 2, 20);
    last_month.at.value -= 30 * std::int64_t{86'400'000};
    REQUIRE(journal->append({record(ports::UsageKind::delivered, 1, 5, 50), last_month}, {}).ok());
    const auto usage = [&](const std::string& period) {
        auto out = usage_now(*snapshot, "lab", period, pending, quotas, [] { return Result<json>(json::object()); });
        REQUIRE(out.ok());
        return *std::move(out);
    };
    // Of one contract something is known, of the others nothing can be heard.
    REQUIRE(quotas.await(*quotas.purse(*snapshot->contract(ContractNo{1}))).ok());
    books->reachable = false;
    const auto began = std::chrono::steady_clock::now();
    auto answer = usage("2026-11");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(10 * limits::usage_quotas_wait_ms));
    CHECK(answer["pending"] == json::array({{{"contract", "c1"}, {"product", "wiki"}, {"day", "2026-11-21"}, {"events", 5}, {"bytes", 50}}}));
    REQUIRE(answer["quotas"].size() == kContracts);
    std::size_t unknown = 0;
    for (const auto& quota : answer["quotas"]) {
        CHECK(quota["limit"] == 100);
        CHECK(quota.contains("unknown") != quota.contains("used"));
        unknown += quota.contains("unknown") ? 1 : 0;
        if (quota["contract"] == "c1") CHECK(quota["used"] == 0);
    }
    CHECK(unknown == kContracts - 1);
    CHECK(usage("2026-10")["pending"] ==
          json::array({{{"contract", "c1"}, {"product", "wiki"}, {"day", "2026-10-22"}, {"events", 2}, {"bytes", 20}}}));
    CHECK(usage("2026-09")["pending"].empty());
    books->reachable = true;
    for (const auto& quota : usage("2026-11")["quotas"]) CHECK(quota["remaining"] == 100);
    quotas.stop();
}
