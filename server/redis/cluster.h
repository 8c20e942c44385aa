// ports::Cluster over Redis, and for one node alone. Built by server/main.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "server/ports/cluster.h"

namespace licet::redis {

struct ClusterOptions {
    std::string host;
    std::uint16_t port = 6379;
    std::string region;
    std::string node;
    int lease_ms = 5000;  // the same on all nodes of a region; a node that dies is waited for this long by a barrier
    std::shared_ptr<const Clock> clock;
};

// Does not connect before start(). Reconnects by itself; the lease is reported lost while at least a quarter of it is left, counted on a clock that
// also runs while the machine sleeps; the fence stands at seven eighths of it, counted from before the request, as the report of each renewal says.
[[nodiscard]] std::shared_ptr<ports::Cluster> make_cluster(ClusterOptions options);

// A node alone in its region: the lease is always held and its own acknowledgement is the barrier.
[[nodiscard]] std::shared_ptr<ports::Cluster> make_single_node(std::string node);

}  // namespace licet::redis
