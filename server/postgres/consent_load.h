// All consents of the region at the speed PostgreSQL can send them: what a node that starts waits for. Used by catalog.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <pqxx/pqxx>

#include "server/ports/catalog.h"

namespace licet::postgres {

// In no particular order; in one consistent read with the revision it returns. The row is valid during the call of `take` only. Memory does not grow
// with the number of rows. Throws.
[[nodiscard]] std::uint64_t load_consents(pqxx::work& t, const std::function<void(const ports::ConsentRow&)>& take);

}  // namespace licet::postgres
