// The nodes of one region as they know of each other: leases and epoch acknowledgements. Implemented with hiredis in server/redis; a node that runs
// alone uses server/redis's single-node stand-in, which needs no Redis. PostgreSQL stays the authority: this holds nothing that cannot be lost.
// Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace licet::ports {

class Cluster {
  public:
    virtual ~Cluster() = default;
    // Begins to hold this node's lease. `lease_held(false)` runs before the lease can have ended elsewhere (renewal failed for lease minus margin, on
    // the monotonic clock): the node must stop delivering; `lease_held(true)` once it is held (again).
    virtual void start(std::function<void(bool)> lease_held) = 0;
    // This node has applied everything up to `epoch`.
    virtual void acknowledge(GovernanceEpoch epoch) = 0;
    // Waits until every node of the region with a live lease has acknowledged `epoch`, at most `timeout_ms`. Returns the names still outstanding
    // (empty: done). Errors: unavailable when the cluster state cannot be reached. Blocks: never on a shard thread.
    [[nodiscard]] virtual Result<std::vector<std::string>> await(GovernanceEpoch epoch, int timeout_ms) = 0;
    virtual void stop() = 0;  // gives the lease up
};

}  // namespace licet::ports
