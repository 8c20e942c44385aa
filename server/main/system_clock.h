// The machine's clocks as licet::Clock; given to everything that needs time. Thread-safe.
#pragma once

#include <chrono>

#include "base/time.h"

namespace licet {

class SystemClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override {
        return {std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    }
    std::int64_t monotonic_ns() const noexcept override {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
};

}  // namespace licet
