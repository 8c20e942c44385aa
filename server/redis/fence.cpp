#include "server/redis/fence.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace licet::redis {
namespace {

// SIGKILL ends a process that is stopped, too, and none of its threads runs another instruction of its own: what was looked at before the moment
// cannot be acted upon after it.
class KernelFence final : public ports::Fence {
  public:
    explicit KernelFence(timer_t timer) : timer_(timer) {}
    ~KernelFence() override { ::timer_delete(timer_); }
    KernelFence(const KernelFence&) = delete;
    KernelFence& operator=(const KernelFence&) = delete;

    void set(ports::FenceTime at) noexcept override {
        if (at == ports::kNoFence) return lift();
        // Zero would lift it.
        const auto ns = std::max<std::int64_t>(at.count(), 1);
        put({{}, {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)}});
    }
    void lift() noexcept override { put({}); }

  private:
    void put(const itimerspec& when) noexcept {
        // It cannot fail with a timer that exists; one that is not set protects nobody.
        if (::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr) != 0) ::raise(SIGKILL);
    }

    const timer_t timer_;
};

}  // namespace

ports::FenceTime fence_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

Result<std::shared_ptr<ports::Fence>> make_fence() {
    if (::getpid() == 1)
        return Error{Errc::unavailable,
                     "with Redis the node cannot be process 1, which the kernel does not end when its lease does: run it under an init",
                     {}};
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    timer_t timer{};
    if (::timer_create(CLOCK_BOOTTIME, &event, &timer) != 0)
        return Error{Errc::unavailable, "no timer of the kernel to end the node with its lease", {}};
    return std::shared_ptr<ports::Fence>(std::make_shared<KernelFence>(timer));
}

}  // namespace licet::redis
