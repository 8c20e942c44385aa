// The nodes of one region as they know of each other: leases and epoch acknowledgements. Implemented with hiredis in server/redis; a node that runs
// alone uses server/redis's single-node stand-in, which needs no Redis. PostgreSQL stays the authority: this holds nothing that cannot be lost.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "server/ports/fence.h"

namespace licet::ports {

// Until when this node may deliver, on Clock::monotonic_ns: looked at before every write, because a node that was stopped for a while runs on where
// it was, and the thread that renews the lease may be the last to wake.
struct Lease {
    static constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::max();
    std::atomic<std::int64_t> until_ns{0};
};

class Cluster {
  public:
    virtual ~Cluster() = default;
    // Begins to hold this node's lease. `report` runs with each renewal, and says until when (Fence's clock) the node may go on without another; and
    // with nothing when renewal has failed for half of the lease, always before a lapsed one is asked for again: the node must have stopped
    // delivering by the moment named last, and what a barrier did not wait for must be read before it delivers again.
    virtual void start(std::function<void(std::optional<FenceTime>)> report) = 0;
    [[nodiscard]] virtual std::shared_ptr<const Lease> lease() const = 0;
    // This node has applied everything up to `epoch`.
    virtual void acknowledge(GovernanceEpoch epoch) = 0;
    struct Nodes {  // with a live lease
        std::vector<std::string> outstanding, acknowledged;
    };
    // Waits until every node of the region with a live lease has acknowledged `epoch`, at most `timeout_ms`: done when none is outstanding ("*":
    // nodes not known, after the cluster state was lost). Errors: unavailable when it cannot be reached. Blocks: never on a shard thread.
    [[nodiscard]] virtual Result<Nodes> await(GovernanceEpoch epoch, int timeout_ms) = 0;
    virtual void stop() = 0;  // gives the lease up
};

}  // namespace licet::ports
