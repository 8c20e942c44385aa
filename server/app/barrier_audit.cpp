#include "server/app/barrier_audit.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr std::size_t kBatch = 512;  // in one transaction: it holds the lock of all changes
constexpr std::chrono::seconds kRetry{1};

}  // namespace

BarrierAudit::BarrierAudit(std::string node, std::shared_ptr<ports::AuditLog> log, ports::Metrics& metrics)
    : node_(std::move(node)),
      log_(std::move(log)),
      written_(metrics.counter("licet_audit_barriers_written_total", "Barriers written into the audit log")),
      failed_(metrics.counter("licet_audit_barrier_write_failures_total", "Attempts to write barriers into the audit log that failed")),
      lost_(metrics.counter("licet_audit_barriers_lost_total", "Barriers that are not in the audit log and never will be")),
      waiting_(metrics.gauge("licet_audit_barriers_waiting", "Barriers not yet in the audit log")),
      writer_([this] { write_loop(); }) {}

BarrierAudit::~BarrierAudit() { stop(); }

void BarrierAudit::record(BarrierOutcome outcome) {
    {
        const std::lock_guard lock(mutex_);
        if (!stopping_ && queue_.size() < limits::barrier_audit_queue_max) {
            queue_.push_back(std::move(outcome));
            waiting_.set(static_cast<double>(queue_.size()));
            changed_.notify_all();
            return;
        }
    }
    lost({std::move(outcome)}, "too many wait");
}

void BarrierAudit::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (writer_.joinable()) writer_.join();
}

void BarrierAudit::write_loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kBatch));
        const std::deque<BarrierOutcome> batch(queue_.begin(), end);
        const bool last = stopping_;  // an attempt begun before the end is not the last one
        lock.unlock();
        const bool done = write(batch);
        lock.lock();
        if (done) {
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
            waiting_.set(static_cast<double>(queue_.size()));
        } else if (last) {
            lost(queue_, "the node ends");
            queue_.clear();
            return;
        } else {
            changed_.wait_for(lock, kRetry, [&] { return stopping_; });
        }
    }
}

bool BarrierAudit::write(const std::deque<BarrierOutcome>& batch) {
    std::vector<ports::AuditEntry> entries;
    for (const auto& outcome : batch) entries.push_back(entry(outcome));
    if (const auto done = log_->append(entries); !done) {
        failed_.add();
        log::error("audit.barriers_not_written",
                   {{"waiting", batch.size()}, {"first_epoch", batch.front().epoch.value}, {"detail", done.error().detail}});
        return false;
    }
    written_.add(static_cast<double>(batch.size()));
    return true;
}

void BarrierAudit::lost(const std::deque<BarrierOutcome>& outcomes, const char* why) {
    for (const auto& o : outcomes)
        log::error("audit.barrier_lost", {{"epoch", o.epoch.value}, {"complete", o.why.empty()}, {"waited_ms", o.waited_ms}, {"why", why}});
    lost_.add(static_cast<double>(outcomes.size()));
}

ports::AuditEntry BarrierAudit::entry(const BarrierOutcome& o) const {
    nlohmann::json detail{{"epoch", o.epoch.value}, {"waitedMs", o.waited_ms}, {"acknowledged", o.acknowledged}, {"outstanding", o.outstanding}};
    if (!o.why.empty()) detail["why"] = o.why;
    if (o.late) detail["late"] = true;
    return {"node/" + node_, o.why.empty() ? "barrier.complete" : "barrier.incomplete", std::to_string(o.epoch.value), std::move(detail)};
}

}  // namespace licet::app
