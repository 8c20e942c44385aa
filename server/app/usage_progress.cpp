#include "server/app/usage_progress.h"

#include <chrono>

#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::app {

void UsageProgress::start() {
    timer_ = std::thread([this] {
        std::unique_lock lock(mutex_);
        do {
            lock.unlock();
            const auto told = tell();
            if (told.ok() == failing_) {
                if (told.ok())
                    log::info("usage.progress_resumed");
                else
                    log::error("usage.progress_failed", {{"detail", told.error().detail}});
                failing_ = !told.ok();
            }
            lock.lock();
        } while (!woken_.wait_for(lock, std::chrono::milliseconds(limits::usage_watermark_period_ms), [&] { return stopping_; }));
    });
}

Status UsageProgress::tell() {
    const auto until = journal_->complete_before(clock_->utc_now());
    if (!until) return success();
    return billing_->advance(node_, boot_, {until->value - limits::usage_watermark_margin_ms});
}

void UsageProgress::stop() {
    if (!timer_.joinable()) return;
    halt();
    const UtcMillis now = clock_->utc_now();
    if (journal_->complete_before(now) != now) {
        log::warn("usage.not_all_flushed", {{"node", node_}});
        return;
    }
    if (const auto told = billing_->ended(node_, boot_, now); !told) log::error("usage.progress_failed", {{"detail", told.error().detail}});
}

void UsageProgress::halt() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
    }
    if (timer_.joinable()) timer_.join();
}

}  // namespace licet::app
