// The usage ledger: what was billed, once and for all, and what is in suspense. Fed from the journal, read by reports and by delivery before it
// meters a contract. Implemented in server/postgres. Calls block: never on a shard thread. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "metering/interval_set.h"
#include "metering/journal_format.h"

namespace licet::ports {

struct UsageOf {
    ContractNo contract;
    ProductNo product;
    Partition partition;
    StreamEpoch stream_epoch;
    auto operator<=>(const UsageOf&) const = default;
};

// A range of suspense was delivered, if it was, at this moment or later: that is the day it belongs to.
struct SuspendedRange {
    Offset from = 0, to = 0;  // [from, to)
    UtcMillis at{};
};

// A delivered record of this node of which another had billed a part. `rest`: what nobody has.
struct UnbilledRecord {
    metering::JournalRecord record;
    metering::IntervalSet rest;
};
// Those of one meter that this node may still count anew and have billed. The ledger fills it, as it refuses records; whoever counts takes them.
// Thread-safe.
class UnbilledRecords {
  public:
    void add(UnbilledRecord record) {
        records_.with([&](auto& records) { records.push_back(std::move(record)); });
        some_.store(true, std::memory_order_release);
    }
    [[nodiscard]] std::vector<UnbilledRecord> take() {
        if (!some_.exchange(false, std::memory_order_acq_rel)) return {};
        return records_.with([](auto& records) { return std::exchange(records, {}); });
    }

  private:
    Guarded<std::vector<UnbilledRecord>> records_;
    std::atomic<bool> some_{false};
};

// What a meter starts from.
struct UsageRanges {
    metering::IntervalSet billed;
    metering::IntervalSet suspense;  // intended by a start of a node that ended before it said what was delivered
    metering::IntervalSet acked;     // what the partner said it received
    // The same suspense by its time. What is in none has that of its settlement.
    std::vector<SuspendedRange> suspended = {};
    metering::IntervalSet begun = {};                     // offsets at which streams of the starts that left suspense began
    std::shared_ptr<UnbilledRecords> unbilled = nullptr;  // null: there will be none
};

struct UsageTotal {
    ContractNo contract;
    ProductNo product;
    std::string day;  // UTC, YYYY-MM-DD
    std::string region;
    std::uint64_t events = 0, bytes = 0;                    // billed
    std::string view;                                       // digest of the view, 16 hex digits; empty: not noted
    std::uint64_t minutes = 0;                              // active: UTC minutes in which something of the product was billed to the contract;
                                                            // each is counted once, in the line that came first
    std::uint64_t replayed_events = 0, replayed_bytes = 0;  // delivered again after they were billed, where the contract pays for that
};

struct UsageCount {
    std::uint64_t events = 0, bytes = 0;
    auto operator<=>(const UsageCount&) const = default;
};
// Every delivered record the ledger took is billed or explicitly unbilled: delivered = billed + unbilled. What no record accounts for is suspense, in
// offsets, in the period of its day.
struct UsageBalance {
    ContractNo contract;
    ProductNo product;
    UsageCount delivered, billed, unbilled;
    std::uint64_t suspense_offsets = 0;
};

class UsageLedger {
  public:
    virtual ~UsageLedger() = default;

    // Takes journal records in order, in one transaction; those at or below the node's watermark are known already. A record that overlaps what
    // another node billed first is explicitly unbilled; the part nobody billed is counted anew (UnbilledRecords). Errors: corrupt (a sequence is
    // missing), unavailable, conflict (lost a race: again).
    [[nodiscard]] virtual Status flush(const std::string& node, const std::string& region, const std::vector<metering::JournalRecord>& records) = 0;

    // Intents of the node's starts below `boot` that were neither delivered nor aborted nor billed become suspense, as far as the log reaches
    // (`log_end` cuts an intent at the end of the log; for a log that is gone it returns the intent's own end). Claims `boot` for this start of the
    // node. Errors: conflict when the ledger knows it or a later one already (the journal's directory was lost: its numbers would be taken for known
    // records), unavailable.
    [[nodiscard]] virtual Status settle_ended_boots(const std::string& node, std::uint64_t boot,
                                                    const std::function<Offset(const UsageOf&, Offset to)>& log_end) = 0;

    [[nodiscard]] virtual Result<UsageRanges> ranges(const UsageOf& of) = 0;

    // Billed usage of [from, to) by contract, product, UTC day, region and view; `contracts` empty: all.
    [[nodiscard]] virtual Result<std::vector<UsageTotal>> totals(UtcMillis from, UtcMillis to, const std::vector<ContractNo>& contracts) = 0;
    // The books of the months that begin in [from, to), by contract and product.
    [[nodiscard]] virtual Result<std::vector<UsageBalance>> balance(UtcMillis from, UtcMillis to) = 0;
};

}  // namespace licet::ports
