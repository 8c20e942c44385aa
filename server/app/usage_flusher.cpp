#include "server/app/usage_flusher.h"

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr int kTakeWaitMs = 100;
constexpr auto kRetryPause = std::chrono::milliseconds(500);

}  // namespace

UsageFlusher::UsageFlusher(std::string node, std::string region, std::shared_ptr<ports::UsageBacklog> backlog,
                           std::shared_ptr<ports::UsageLedger> ledger, std::shared_ptr<ports::EventLog> log, ports::Metrics& metrics)
    : node_(std::move(node)),
      region_(std::move(region)),
      backlog_(std::move(backlog)),
      ledger_(std::move(ledger)),
      log_(std::move(log)),
      flushed_(metrics.counter("licet_usage_records_flushed_total", "Journal records taken into the ledger")),
      failures_(metrics.counter("licet_usage_flush_failures_total", "Attempts to flush the journal that failed")) {}

Status UsageFlusher::recover() {
    while (flush_once(0) > 0) {
    }
    if (failing_) return {Errc::unavailable, "the ledger refused what earlier starts of this node left in the journal"};
    return ledger_->settle_ended_boots(node_, backlog_->boot(), [&](const ports::UsageOf& of, Offset to) {
        const auto bounds = log_->bounds({of.product, of.partition});
        return bounds.stream_epoch == of.stream_epoch ? std::min(to, bounds.end) : to;
    });
}

void UsageFlusher::start() {
    thread_ = std::thread([this] { run(); });
}

void UsageFlusher::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

std::size_t UsageFlusher::flush_once(int wait_ms) {
    const auto records = backlog_->take(limits::ledger_flush_max_records, wait_ms);
    if (records.empty()) return 0;
    const auto done = ledger_->flush(node_, region_, records);
    if (done.ok() && failing_) log::info("usage.flush_resumed");
    if (!done.ok() && !failing_)
        log::error("usage.flush_failed", {{"reason", catalogue_entry(done.error().code).slug}, {"detail", done.error().detail}});
    failing_ = !done.ok();
    if (failing_) {
        failures_.add();
        return 0;
    }
    flushed_.add(static_cast<double>(records.size()));
    backlog_->flushed(records.back().boot, records.back().sequence);
    return records.size();
}

void UsageFlusher::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::ledger_flush_interval_ms);
        lock.unlock();
        const auto taken = flush_once(kTakeWaitMs);
        lock.lock();
        // What comes meanwhile makes longer ranges: fewer rows for as much usage.
        if (taken > 0 && taken < limits::ledger_flush_max_records) woken_.wait_until(lock, next, [&] { return stopping_; });
        if (taken == 0 && failing_) woken_.wait_for(lock, kRetryPause, [&] { return stopping_; });
    }
    lock.unlock();
    while (flush_once(0) > 0) {
    }
}

}  // namespace licet::app
