// Quotas as balances that are drawn on beforehand. A book holds what each start of each node has used of one quota in one period, and how far it may
// go (its ceiling); a share is one node's side of it. What lies between used and ceiling is pending: posted as it is used, void when the ceiling
// comes down again. All figures are absolute and numbered, so that an exchange whose answer was lost is simply made again, and one that comes late
// says nothing. The sum of all ceilings never passes the limit: no share is checked and used in two steps. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"
#include "metering/quota_terms.h"

namespace licet::metering {

struct QuotaSpan {
    std::string name;  // "2026-11", "2026-11-21"
    UtcMillis from, until;
    bool operator==(const QuotaSpan&) const = default;
};
[[nodiscard]] QuotaSpan quota_span(QuotaPeriod period, UtcMillis at);

// What one start of a node says of itself.
struct QuotaStand {
    std::uint64_t sequence = 0;   // of what is said, from 1
    std::uint64_t used = 0;       // counted there in the period
    std::uint64_t unsettled = 0;  // of it, not yet confirmed by the ledger
    std::uint64_t held = 0;       // the ceiling it was given last
    std::uint64_t wanted = 0;     // the ceiling it would have: more, or less
};
struct QuotaAnswer {
    std::uint64_t ceiling = 0;
    std::uint64_t used = 0, promised = 0, unsettled = 0;  // of all; promised: ceilings, or used where that is more
    bool operator==(const QuotaAnswer&) const = default;
};

// server/redis does the same in a script; its tests hold one against the other.
class QuotaBook {
  public:
    // The last word on a start that has ended: what of it was billed. What was pending is void.
    void settle(const std::string& who, std::uint64_t used);
    // `restating`: the book was lost and is made anew: no ceiling rises, and who holds one says so.
    [[nodiscard]] QuotaAnswer exchange(const std::string& who, const QuotaStand& stand, std::uint64_t limit, bool restating = false);

  private:
    struct Part {
        std::uint64_t sequence = 0, used = 0, unsettled = 0, ceiling = 0;
        bool ended = false;
    };
    std::map<std::string, Part> parts_;
};

class QuotaShare {
  public:
    // `sequence`: above all that were said under the same name before.
    explicit QuotaShare(std::uint64_t limit = 0, std::uint64_t sequence = 0) : limit_(limit), sequence_(sequence) {}
    // Lower than it was: what is pending and not drawn is void here at once, and nothing is drawn on before the book has said so, too.
    void limit(std::uint64_t limit) noexcept;
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }

    // Draws `n` for what is about to be delivered. False: not covered, nothing is drawn.
    [[nodiscard]] bool claim(std::uint64_t n) noexcept;
    // So much will be claimed once it is covered.
    void need(std::uint64_t n) noexcept;
    void claim_beyond(std::uint64_t n) noexcept;  // soft: whether it is covered or not
    void give_back(std::uint64_t n) noexcept;     // of what was drawn and is not delivered
    void post(std::uint64_t n) noexcept;          // of what was drawn and was delivered for the first time
    void add(std::uint64_t n) noexcept;           // delivered without having been drawn
    // The ledger's word on what was counted here: billed here, or not (another node was first).
    void settled(std::uint64_t billed, std::uint64_t not_billed) noexcept;

    // The next thing to say; to be answered.
    [[nodiscard]] QuotaStand stand() noexcept;
    void answered(const QuotaStand& said, const QuotaAnswer& answer) noexcept;
    // Nothing more is drawn: what is pending is void with the next stand.
    void close() noexcept { closed_ = true; }
    // The span is over: closed, and what is drawn is taken out, to be counted in the span it is delivered in.
    [[nodiscard]] std::uint64_t pass() noexcept;
    // It is not over after all, and so much is drawn.
    void reopen(std::uint64_t claimed) noexcept;

    [[nodiscard]] bool known() const noexcept { return known_; }
    [[nodiscard]] std::uint64_t used() const noexcept { return counted_ - not_billed_; }  // here
    [[nodiscard]] std::uint64_t claimed() const noexcept { return claimed_; }
    [[nodiscard]] std::uint64_t used_by_all() const noexcept { return others_used_ + used(); }
    [[nodiscard]] std::uint64_t unsettled() const noexcept;
    [[nodiscard]] std::uint64_t unsettled_by_all() const noexcept { return others_unsettled_ + unsettled(); }
    [[nodiscard]] std::uint64_t ceiling() const noexcept { return ceiling_; }
    // No ceiling of anyone can rise any more.
    [[nodiscard]] bool tight() const noexcept { return known_ && others_promised_ + ceiling_ >= limit_; }
    // `n` more cannot come, whatever the others give back.
    [[nodiscard]] bool exhausted(std::uint64_t n) const noexcept { return known_ && used_by_all() + n > limit_; }
    // Something is to be said: used or pending what was not told, or more wanted.
    [[nodiscard]] bool has_news() const noexcept;
    // More is wanted now.
    [[nodiscard]] bool hungry() const noexcept;
    // Nothing is held, drawn or open between here, the book and the ledger.
    [[nodiscard]] bool at_rest() const noexcept { return known_ && !has_news() && claimed_ == 0 && ceiling_ <= used() && unsettled() == 0; }

  private:
    [[nodiscard]] std::uint64_t chunk() const noexcept;

    std::uint64_t limit_, sequence_;
    std::uint64_t counted_ = 0, not_billed_ = 0, confirmed_ = 0;
    std::uint64_t claimed_ = 0, ceiling_ = 0, needed_ = 0;
    std::uint64_t others_used_ = 0, others_promised_ = 0, others_unsettled_ = 0;
    std::uint64_t told_used_ = 0, told_unsettled_ = 0;
    std::uint64_t lowered_at_ = 0;  // the last word said before the limit was lowered
    bool known_ = false, active_ = false, closed_ = false, lowered_ = false;
};

}  // namespace licet::metering
