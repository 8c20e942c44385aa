// How far the usage journal is in the ledger, as a time. Implemented in server/journal; used by app::UsageProgress.
#pragma once

#include <optional>

#include "base/time.h"

namespace licet::ports {

class UsageCompleteness {
  public:
    virtual ~UsageCompleteness() = default;
    // What was counted before the time returned is in the ledger, whether it is appended or its writer still holds it; nothing waits: `now`. Nullopt:
    // not known at this moment.
    [[nodiscard]] virtual std::optional<UtcMillis> complete_before(UtcMillis now) const = 0;
};

}  // namespace licet::ports
