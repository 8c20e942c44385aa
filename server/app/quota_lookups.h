// QuotaLookups: asks the ledger what was delivered of quotas, on a thread of its own, so that a ledger that is slow or away holds up nobody who waits
// for a promise or a rate. Used by app::Quotas. Thread-safe; `ask` and `take` do not block.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "server/ports/metrics.h"
#include "server/ports/quota_leases.h"

namespace licet::app {

class QuotaLookups {
  public:
    struct Parts {
        std::string node;
        std::uint64_t boot = 0;
        std::shared_ptr<ports::QuotaLedger> ledger;
        std::shared_ptr<const Clock> clock;
        std::shared_ptr<ports::Metrics> metrics;
        std::function<void()> heard;  // something can be taken; on the thread of this object
    };
    enum class Of : std::uint8_t { own, all };  // this start of the node, or every start of every node
    struct Word {
        ports::QuotaKey key;
        Of of{};
        std::vector<ports::QuotaPart> parts;
    };

    explicit QuotaLookups(Parts parts);
    ~QuotaLookups() { stop(); }
    void start();
    void stop();  // waits for the one that is under way

    // Once, however often it is asked for before it is looked up; `soon` goes before what is not. Dropped while the ledger does not answer: it is
    // asked for again by whoever still needs it, at most limits::quota_ledger_pause_ms after it failed.
    void ask(const ports::QuotaKey& key, Of of, bool soon);
    [[nodiscard]] std::vector<Word> take();  // heard since

  private:
    struct Asked {
        ports::QuotaKey key;
        Of of{};
        bool soon = false;
    };
    void run();
    void look_up(const Asked& asked);

    const Parts parts_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::map<std::string, Asked> open_;     // by quota and span
    std::deque<std::string> soon_, later_;  // of those, each in one
    std::vector<Word> heard_;
    std::int64_t paused_until_ns_ = 0;
    bool stopping_ = false, failing_ = false;
    ports::Gauge& unreachable_;
    std::thread thread_;
};

// One for each quota of each contract and span.
[[nodiscard]] std::string name_of(const ports::QuotaKey& key);

}  // namespace licet::app
