// What may stop every write of a node at any moment: its lease, the gate that reads the catalog under it, and consents about to run out. One for all
// shards; sessions look at it before each write and after. Set from any thread, effective at once: what shards are told comes by their queues, and a
// write under way there is not to go on until it has come.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/time.h"
#include "server/ports/cluster.h"

namespace licet::stream {

class WriteGate {
  public:
    explicit WriteGate(std::shared_ptr<const ports::Lease> lease, std::shared_ptr<const Clock> clock)
        : lease_(std::move(lease)), clock_(std::move(clock)) {}

    // Closed: no shard may write until it was told of an opening after it, by the number that said so.
    void close() noexcept { closings_.fetch_add(1); }
    [[nodiscard]] std::uint64_t closings() const noexcept { return closings_.load(); }
    // Whether a shard that was last told of opening `opened` may write now. In this order: a lease that lapsed and is held again closed the gate
    // between the two.
    [[nodiscard]] bool open(std::uint64_t opened) const noexcept {
        const std::int64_t until = lease_ ? lease_->until_ns.load() : ports::Lease::kAlways;
        if (closings_.load() != opened) return false;
        return until == ports::Lease::kAlways || clock_->monotonic_ns() < until;
    }

    // Consents in force run out at `at` and the index does not show it before the data plane was told: nothing is written from then on until it was.
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    [[nodiscard]] bool consents_hold(UtcMillis now) const noexcept { return now.value < horizon_.load(); }
    // Earlier than known so far: before the index holds the consent that ends then.
    void limit(std::int64_t at) {
        const std::lock_guard lock(mutex_);
        ++turn_;
        if (at < horizon_) horizon_ = at;
    }
    // A change begins that knows of every consent; when all shards have applied it, the horizon is `at`, unless a later change has begun.
    [[nodiscard]] std::uint64_t begin_change() {
        const std::lock_guard lock(mutex_);
        return ++turn_;
    }
    void end_change(std::uint64_t turn, std::int64_t at) {
        const std::lock_guard lock(mutex_);
        if (turn_ == turn) horizon_ = at;
    }

  private:
    const std::shared_ptr<const ports::Lease> lease_;  // null: always held
    const std::shared_ptr<const Clock> clock_;
    std::atomic<std::uint64_t> closings_{0};
    std::mutex mutex_;
    std::uint64_t turn_ = 0;
    std::atomic<std::int64_t> horizon_{kNever};
};

}  // namespace licet::stream
