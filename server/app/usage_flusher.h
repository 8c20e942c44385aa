// UsageFlusher: carries the journal's records into the ledger, in order, for as long as the node runs; a PostgreSQL that is away is waited for. Built
// by main.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/ports/usage_journal.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

class UsageFlusher {
  public:
    UsageFlusher(std::string node, std::string region, std::shared_ptr<ports::UsageBacklog> backlog, std::shared_ptr<ports::UsageLedger> ledger,
                 std::shared_ptr<ports::EventLog> log, ports::Metrics& metrics);
    ~UsageFlusher() { stop(); }

    // Before anything is delivered: brings what ended starts of this node left behind into the ledger, and what they cannot account for into
    // suspense. Errors: those of the ledger.
    [[nodiscard]] Status recover();
    void start();
    // Flushes what there is (unless the ledger cannot be reached) and ends.
    void stop();

  private:
    // How many records: 0 when there are none or the ledger refused.
    std::size_t flush_once(int wait_ms);
    void run();

    const std::string node_, region_;
    const std::shared_ptr<ports::UsageBacklog> backlog_;
    const std::shared_ptr<ports::UsageLedger> ledger_;
    const std::shared_ptr<ports::EventLog> log_;
    ports::Counter& flushed_;
    ports::Counter& failures_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool stopping_ = false;
    bool failing_ = false;
    std::thread thread_;
};

}  // namespace licet::app
