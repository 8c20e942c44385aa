// Barriers: when an acknowledged epoch holds on every live node of the region, and what is still outstanding where it does not. One that a call could
// not wait for is followed until it is complete, so that its end is known without anybody asking. Used by Governance. Thread-safe; calls block.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "server/app/barrier_audit.h"
#include "server/ports/cluster.h"
#include "server/ports/metrics.h"

namespace licet::app {

struct Barrier {
    GovernanceEpoch epoch;
    ports::Cluster::Nodes nodes;
    std::string trouble;  // why it cannot be confirmed at all at the moment; empty: it can
    [[nodiscard]] bool complete() const noexcept { return nodes.outstanding.empty() && trouble.empty(); }
    // For people: what keeps it, without names. Precondition: !complete().
    [[nodiscard]] std::string missing() const;
};

class Barriers {
  public:
    struct Parts {
        std::shared_ptr<ports::Cluster> cluster;
        std::shared_ptr<const Clock> clock;
        std::shared_ptr<ports::Metrics> metrics;  // null: not counted
        // Catches this node up with the catalog.
        std::function<Status()> refresh;
        std::function<void(BarrierOutcome)> ended;  // also of one that was followed; empty: nobody asks
    };
    explicit Barriers(Parts parts);
    ~Barriers() { stop(); }
    void stop();

    // Whether every live node of the region holds `epoch`, waiting at most `wait_ms` for it. Once complete it stays complete: a node that delivers
    // later has read the catalog since.
    [[nodiscard]] Barrier look(GovernanceEpoch epoch, int wait_ms);
    // For a call: waits at most limits::barrier_wait_max_ms, reports how it ended, and follows what did not.
    [[nodiscard]] Barrier hold(GovernanceEpoch epoch);
    [[nodiscard]] std::size_t followed() const;

  private:
    void run();
    void follow(GovernanceEpoch epoch, std::int64_t since_ns);
    void completed(GovernanceEpoch epoch, const ports::Cluster::Nodes& nodes);
    void report(const Barrier& barrier, std::int64_t since_ns, bool late) const;
    void count_followed() const;

    const Parts parts_;
    std::atomic<std::uint64_t> complete_{0};
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint64_t, std::int64_t> followed_;  // epoch, since when (monotonic ns); under the mutex
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace licet::app
