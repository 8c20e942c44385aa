// Rows of the organisation's own licences. Private to this folder.
#pragma once

#include <pqxx/pqxx>
#include <vector>

#include "server/ports/catalog.h"

namespace licet::postgres {

[[nodiscard]] std::vector<ports::Licence> read_licences(pqxx::work& t);
// The version it has now: a new one when it says something else than before.
[[nodiscard]] std::uint32_t write_licence(pqxx::work& t, const ports::Licence& licence);

}  // namespace licet::postgres
