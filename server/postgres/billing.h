// ports::Billing over PostgreSQL: periods, nodes' progress, and the chain of statements. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/billing.h"
#include "server/postgres/audit.h"

namespace licet::postgres {

[[nodiscard]] std::shared_ptr<ports::Billing> make_billing(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
