#include "server/app/delivery_gate.h"

#include <chrono>

#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr auto kRetryPause = std::chrono::milliseconds(200);

}  // namespace

DeliveryGate::DeliveryGate(std::function<Status()> refresh, Set set, std::shared_ptr<ports::Fence> fence)
    : refresh_(std::move(refresh)), set_(std::move(set)), fence_(std::move(fence)), thread_([this] { run(); }) {}

void DeliveryGate::lease(std::optional<ports::FenceTime> until) {
    const std::lock_guard lock(mutex_);
    // Under the mutex, as closed() is: it cannot lift the fence of a lease held again.
    if (until && fence_ && !over_) fence_->set(*until);
    if (held_ == until.has_value()) return;
    held_ = until.has_value();
    ++turn_;
    if (!held_) {
        open_ = false;
        set_(false, [this, turn = turn_] { closed(turn); });
    }
    changed_.notify_all();
}

// Only of the last time: a shard may have been opened again between one close and the next, and not have heard the next.
void DeliveryGate::closed(std::uint64_t turn) {
    const std::lock_guard lock(mutex_);
    if (turn_ == turn && fence_) fence_->lift();
}

void DeliveryGate::lift() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    if (fence_) fence_->lift();
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
            set_(true, {});
            continue;
        }
        log::warn("delivery.waits_for_catalog", {{"detail", read.error().detail}});
        changed_.wait_for(lock, kRetryPause, [&] { return stopping_ || turn_ != turn; });
    }
}

}  // namespace licet::app
