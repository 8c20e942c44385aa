// Usage to the second: what this node has journaled and the ledger does not hold yet, and the state of quotas, beside the ledger's lines. Stands
// between the journal and those who write and flush it. Built by main; read by the edge for a partner's own usage. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>

#include "base/guarded.h"
#include "server/app/quotas.h"
#include "server/app/snapshot.h"
#include "server/ports/usage_journal.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

class UsagePending {
  public:
    using Of = std::tuple<ContractNo, ProductNo, std::int64_t>;  // and the UTC day of its delivery, counted from 1970
    using Counts = std::map<Of, ports::UsageCount>;

    // The same journal, counted: records of this start from when they are accepted until they are flushed.
    [[nodiscard]] std::shared_ptr<ports::UsageJournal> counted(std::shared_ptr<ports::UsageJournal> journal);
    [[nodiscard]] std::shared_ptr<ports::UsageBacklog> counted(std::shared_ptr<ports::UsageBacklog> backlog);

    // What is pending, and how often something was flushed until now.
    struct Read {
        Counts counts;
        std::uint64_t flushes = 0;
    };
    [[nodiscard]] Read read() const;

  private:
    friend class CountedJournal;
    friend class CountedBacklog;
    struct State {
        Counts counts;
        std::uint64_t flushes = 0;
    };
    std::shared_ptr<Guarded<State>> state_ = std::make_shared<Guarded<State>>();
};

// `report` gives a partner's lines of `period` as JSON from the ledger; it may be asked again, when something was flushed meanwhile. Adds `pending`
// of the period (contract, product, day, events, bytes) and `quotas` (a QuotaPurse's states, by contract) of the party's contracts on this node:
// those of which nothing is heard within limits::usage_quotas_wait_ms, all together, say that they are unknown.
[[nodiscard]] Result<nlohmann::json> usage_now(const Snapshot& snapshot, const std::string& party, const std::string& period,
                                               const UsagePending& pending, Quotas& quotas, const std::function<Result<nlohmann::json>()>& report);

}  // namespace licet::app
