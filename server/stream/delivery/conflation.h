// Conflation: of a stretch of the log that a slow subscriber has not been sent, the latest event of each partition key, and every event that has
// none; in order of offset, bounded. Gathered by a session from what its view would deliver. One shard thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/ids.h"
#include "server/ports/event_log.h"

namespace licet::stream {

// What a pass left out: how many earlier events of its key an event stands for, by its offset, of those that stand for any; and whom the events of
// the pass name (low 64 bits), whose rights it depends on.
struct Skipped {
    std::unordered_map<Offset, std::uint32_t> by_offset;
    std::unordered_set<std::uint64_t> subjects;
};

class Conflation {
  public:
    // Of offsets in [begin, goal), as far as it comes.
    Conflation(Offset begin, Offset goal) : head_(begin), goal_(goal) {}

    // In order of offset. An empty key is nobody's. `subject`: 0 for none.
    void keep(const ports::LogEntry& entry, std::string_view key, std::uint64_t subject);
    void advance(Offset offset) noexcept {
        looked_at_ += offset - head_;
        head_ = offset;
    }
    [[nodiscard]] bool names(std::uint64_t subject) const { return subjects_.contains(subject); }

    [[nodiscard]] Offset head() const noexcept { return head_; }  // everything below was looked at
    [[nodiscard]] bool complete() const noexcept { return head_ >= goal_; }
    [[nodiscard]] bool full() const noexcept;

    struct Pass {
        std::shared_ptr<const ports::LogBatch> batch;  // sparse: what lies between was superseded or withheld
        Skipped skipped;
    };
    [[nodiscard]] Pass take(ports::LogPosition position);

  private:
    struct Kept {
        UtcMillis appended_at;
        std::string key, record;
        std::uint32_t skipped = 0;
    };
    Offset head_;
    const Offset goal_;
    std::map<Offset, Kept> kept_;
    std::unordered_map<std::string, Offset> latest_;  // by key
    std::unordered_set<std::uint64_t> subjects_;
    std::size_t bytes_ = 0;        // of records and keys
    std::uint64_t looked_at_ = 0;  // events: a pass ends though changes make it begin anew
};

}  // namespace licet::stream
