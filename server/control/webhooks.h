// Routes of webhooks and their deliveries. Part of the table in routes.cpp.
#pragma once

#include <vector>

#include "server/control/routes.h"

namespace licet::control {

[[nodiscard]] std::vector<Route> webhook_routes();

}  // namespace licet::control
