// What the catalog held at a moment, read from the history that triggers keep (migrations/0007_keep_history.sql). Private to this folder.
#pragma once

#include <pqxx/pqxx>

#include "base/time.h"
#include "server/ports/catalog.h"

namespace licet::postgres {

// Both throw Refused (gone) for a moment before known history.
[[nodiscard]] ports::Configuration configuration_at(pqxx::work& t, UtcMillis at);
[[nodiscard]] ports::ConsentsAt consents_at(pqxx::work& t, const SubjectKey& subject, UtcMillis at);

}  // namespace licet::postgres
