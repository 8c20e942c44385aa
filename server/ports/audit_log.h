// The region's audit log as the server sees it: a chain of signed lines that is only ever appended to. Changes append through the catalog, in their
// own transaction; this is for what changes nothing there. Implemented with libpqxx in server/postgres. Calls block. Thread-safe.
#pragma once

#include <vector>

#include "base/result.h"
#include "server/ports/catalog.h"

namespace licet::ports {

class AuditLog {
  public:
    virtual ~AuditLog() = default;
    // In the order given, in one transaction: all or none. Errors: unavailable.
    [[nodiscard]] virtual Status append(const std::vector<AuditEntry>& entries) = 0;
};

}  // namespace licet::ports
