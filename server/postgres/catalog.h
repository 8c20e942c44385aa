// ports::Catalog over PostgreSQL. Built by server/main.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "server/ports/catalog.h"
#include "server/ports/crypto.h"
#include "server/postgres/audit.h"

namespace licet::postgres {

class Pool;

[[nodiscard]] std::shared_ptr<Pool> make_pool(const std::string& dsn);
[[nodiscard]] std::shared_ptr<ports::Catalog> make_catalog(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
