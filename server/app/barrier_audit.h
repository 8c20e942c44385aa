// Writes how each barrier ended into the audit log, beside the calls that wait for barriers: they are answered without this write. Fed by Governance;
// built by main.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "server/ports/audit_log.h"
#include "server/ports/metrics.h"

namespace licet::app {

// Of one call that waited for an epoch, or of an epoch that completed after its call was answered 503.
struct BarrierOutcome {
    GovernanceEpoch epoch;
    std::int64_t waited_ms = 0;             // since the barrier was begun
    std::vector<std::string> acknowledged;  // nodes that hold a lease and confirmed
    std::vector<std::string> outstanding;   // nodes that hold a lease and did not
    std::string why;                        // incomplete: what kept it, a fixed text. Empty: complete
    bool late = false;                      // completed after a call was told that it is not
};

// Thread-safe. One writer thread; at most limits::barrier_audit_queue_max wait for the catalog. What is lost past that, or when the node ends while
// the catalog is away, is logged with its epoch and counted: licet_audit_barriers_lost_total.
class BarrierAudit {
  public:
    BarrierAudit(std::string node, std::shared_ptr<ports::AuditLog> log, ports::Metrics& metrics);
    ~BarrierAudit();
    // Does not wait.
    void record(BarrierOutcome outcome);
    // Tries once to write what waits, then ends. Idempotent.
    void stop();

  private:
    void write_loop();
    [[nodiscard]] bool write(const std::deque<BarrierOutcome>& batch);
    void lost(const std::deque<BarrierOutcome>& outcomes, const char* why);
    [[nodiscard]] ports::AuditEntry entry(const BarrierOutcome& outcome) const;

    const std::string node_;
    const std::shared_ptr<ports::AuditLog> log_;
    ports::Counter& written_;
    ports::Counter& failed_;
    ports::Counter& lost_;
    ports::Gauge& waiting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<BarrierOutcome> queue_;
    bool stopping_ = false;
    std::thread writer_;
};

}  // namespace licet::app
