// The keys of data subjects and their erasures in PostgreSQL. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/subject_keys.h"
#include "server/postgres/audit.h"
#include "server/postgres/catalog.h"

namespace licet::postgres {

[[nodiscard]] std::shared_ptr<ports::SubjectKeyStore> make_subject_key_store(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
