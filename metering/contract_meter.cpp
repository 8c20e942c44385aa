#include "metering/contract_meter.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::metering {

ContractMeter::ContractMeter(IntervalSet billed) : billed_(std::move(billed)) {}

Offset ContractMeter::sendable_until(Offset from, Offset to) const noexcept {
    Offset at = from;
    while (at < to) {
        const Offset next = std::max(intended_.covered_until(at), billed_.covered_until(at));
        if (next == at) break;
        at = next;
    }
    return std::min(at, to);
}

std::optional<OffsetRange> ContractMeter::intent_needed(Offset from) {
    constexpr Offset lease = limits::intent_lease_offsets;
    // What is billed, durable or asked for already needs no further intent.
    Offset end = from;
    for (;;) {
        const Offset next = std::max({billed_.covered_until(end), intended_.covered_until(end), pending_.covered_until(end)});
        if (next == end) break;
        end = next;
    }
    if (end - from > lease / 2) return std::nullopt;
    const OffsetRange range{end, end + lease};
    pending_.add(range.from, range.to);
    return range;
}

void ContractMeter::intent_durable(OffsetRange range) {
    pending_.remove(range.from, range.to);
    intended_.add(range.from, range.to);
}

void ContractMeter::intent_failed(OffsetRange range) { pending_.remove(range.from, range.to); }

void ContractMeter::delivered(Offset from, Offset to, std::vector<OffsetRange>& newly_billed) {
    billed_.missing(from, to, newly_billed);
    billed_.add(from, to);
}

}  // namespace licet::metering
