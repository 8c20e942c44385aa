// ports::UsageLedger over PostgreSQL. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/usage_ledger.h"

namespace licet::postgres {

class Pool;
[[nodiscard]] std::shared_ptr<ports::UsageLedger> make_ledger(std::shared_ptr<Pool> pool);

}  // namespace licet::postgres
