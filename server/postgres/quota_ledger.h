// ports::QuotaLedger: what the ledger knows of a contract's deliveries, by start of each node. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/quota_leases.h"

namespace licet::postgres {

class Pool;
[[nodiscard]] std::shared_ptr<ports::QuotaLedger> make_quota_ledger(std::shared_ptr<Pool> pool);

}  // namespace licet::postgres
