// The meters of a node: one per contract, product partition and stream epoch, shared by the sessions of all shards. Loads what the ledger holds when
// a meter is first needed. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/guarded.h"
#include "metering/contract_meter.h"
#include "server/ports/usage_journal.h"
#include "server/ports/usage_ledger.h"
#include "server/stream/delivery/cursor.h"

namespace licet::stream {

struct Meter {
    explicit Meter(ports::UsageRanges ranges)
        : meter(std::move(ranges.billed)),
          suspense(std::move(ranges.suspense)),
          acked(std::move(ranges.acked)),
          suspended(std::move(ranges.suspended)),
          begun(std::move(ranges.begun)),
          unbilled(std::move(ranges.unbilled)) {}
    // The first stretch of suspense, from `kept` on, that the partner has received for sure, at one time. `proof`: a cursor it came with.
    struct Sure {
        metering::OffsetRange range;
        std::optional<UtcMillis> at;  // nullopt: not known
    };
    [[nodiscard]] std::optional<Sure> received(const std::optional<CursorPosition>& proof, Offset kept) const;
    metering::ContractMeter meter;
    metering::IntervalSet suspense;  // what an ended start of a node left undecided
    metering::IntervalSet acked;     // what the partner said it received
    Offset cursor = 0;               // the furthest it acknowledged or came back with, as far as this start of the node knows
    std::vector<ports::SuspendedRange> suspended;
    metering::IntervalSet begun;       // offsets at which streams of the starts that left suspense began
    metering::IntervalSet beginnings;  // of this start, in the journal
    std::shared_ptr<ports::UnbilledRecords> unbilled;
};
using SharedMeter = std::shared_ptr<Guarded<Meter>>;

class Meters {
  public:
    using Load = std::function<Result<ports::UsageRanges>(const ports::UsageOf&)>;
    explicit Meters(Load load) : load_(std::move(load)) {}

    // Null when it was not needed before.
    [[nodiscard]] SharedMeter known(const ports::UsageOf& of) const;
    // Blocks on the ledger the first time: never on a shard thread.
    [[nodiscard]] Result<SharedMeter> get(const ports::UsageOf& of);
    // For a node that stops in order, when nothing is sent any more: what was intended and not delivered, as records for the journal.
    [[nodiscard]] std::vector<ports::UsageRecord> abandon(UtcMillis now);

    // The journal took a record and could not keep it: it accepts none until the node starts anew. From any thread, for all shards.
    void journal_broke() noexcept { journal_broken_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool journal_broken() const noexcept { return journal_broken_.load(std::memory_order_relaxed); }

  private:
    const Load load_;
    Guarded<std::map<ports::UsageOf, SharedMeter>> meters_;
    std::atomic<bool> journal_broken_{false};
};

}  // namespace licet::stream
