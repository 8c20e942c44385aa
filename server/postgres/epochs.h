// The governance epoch as the catalog has it. Private to this folder.
#pragma once

#include <pqxx/pqxx>

#include "server/ports/catalog.h"

namespace licet::postgres {

[[nodiscard]] ports::Epochs read_epochs(pqxx::work& t);

}  // namespace licet::postgres
