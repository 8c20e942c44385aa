// The machine's clocks as licet::Clock; given to everything that needs time. Thread-safe.
#pragma once

#include <time.h>

#include <chrono>

#include "base/time.h"

namespace licet {

class SystemClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override {
        return {std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    }
    std::int64_t monotonic_ns() const noexcept override {
        // Also runs while the machine is suspended: a lease does not wait for it.
        timespec t{};
        ::clock_gettime(CLOCK_BOOTTIME, &t);
        return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
    }
};

}  // namespace licet
