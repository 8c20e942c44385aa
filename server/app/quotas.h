// Quotas: the purses of this node's contracts, and the thread that fills them: it tells the books what was used, asks for more where somebody waits,
// gives back what nobody needs, and holds the count against the ledger. Built by main; delivery draws on the purses. docs/quotas.md.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/app/quota_purse.h"
#include "server/app/snapshot.h"
#include "server/ports/metrics.h"
#include "server/ports/quota_leases.h"

namespace licet::app {

class Quotas {
  public:
    struct Parts {
        std::string node;
        std::uint64_t boot = 0;
        std::shared_ptr<ports::QuotaLeases> leases;
        std::shared_ptr<ports::QuotaLedger> ledger;
        std::shared_ptr<const Clock> clock;
        std::shared_ptr<ports::Metrics> metrics;
        // A threshold was passed; on the thread of this object. May be empty.
        std::function<void(ContractNo, const QuotaPurse::Passed&)> passed;
    };
    explicit Quotas(Parts parts);
    ~Quotas() { stop(); }

    void start();
    void stop();  // what is pending is given back, as far as the books can be reached

    // The purse of a contract that has limits; null: it has none. Does not block.
    [[nodiscard]] std::shared_ptr<QuotaPurse> purse(const ports::Contract& contract);
    [[nodiscard]] std::shared_ptr<QuotaPurse> known(ContractNo contract) const;
    // Waits until something is known of it, at most limits::quota_known_wait_ms. Blocks: never on a shard thread. Errors: unavailable.
    [[nodiscard]] Status await(const QuotaPurse& purse);
    // Somebody waits for more.
    void hurry();
    // `granted` runs on the thread of this object when whoever waits may ask again.
    void on_grant(std::function<void()> granted);

  private:
    void run();
    bool serve(QuotaPurse& purse);  // true: somebody may ask again
    void say(QuotaPurse& purse, QuotaPurse::Word word);
    [[nodiscard]] Result<ports::QuotaLeases::Answer> ask(QuotaPurse& purse, QuotaPurse::Word& word);
    void last_words_on(const ports::QuotaKey& key);
    void reachable(bool yes);
    [[nodiscard]] std::vector<std::shared_ptr<QuotaPurse>> all() const;

    const Parts parts_;
    const std::string who_;
    mutable std::mutex mutex_;
    std::condition_variable wake_, heard_;
    std::map<ContractNo, std::shared_ptr<QuotaPurse>> purses_;
    std::map<ContractNo, ports::QuotaTerms> terms_;
    std::function<void()> granted_;
    bool hurried_ = false, stopping_ = false;
    bool reachable_ = true;                          // the thread's
    std::map<std::string, std::int64_t> looked_ns_;  // the thread's: when the ledger was asked about starts that may have ended, by quota
    ports::Gauge& degraded_;
    std::thread thread_;
};

}  // namespace licet::app
