// ports::TicketStore over Redis, and for one node alone. Built by server/main.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "server/ports/tickets.h"

namespace licet::redis {

// Connects when first used and again after a failure. While Redis cannot be reached callers are refused at once, but for one each while that tries.
[[nodiscard]] std::shared_ptr<ports::TicketStore> make_ticket_store(std::string host, std::uint16_t port, std::string region);

// In this process's memory.
[[nodiscard]] std::shared_ptr<ports::TicketStore> make_single_node_ticket_store(std::shared_ptr<const Clock> clock);

}  // namespace licet::redis
