// ports::EventLog over RocksDB: group commit on one writer thread, each group durable (WAL fsync) before anyone hears of it. Built by server/main.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "server/ports/event_log.h"

namespace licet::rocks {

// Opens or creates the log in `directory`. Errors: unavailable (cannot be opened, already open elsewhere), corrupt.
[[nodiscard]] Result<std::shared_ptr<ports::EventLog>> open_event_log(const std::string& directory, std::shared_ptr<const Clock> clock);

}  // namespace licet::rocks
