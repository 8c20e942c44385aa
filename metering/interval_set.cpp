#include "metering/interval_set.h"

#include <algorithm>
#include <iterator>

#include "metering/contract_meter.h"

namespace licet::metering {

void IntervalSet::add(Offset from, Offset to) {
    if (from >= to) return;
    // Extending the last range is what a stream does all the time.
    if (!ranges_.empty()) {
        auto last = std::prev(ranges_.end());
        if (from >= last->first && from <= last->second) {
            last->second = std::max(last->second, to);
            return;
        }
    }
    auto at = ranges_.upper_bound(from);
    if (at != ranges_.begin() && std::prev(at)->second >= from) --at;
    while (at != ranges_.end() && at->first <= to) {
        from = std::min(from, at->first);
        to = std::max(to, at->second);
        at = ranges_.erase(at);
    }
    ranges_.emplace(from, to);
}

void IntervalSet::remove(Offset from, Offset to) {
    if (from >= to) return;
    auto at = ranges_.upper_bound(from);
    if (at != ranges_.begin() && std::prev(at)->second > from) --at;
    while (at != ranges_.end() && at->first < to) {
        const auto [begin, end] = *at;
        at = ranges_.erase(at);
        if (begin < from) ranges_.emplace(begin, from);
        if (end > to) at = ranges_.emplace(to, end).first;
    }
}

bool IntervalSet::contains(Offset at) const noexcept { return covered_until(at) > at; }

Offset IntervalSet::covered_until(Offset from) const noexcept {
    auto at = ranges_.upper_bound(from);
    if (at == ranges_.begin()) return from;
    return std::max(from, std::prev(at)->second);
}

void IntervalSet::missing(Offset from, Offset to, std::vector<OffsetRange>& out) const {
    auto at = ranges_.upper_bound(from);
    if (at != ranges_.begin()) from = std::max(from, std::prev(at)->second);
    for (; from < to; ++at) {
        if (at == ranges_.end() || at->first >= to) {
            out.push_back({from, to});
            return;
        }
        if (at->first > from) out.push_back({from, at->first});
        from = at->second;
    }
}

Offset IntervalSet::tail() const noexcept { return ranges_.empty() ? 0 : std::prev(ranges_.end())->second; }

std::uint64_t IntervalSet::total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& [from, to] : ranges_) sum += to - from;
    return sum;
}

}  // namespace licet::metering
