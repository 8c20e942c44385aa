// ports::ConsentRegistry over PostgreSQL. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/consents.h"
#include "server/postgres/audit.h"

namespace licet::postgres {

class Pool;

[[nodiscard]] std::shared_ptr<ports::ConsentRegistry> make_consent_registry(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
