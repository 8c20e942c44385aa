// What one contract may be sent and was sent of one product partition: durable intent, delivered and already billed offsets. The data plane asks it
// before a write and tells it after; it yields the journal records. This is where "billed at most once, metered always" is decided on a node. Pure;
// not thread-safe (the caller guards it; sessions of one contract on several shards share it).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "metering/interval_set.h"

namespace licet::metering {

struct OffsetRange {
    Offset from = 0;
    Offset to = 0;  // exclusive
    bool operator==(const OffsetRange&) const = default;
};

class ContractMeter {
  public:
    // Starts from what the ledger and the unflushed journal already hold as billed.
    explicit ContractMeter(IntervalSet billed);

    // The end of the stretch from `from` that may be written now, at most `to`: covered by durable intent or already billed (a replay).
    // Returns `from` when nothing may. Precondition: from <= to.
    [[nodiscard]] Offset sendable_until(Offset from, Offset to) const noexcept;

    // The intent to make durable next so that a session standing at `from` can go on; nullopt when one that covers it is already pending or durable
    // with more than half a lease left. Leases span limits::intent_lease_offsets. The caller journals it and reports intent_durable.
    [[nodiscard]] std::optional<OffsetRange> intent_needed(Offset from);
    void intent_durable(OffsetRange range);
    void intent_failed(OffsetRange range);

    // A write moved a session over [from, to). Returns the parts not yet billed: the caller counts events and bytes of those and journals them as
    // delivered. They are billed from here on. O(1) when `to` is not past the billed tail.
    void delivered(Offset from, Offset to, std::vector<OffsetRange>& newly_billed);

    // Nothing more may be sent or asked for. Returns what was intended and not delivered: journaled as aborted by a node that stops in order, it does
    // not become suspense.
    [[nodiscard]] std::vector<OffsetRange> abandon();

    [[nodiscard]] const IntervalSet& billed() const noexcept { return billed_; }

  private:
    IntervalSet billed_;
    IntervalSet intended_;  // durable
    IntervalSet pending_;   // asked for
    bool abandoned_ = false;
};

}  // namespace licet::metering
