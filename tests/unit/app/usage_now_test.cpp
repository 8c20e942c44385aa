// What is journaled and not flushed is shown once: as pending, then in the ledger's lines.
#include "server/app/usage_now.h"

#include <doctest/doctest.h>

#include <deque>

using namespace licet;
using namespace licet::app;

namespace {

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
            all.push_back(kept);
        }
        return success();
    }
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
};

ports::UsageRecord record(ports::UsageKind kind, std::uint32_t contract, std::uint64_t events, std::uint64_t bytes) {
    ports::UsageRecord out;
    out.kind = kind;
    out.contract = {contract};
    out.product = {7};
    out.events = events;
    out.bytes = bytes;
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
    const auto backlog = pending.counted(std::shared_ptr<ports::UsageBacklog>(ends));
    CHECK(backlog->boot() == 2);
    REQUIRE(journal->append({record(Kind::intent, 1, 0, 0), record(Kind::delivered, 1, 5, 50), record(Kind::delivered, 2, 1, 9)}, {}).ok());
    REQUIRE(journal->append({record(Kind::delivered, 1, 3, 30)}, {}).ok());
    ends->refusing = true;
    CHECK_FALSE(journal->append({record(Kind::delivered, 1, 100, 100)}, {}).ok());
    using Counts = UsagePending::Counts;
    const auto key = [](std::uint32_t contract) { return std::pair(ContractNo{contract}, ProductNo{7}); };
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
