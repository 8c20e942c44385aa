// Where single-use tickets are kept between issue and use: digests and what they open, for seconds. Implemented in server/redis for the nodes of a
// region, and in memory for a node alone. Nothing here must outlive a restart: a ticket that is lost is asked for again. Blocks: never on a shard
// thread. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "server/ports/crypto.h"

namespace licet::ports {

class TicketStore {
  public:
    virtual ~TicketStore() = default;
    // How many are kept at a time is bounded by who calls (app::Tickets). Errors: unavailable.
    [[nodiscard]] virtual Status put(const Sha256& digest, const std::string& value, int lifetime_ms) = 0;
    // Gives the value to one caller of all nodes, and to none after. Nothing: used, expired, or never there. Errors: unavailable.
    [[nodiscard]] virtual Result<std::optional<std::string>> take(const Sha256& digest) = 0;
    // The same, and leaves it.
    [[nodiscard]] virtual Result<std::optional<std::string>> look(const Sha256& digest) = 0;
};

}  // namespace licet::ports
