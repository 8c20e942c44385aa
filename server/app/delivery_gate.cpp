#include "server/app/delivery_gate.h"

#include <chrono>

#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr auto kRetryPause = std::chrono::milliseconds(200);

}  // namespace

DeliveryGate::DeliveryGate(std::function<Status()> refresh, std::function<void(bool)> set)
    : refresh_(std::move(refresh)), set_(std::move(set)), thread_([this] { run(); }) {}

void DeliveryGate::lease(bool held) {
    const std::lock_guard lock(mutex_);
    ++turn_;
    held_ = held;
    if (!held) {
        open_ = false;
        set_(false);
    }
    changed_.notify_all();
}

void DeliveryGate::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void DeliveryGate::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return stopping_ || (held_ && !open_); });
        if (stopping_) return;
        const auto turn = turn_;
        lock.unlock();
        const auto read = refresh_();
        lock.lock();
        if (stopping_) return;
        if (!held_ || turn_ != turn) continue;  // read under a lease that has ended since
        if (read.ok()) {
            open_ = true;
            set_(true);
            continue;
        }
        log::warn("delivery.waits_for_catalog", {{"detail", read.error().detail}});
        changed_.wait_for(lock, kRetryPause, [&] { return stopping_ || turn_ != turn; });
    }
}

}  // namespace licet::app
