// Guarded<T>: a mutex that owns its data, so that the data cannot be reached without the lock.
// Lock order between Guarded values is documented in docs/locks.md; never hold one across I/O.
#pragma once

#include <mutex>
#include <utility>

namespace licet {

template <class T>
class Guarded {
  public:
    template <class... Args>
    explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    // Runs `use` with the lock held and returns what it returns.
    template <class Use>
    decltype(auto) with(Use&& use) {
        const std::lock_guard lock(mutex_);
        return std::forward<Use>(use)(value_);
    }
    template <class Use>
    decltype(auto) with(Use&& use) const {
        const std::lock_guard lock(mutex_);
        return std::forward<Use>(use)(std::as_const(value_));
    }

  private:
    mutable std::mutex mutex_;
    T value_;
};

}  // namespace licet
