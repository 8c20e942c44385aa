// What finance asks of the control plane: reports at once, exports as jobs. Private to control/; the routes are in routes.cpp.
#pragma once

#include "server/control/routes.h"

namespace licet::control {

[[nodiscard]] Result<Answer> finance_report(Call& call);
[[nodiscard]] Result<Answer> start_export(Call& call);
[[nodiscard]] Result<Answer> list_exports(Call& call);
[[nodiscard]] Result<Answer> get_export(Call& call);
[[nodiscard]] Result<Answer> delete_export(Call& call);

}  // namespace licet::control
