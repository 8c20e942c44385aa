// Ends this process at a moment set before, whatever it does or does not do by then: also while it is stopped, or has no processor. What a node may
// only do under its lease it cannot do after it. Held by app::DeliveryGate, implemented in server/redis. Thread-safe.
#pragma once

#include <chrono>

namespace licet::ports {

// On a clock that also runs while the machine sleeps (CLOCK_BOOTTIME).
using FenceTime = std::chrono::nanoseconds;
inline constexpr FenceTime kNoFence = FenceTime::max();  // a node alone: nobody stops waiting for it

class Fence {
  public:
    virtual ~Fence() = default;
    // Moves the moment. One gone by: now.
    virtual void set(FenceTime at) noexcept = 0;
    virtual void lift() noexcept = 0;
};

}  // namespace licet::ports
