// QuotaWarnings: what becomes of thresholds that nodes pass: stored once in the region, and so told once, by a thread of its own. What cannot be
// stored waits; what would be too much to wait, and what was passed before this start, is counted from the ledger. Built by main. docs/quotas.md.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>

#include "base/time.h"
#include "server/app/quota_purse.h"
#include "server/app/snapshot.h"
#include "server/ports/webhooks.h"

namespace licet::app {

class QuotaWarnings {
  public:
    struct Parts {
        std::shared_ptr<ports::WebhookStore> store;
        std::shared_ptr<ports::QuotaLedger> ledger;
        std::function<std::shared_ptr<const Snapshot>()> snapshot;
        std::function<std::string()> new_id;
        std::shared_ptr<const Clock> clock;
        std::string region, source;   // `source` of the CloudEvents
        std::function<void()> told;   // something was stored that is to be posted; may be empty
        std::size_t waiting_max = 0;  // 0: limits::quota_warnings_waiting_max
    };
    explicit QuotaWarnings(Parts parts);
    ~QuotaWarnings() { stop(); }

    void start();
    // Stores what waits, once; what cannot be is counted again by the next start.
    void stop();

    // Any thread; does not block.
    void passed(ContractNo contract, const QuotaPurse::Passed& passed);

    // One round of the thread. True: what there was is stored.
    bool store();

  private:
    // A threshold, as the store tells them apart.
    using Key = std::tuple<ContractNo, metering::QuotaMetric, metering::QuotaKind, std::string, std::uint64_t, int>;
    struct Waiting {
        nlohmann::json state;
        UtcMillis at{};
    };

    void run();
    [[nodiscard]] bool drain();
    [[nodiscard]] bool recount();
    [[nodiscard]] Status tell(const Key& key, const Waiting& waiting);

    const Parts parts_;
    const std::size_t waiting_max_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::map<Key, Waiting> waiting_;
    bool recount_ = true;  // the ledger knows of more than waits
    bool stopping_ = false;
    bool failing_ = false;  // the thread's
    std::thread thread_;
};

}  // namespace licet::app
