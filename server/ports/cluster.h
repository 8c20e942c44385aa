// The nodes of one region as they know of each other: leases and epoch acknowledgements. Implemented with hiredis in server/redis; a node that runs
// alone uses server/redis's single-node stand-in, which needs no Redis. PostgreSQL stays the authority: this holds nothing that cannot be lost.
// Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "server/ports/fence.h"

namespace licet::ports {

class Cluster {
  public:
    virtual ~Cluster() = default;
    // Begins to hold this node's lease. `lease` runs with each renewal, and says until when (Fence's clock) the node may go on without another; and
    // with nothing when renewal has failed for half of the lease: the node must have stopped delivering by the moment named last.
    virtual void start(std::function<void(std::optional<FenceTime>)> lease) = 0;
    // This node has applied everything up to `epoch`.
    virtual void acknowledge(GovernanceEpoch epoch) = 0;
    // Waits until every node of the region with a live lease has acknowledged `epoch`, at most `timeout_ms`. Returns the names still outstanding
    // (empty: done). Errors: unavailable when the cluster state cannot be reached. Blocks: never on a shard thread.
    [[nodiscard]] virtual Result<std::vector<std::string>> await(GovernanceEpoch epoch, int timeout_ms) = 0;
    virtual void stop() = 0;  // gives the lease up
};

}  // namespace licet::ports
