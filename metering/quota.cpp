#include "metering/quota.h"

#include <algorithm>
#include <utility>

namespace licet::metering {
namespace {

// A lease is an eighth of what is left: the nearer the limit, the smaller, so that nodes meet exactly at it.
constexpr std::uint64_t kPartOfTheRest = 8;

std::uint64_t less(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a - b : 0; }

}  // namespace

QuotaSpan quota_span(QuotaPeriod period, UtcMillis at) {
    constexpr std::int64_t kDay = 86'400'000;
    const std::string date = format_rfc3339(at).substr(0, 10);
    const UtcMillis today = *parse_date(date);
    if (period == QuotaPeriod::day) return {date, today, {today.value + kDay}};
    const UtcMillis first = *parse_date(date.substr(0, 7) + "-01");
    // The 28th of every month and four days more lie in the next.
    const std::string next = format_rfc3339({first.value + 31 * kDay}).substr(0, 7);
    return {date.substr(0, 7), first, *parse_date(next + "-01")};
}

void QuotaBook::settle(const std::string& who, std::uint64_t used) {
    auto& part = parts_[who];
    part.ended = true;
    part.used = part.ceiling = used;
    part.unsettled = 0;
}

QuotaAnswer QuotaBook::exchange(const std::string& who, const QuotaStand& stand, std::uint64_t limit, bool restating) {
    Part& part = parts_[who];
    if (!part.ended && stand.sequence > part.sequence) {
        if (part.sequence == 0 && restating) part.ceiling = std::max(part.ceiling, stand.held);
        part.sequence = stand.sequence;
        part.used = stand.used;
        part.unsettled = stand.unsettled;
        part.ceiling = std::max(part.ceiling, part.used);
        std::uint64_t promised = 0;
        for (const auto& [name, p] : parts_) promised += p.ceiling;
        const std::uint64_t raise = restating ? 0 : std::min(less(stand.wanted, part.ceiling), less(limit, promised));
        if (stand.wanted < part.ceiling)
            part.ceiling = std::max(stand.wanted, part.used);
        else
            part.ceiling += raise;
    }
    QuotaAnswer out{part.ceiling, 0, 0, 0};
    for (const auto& [name, p] : parts_) {
        out.used += p.used;
        out.promised += p.ceiling;
        out.unsettled += p.unsettled;
    }
    return out;
}

void QuotaShare::limit(std::uint64_t limit) noexcept {
    if (limit < limit_) {
        lowered_ = true;
        lowered_at_ = sequence_;
        ceiling_ = std::min(ceiling_, used() + claimed_);
    }
    limit_ = limit;
}

std::uint64_t QuotaShare::pass() noexcept {
    close();
    return std::exchange(claimed_, 0);
}

void QuotaShare::reopen(std::uint64_t claimed) noexcept {
    closed_ = false;
    claimed_ = claimed;
}

bool QuotaShare::claim(std::uint64_t n) noexcept {
    if (!closed_ && used() + claimed_ + n <= ceiling_) {
        active_ = true;
        claimed_ += n;
        return true;
    }
    need(n);
    return false;
}

void QuotaShare::need(std::uint64_t n) noexcept { needed_ = std::max(needed_, n); }

void QuotaShare::claim_beyond(std::uint64_t n) noexcept {
    active_ = true;
    claimed_ += n;
}

void QuotaShare::give_back(std::uint64_t n) noexcept { claimed_ = less(claimed_, n); }

void QuotaShare::post(std::uint64_t n) noexcept {
    claimed_ = less(claimed_, n);
    counted_ += n;
}

void QuotaShare::add(std::uint64_t n) noexcept { counted_ += n; }

void QuotaShare::settled(std::uint64_t billed, std::uint64_t not_billed) noexcept {
    confirmed_ = billed + not_billed;
    not_billed_ = not_billed;
    counted_ = std::max(counted_, confirmed_);  // what it knows and was not counted here was delivered before anyone counted
}

std::uint64_t QuotaShare::unsettled() const noexcept { return less(counted_, confirmed_); }

std::uint64_t QuotaShare::chunk() const noexcept { return less(limit_, used_by_all()) / kPartOfTheRest; }

QuotaStand QuotaShare::stand() noexcept {
    const std::uint64_t drawn = used() + claimed_;
    QuotaStand out{++sequence_, used(), unsettled(), ceiling_, drawn};
    // Of a lower limit more is asked for when the book knows that this much is all that is held.
    if (!lowered_) {
        if (!closed_ && (needed_ > 0 || active_)) out.wanted += std::max(needed_, chunk());
        active_ = false;
        needed_ = 0;
    }
    // What is about to be void is not drawn on while the book is told.
    ceiling_ = std::min(ceiling_, out.wanted);
    return out;
}

void QuotaShare::answered(const QuotaStand& said, const QuotaAnswer& answer) noexcept {
    const bool before = lowered_ && said.sequence <= lowered_at_;  // said of the higher limit
    ceiling_ = before ? std::min(ceiling_, answer.ceiling) : answer.ceiling;
    lowered_ = before;
    others_used_ = less(answer.used, said.used);
    others_promised_ = less(answer.promised, answer.ceiling);
    others_unsettled_ = less(answer.unsettled, said.unsettled);
    told_used_ = said.used;
    told_unsettled_ = said.unsettled;
    known_ = true;
}

bool QuotaShare::has_news() const noexcept {
    return !known_ || lowered_ || used() != told_used_ || unsettled() != told_unsettled_ || needed_ > 0 ||
           (ceiling_ > used() + claimed_ && !active_) || (active_ && hungry());
}

bool QuotaShare::hungry() const noexcept {
    if (closed_) return false;
    if (!known_ || lowered_ || needed_ > 0) return true;
    return active_ && less(ceiling_, used() + claimed_) < chunk() / 2;
}

}  // namespace licet::metering
