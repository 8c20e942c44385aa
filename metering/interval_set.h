// IntervalSet: an ordered set of disjoint half-open ranges of offsets, merged when they touch. The arithmetic of usage: union, subtraction, coverage.
// Pure; not thread-safe. Cost: O(log n) per operation in the number of ranges, O(1) when extending the last one.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"

namespace licet::metering {

struct OffsetRange;

class IntervalSet {
  public:
    void add(Offset from, Offset to);
    void remove(Offset from, Offset to);
    [[nodiscard]] bool contains(Offset at) const noexcept;
    // End of the covered stretch that starts at `from`; `from` itself when it is not covered.
    [[nodiscard]] Offset covered_until(Offset from) const noexcept;
    // Appends the parts of [from, to) that are not in the set.
    void missing(Offset from, Offset to, std::vector<OffsetRange>& out) const;
    [[nodiscard]] Offset tail() const noexcept;  // end of the last range; 0 when empty
    [[nodiscard]] std::uint64_t total() const noexcept;
    [[nodiscard]] std::size_t ranges() const noexcept { return ranges_.size(); }
    [[nodiscard]] const std::map<Offset, Offset>& all() const noexcept { return ranges_; }

  private:
    std::map<Offset, Offset> ranges_;  // from -> to
};

}  // namespace licet::metering
