// QuotaPurse: what one contract may still be delivered on this node: its shares of each quota, its tokens of each rate, and what sessions are about
// to write. Sessions of all shards draw on it before they write; app::Quotas fills it. Thread-safe; nothing here blocks.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "metering/charges.h"
#include "metering/contract_meter.h"
#include "metering/quota.h"
#include "server/ports/quota.h"
#include "server/ports/quota_leases.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

class QuotaPurse {
  public:
    // `good_for_ns`: so long after the books were heard what is held of a hard quota may be drawn on; 0: for ever. Later they may have been lost and
    // made anew without it.
    QuotaPurse(ContractNo contract, const ports::QuotaTerms& terms, UtcMillis now, std::int64_t now_ns, std::int64_t good_for_ns = 0);

    // The contract says something else. Balances of quotas that stay go on.
    void terms(const ports::QuotaTerms& terms, UtcMillis now, std::int64_t now_ns);
    [[nodiscard]] ContractNo contract() const noexcept { return contract_; }
    // All books were heard once: before, nothing is known of what is left.
    [[nodiscard]] bool known() const;

    // For sessions.
    struct Item {
        Offset at = 0;
        std::uint64_t bytes = 0;
        bool fresh = false;  // not billed before: it counts, once for all who write it
        bool paid = false;   // billed before, and billed again: it counts for each who writes it
    };
    enum class Short : std::uint8_t { no, wait, exhausted };
    struct Drawn {
        std::size_t items = 0;  // so many, from the first
        Short why = Short::no;  // that it was not all
    };
    // `whole`: all of it is wanted, and asked for when it is not there; else the next item is.
    [[nodiscard]] Drawn draw(const ports::UsageOf& of, std::span<const Item> items, UtcMillis now, std::int64_t now_ns, bool whole = false);
    // Of what was drawn, `items` were written; what of them lies in `fresh` was delivered for the first time.
    void wrote(const ports::UsageOf& of, std::span<const Item> items, const std::vector<metering::OffsetRange>& fresh);
    // Of what was drawn, `items` are not written after all.
    void leave(const ports::UsageOf& of, std::span<const Item> items);
    // Delivered for the first time, without having been drawn: by a start of the node that ended.
    void add(std::uint64_t events, std::uint64_t bytes);

    // A hard quota has nothing left for anyone.
    [[nodiscard]] bool exhausted(UtcMillis now);
    // Bits of warnings that hold now: 2i for 80 % of quota i, 2i + 1 for 100 %.
    [[nodiscard]] std::uint32_t warnings() const noexcept { return warnings_.load(std::memory_order_relaxed); }
    // {metric, period, kind, limit, resets} and {used, remaining, percent}, or {unknown} before the books were heard, of quota `index`; null: there
    // is none.
    [[nodiscard]] nlohmann::json state(std::size_t index) const;
    [[nodiscard]] nlohmann::json states() const;
    [[nodiscard]] bool reachable() const;
    // RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), each ended by CRLF.
    [[nodiscard]] std::string headers(UtcMillis now) const;
    // Until every exhausted quota has begun anew, at least a second.
    [[nodiscard]] std::int64_t retry_after_s(UtcMillis now) const;

    // For app::Quotas, from one thread.
    struct Word {  // to be said of one quota
        ports::QuotaKey key;
        metering::QuotaStand stand;
        std::uint64_t limit = 0;
        bool first = false;  // nothing was heard of this span before
        bool last = false;   // the span has passed
        std::int64_t at_ns = 0;
    };
    [[nodiscard]] std::vector<Word> words(UtcMillis now, std::int64_t now_ns);
    void again(const ports::QuotaKey& key);  // to be said now, whenever it was said last
    void answered(const Word& word, const metering::QuotaAnswer& answer);
    void unanswered(const Word& word);  // the books cannot be reached
    // Spans in which this start's own count is to be held against the ledger now.
    [[nodiscard]] std::vector<ports::QuotaKey> unsettled(std::int64_t now_ns);
    void settled(const ports::QuotaKey& key, std::uint64_t billed, std::uint64_t unbilled);
    struct Tokens {
        metering::QuotaMetric metric{};
        std::uint64_t per_second = 0, wanted = 0;
    };
    [[nodiscard]] std::vector<Tokens> tokens_wanted(std::int64_t now_ns);
    void tokens(metering::QuotaMetric metric, std::uint64_t given);
    void close();  // nothing more is drawn
    // Somebody was refused since this was asked last.
    [[nodiscard]] bool take_waiting();
    [[nodiscard]] bool waiting() const;
    // Nobody has drawn for a while, nothing is held or open, and the books know it: it may go, and be made anew from them.
    [[nodiscard]] bool idle(std::int64_t now_ns);
    struct Passed {  // a threshold
        ports::Quota quota;
        metering::QuotaSpan span;
        int percent = 0;
        nlohmann::json state;
    };
    [[nodiscard]] std::vector<Passed> passed();  // since asked last

  private:
    struct Balance {
        ports::Quota quota;
        metering::QuotaSpan span;
        metering::QuotaShare share;
        std::int64_t said_ns = 0, settled_ns = 0;
        std::int64_t short_since_ns = 0;  // since when somebody was told to wait although nothing is left as far as is known
        std::int64_t heard_ns = 0;        // when the last word was said that was answered
        std::int64_t left_ns = 0;         // when its span had passed
        std::uint8_t told = 0;            // thresholds passed() has told
        bool done = false;                // its last word was answered
        [[nodiscard]] bool is(const ports::Quota& q) const noexcept {
            return quota.metric == q.metric && quota.period == q.period && quota.kind == q.kind;
        }
    };
    struct Rate {
        std::uint64_t per_second = 0;  // 0: any
        std::uint64_t held = 0, needed = 0;
        std::int64_t used_ns = 0;
        bool used = false;
    };
    [[nodiscard]] static std::uint64_t amount(metering::QuotaMetric metric, std::uint64_t bytes) noexcept {
        return metric == metering::QuotaMetric::events ? 1 : bytes;
    }
    void roll(UtcMillis now, std::int64_t now_ns);
    [[nodiscard]] Balance begun(const ports::Quota& quota, UtcMillis now) const;
    void forget_passed();
    void note_warnings() noexcept;
    void need_all(std::span<const Item> items) noexcept;
    [[nodiscard]] bool covered_by_rates(std::uint64_t bytes) noexcept;
    void pay_rates(std::uint64_t bytes) noexcept;
    [[nodiscard]] Short claim(std::uint64_t bytes, std::int64_t now_ns);
    void give_back(std::uint64_t bytes) noexcept;
    [[nodiscard]] bool current(const Balance& b, std::int64_t now_ns) const noexcept;
    [[nodiscard]] Balance* find(const ports::QuotaKey& key) noexcept;

    const ContractNo contract_;
    const std::int64_t good_for_ns_;
    mutable std::mutex mutex_;
    std::vector<Balance> balances_;
    std::vector<Balance> passing_;  // of spans that have ended: a last word is to be said; kept for a while, as a clock may be set back
    std::array<Rate, 2> rates_;     // by metric
    std::map<ports::UsageOf, metering::Charges> charges_;
    std::int64_t seen_ns_ = 0, used_ns_ = 0;  // the latest time anyone said, and that of the last draw
    bool waiting_ = false, reachable_ = true;
    std::atomic<std::uint32_t> warnings_{0};
};

}  // namespace licet::app
