// Quotas: the purses of this node's contracts, and the thread that fills them: it tells the books what was used, asks for more where somebody waits,
// gives back what nobody needs, and holds the count against the ledger, which is asked on another thread. Built by main; delivery draws on the
// purses. docs/quotas.md.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/app/quota_lookups.h"
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

    // The purse of a contract that has limits; null: it has none. Kept while somebody holds it, and a while longer. Does not block.
    [[nodiscard]] std::shared_ptr<QuotaPurse> purse(const ports::Contract& contract);
    [[nodiscard]] std::shared_ptr<QuotaPurse> known(ContractNo contract) const;
    // Waits until something is known of it, at most limits::quota_known_wait_ms. Blocks: never on a shard thread. Errors: unavailable.
    [[nodiscard]] Status await(const QuotaPurse& purse);
    // The same of many, at most `wait_ms` for all of them; whether each is known is theirs to say.
    void await(const std::vector<std::shared_ptr<QuotaPurse>>& purses, int wait_ms);
    // Somebody waits for more.
    void hurry();
    // `granted` runs on the thread of this object when whoever waits may ask again.
    void on_grant(std::function<void()> granted);

  private:
    using Purses = std::vector<std::shared_ptr<QuotaPurse>>;
    struct Said {
        QuotaPurse* purse;
        QuotaPurse::Word word;
    };
    void run();
    [[nodiscard]] bool round();  // true: somebody waited, and may ask again
    void hear_ledger();
    void serve(const Purses& purses);
    void say(const Purses& purses, std::int64_t now_ns);
    void answered(Said& said, ports::QuotaLeases::Answered answer);
    void take_tokens(const Purses& purses, std::int64_t now_ns);
    void tell_passed(QuotaPurse& purse);
    // What the ledger said of every start; null: it is asked.
    [[nodiscard]] const std::vector<ports::QuotaPart>* others_of(const ports::QuotaKey& key);
    void doubt(const ports::QuotaKey& key);
    void drop_idle(const Purses& purses);
    void reachable(bool yes);
    [[nodiscard]] Purses all() const;
    [[nodiscard]] bool hurried() const;
    void give_back();

    const Parts parts_;
    const std::string who_;
    mutable std::mutex mutex_;
    std::condition_variable wake_, heard_;
    std::map<ContractNo, std::shared_ptr<QuotaPurse>> purses_;
    std::map<ContractNo, ports::QuotaTerms> terms_;
    std::function<void()> granted_;
    bool hurried_ = false, stopping_ = false;
    ports::Gauge& degraded_;
    QuotaLookups lookups_;
    // The thread's:
    struct Heard {
        std::int64_t at_ns = 0;  // or asked
        std::optional<std::vector<ports::QuotaPart>> others;
    };
    std::map<std::string, Heard> heard_of_;           // by quota and span: what somebody asked for, until it is used
    std::map<std::string, std::int64_t> doubted_ns_;  // when the ledger was asked about starts that may have ended
    ContractNo next_;                                 // whose turn it is among those that do not wait
    bool unfinished_ = false;                         // some of them have not had their turn, as somebody waited
    bool reachable_ = true;
    std::thread thread_;
};

}  // namespace licet::app
