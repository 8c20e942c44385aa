// UsageProgress: tells the ledger how far this node's deliveries are in it, about once a second, idle or not; periods close by that. Built by main.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/time.h"
#include "server/ports/billing.h"
#include "server/ports/usage_completeness.h"

namespace licet::app {

class UsageProgress {
  public:
    UsageProgress(std::string node, std::uint64_t boot, std::shared_ptr<const ports::UsageCompleteness> journal,
                  std::shared_ptr<ports::Billing> billing, std::shared_ptr<const Clock> clock)
        : node_(std::move(node)), boot_(boot), journal_(std::move(journal)), billing_(std::move(billing)), clock_(std::move(clock)) {}
    ~UsageProgress() { halt(); }

    void start();
    // Says how far it is now, if that is known. Errors: those of the ledger.
    Status tell();
    // Ends. When all is in the ledger the node has ended in order, and no period waits for it. Precondition: nothing is delivered any more.
    void stop();

  private:
    void halt();

    const std::string node_;
    const std::uint64_t boot_;
    const std::shared_ptr<const ports::UsageCompleteness> journal_;
    const std::shared_ptr<ports::Billing> billing_;
    const std::shared_ptr<const Clock> clock_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool stopping_ = false, failing_ = false;
    std::thread timer_;
};

}  // namespace licet::app
