// Spreadsheets by libxlsxwriter: the only folder that includes it. Implements ports::Workbook; built by server/main.
#pragma once

#include "server/ports/workbook.h"

namespace licet::xlsx {

// Errors: unavailable (the folder of the path cannot be written).
[[nodiscard]] Result<std::unique_ptr<ports::Workbook>> make_workbook(const std::string& path);

}  // namespace licet::xlsx
