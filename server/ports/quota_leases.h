// What nodes of a region know together about quotas and rates of contracts: the books (metering/quota.h) and buckets. Implemented over Redis in
// server/redis, and there in memory for a node that is alone. Nothing in it is an authority: after a loss it is made anew from the ledger and from
// what the nodes hold. Calls block: never on a shard thread. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "metering/quota.h"
#include "metering/quota_terms.h"

namespace licet::ports {

struct QuotaKey {
    ContractNo contract;
    metering::QuotaMetric metric{};
    metering::QuotaKind kind{};
    metering::QuotaSpan span;
    bool operator==(const QuotaKey&) const = default;
};

// What the ledger says one start of a node delivered in a span.
struct QuotaPart {
    std::string node;
    std::uint64_t boot = 0;
    std::uint64_t billed_events = 0, billed_bytes = 0;
    std::uint64_t unbilled_events = 0, unbilled_bytes = 0;  // another node was first
    bool ended = false;                                     // a later start has settled it: nothing is added any more
    [[nodiscard]] std::string who() const { return node + "/" + std::to_string(boot); }
    [[nodiscard]] std::uint64_t billed(metering::QuotaMetric m) const { return m == metering::QuotaMetric::events ? billed_events : billed_bytes; }
    [[nodiscard]] std::uint64_t unbilled(metering::QuotaMetric m) const {
        return m == metering::QuotaMetric::events ? unbilled_events : unbilled_bytes;
    }
};

class QuotaLeases {
  public:
    virtual ~QuotaLeases() = default;
    // Called once, at first: from here on a loss of what is kept is noticed, and what is not kept is known to be new.
    [[nodiscard]] virtual Status remember() = 0;
    // The next word of this start of the node; nullopt: there is no book, `open` it and ask again. `doubt`: some start has not been heard of for
    // a while: what the ledger knows of it may be the last word.
    struct Answer {
        metering::QuotaAnswer book;
        bool doubt = false;
    };
    [[nodiscard]] virtual Result<std::optional<Answer>> exchange(const QuotaKey& key, const metering::QuotaStand& stand, std::uint64_t limit) = 0;
    // Many, each by itself, and where it can be in one round trip.
    struct Saying {
        QuotaKey key;
        metering::QuotaStand stand;
        std::uint64_t limit = 0;
    };
    using Answered = Result<std::optional<Answer>>;
    [[nodiscard]] virtual std::vector<Answered> exchange_all(const std::vector<Saying>& all) {
        std::vector<Answered> out;
        for (const auto& one : all) out.push_back(exchange(one.key, one.stand, one.limit));
        return out;
    }
    // Makes the book, unless somebody was faster: from then on, for one lease, holders restate what they hold. `others`: what the ledger says of
    // every start but this one.
    [[nodiscard]] virtual Status open(const QuotaKey& key, const std::vector<QuotaPart>& others) = 0;
    // The last word on starts that have ended.
    [[nodiscard]] virtual Status settle(const QuotaKey& key, const std::vector<QuotaPart>& ended) = 0;
    // Up to `wanted` of a contract's rate; 0: none now.
    [[nodiscard]] virtual Result<std::uint64_t> take(ContractNo contract, metering::QuotaMetric metric, std::uint64_t per_second,
                                                     std::uint64_t wanted) = 0;
    struct Taking {
        ContractNo contract;
        metering::QuotaMetric metric{};
        std::uint64_t per_second = 0, wanted = 0;
    };
    [[nodiscard]] virtual std::vector<Result<std::uint64_t>> take_all(const std::vector<Taking>& all) {
        std::vector<Result<std::uint64_t>> out;
        for (const auto& one : all) out.push_back(take(one.contract, one.metric, one.per_second, one.wanted));
        return out;
    }
    // So long what a holder was promised outlives a loss of the books; whoever was not heard of for longer may have been forgotten. 0: they are not
    // lost while there is anyone to hold something.
    [[nodiscard]] virtual int restating_ms() const noexcept { return 0; }
};

// The authority: what was billed. Implemented in server/postgres.
class QuotaLedger {
  public:
    virtual ~QuotaLedger() = default;
    // Every start of every node that delivered for the contract in the span; `node` not empty: of this start alone.
    [[nodiscard]] virtual Result<std::vector<QuotaPart>> delivered(ContractNo contract, const metering::QuotaSpan& span, const std::string& node = {},
                                                                   std::uint64_t boot = 0) = 0;
};

}  // namespace licet::ports
