#include "metering/contract_meter.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::metering {

ContractMeter::ContractMeter(IntervalSet billed) : billed_(std::move(billed)) {}

Offset ContractMeter::sendable_until(Offset from, Offset to) const noexcept {
    if (abandoned_) return from;
    Offset at = from;
    while (at < to) {
        const Offset next = std::max(intended_.covered_until(at), billed_.covered_until(at));
        if (next == at) break;
        at = next;
    }
    return std::min(at, to);
}

std::optional<OffsetRange> ContractMeter::intent_needed(Offset from) {
    if (abandoned_) return std::nullopt;
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

std::vector<OffsetRange> ContractMeter::abandon() {
    abandoned_ = true;
    // An intent still on its way to the disk lies before the abort in the journal.
    for (const auto& [from, to] : pending_.all()) intended_.add(from, to);
    for (const auto& [from, to] : billed_.all()) intended_.remove(from, to);
    std::vector<OffsetRange> unused;
    for (const auto& [from, to] : intended_.all()) unused.push_back({from, to});
    intended_ = pending_ = {};
    return unused;
}

}  // namespace licet::metering
