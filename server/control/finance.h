// Routes of billing periods, statements and corrections. Part of the table in routes.cpp.
#pragma once

#include <vector>

#include "server/control/routes.h"

namespace licet::control {

[[nodiscard]] std::vector<Route> period_routes();

}  // namespace licet::control
