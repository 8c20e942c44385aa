#include "server/app/quota_purse.h"

#include <algorithm>

#include "base/usage_limits.h"

namespace licet::app {
namespace {

using metering::QuotaKind;
using metering::QuotaMetric;

constexpr std::int64_t kMsNs = 1'000'000;
constexpr int kWarnPercent = 80;

int percent_of(const metering::QuotaShare& share) noexcept {
    if (share.limit() == 0) return 100;
    return static_cast<int>(std::min<std::uint64_t>(share.used_by_all(), share.limit()) * 100 / share.limit());
}

}  // namespace

QuotaPurse::QuotaPurse(ContractNo contract, const ports::QuotaTerms& terms_of, UtcMillis now, std::int64_t now_ns, std::int64_t good_for_ns)
    : contract_(contract), good_for_ns_(good_for_ns) {
    terms(terms_of, now, now_ns);
}

void QuotaPurse::terms(const ports::QuotaTerms& terms, UtcMillis now, std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    seen_ns_ = std::max(seen_ns_, now_ns);
    used_ns_ = now_ns;
    std::vector<Balance> balances;
    for (const auto& quota : terms.quotas) {
        const auto same = std::find_if(balances_.begin(), balances_.end(), [&](const Balance& b) { return b.is(quota); });
        if (same != balances_.end()) {
            balances.push_back(*same);
            if (same->quota.limit != quota.limit) balances.back().told = 0;  // thresholds of another limit are others
            balances.back().quota = quota;
            balances.back().share.limit(quota.limit);
        } else {
            balances.push_back(begun(quota, now));
        }
    }
    balances_ = std::move(balances);
    rates_[0].per_second = terms.events_per_second;
    rates_[1].per_second = terms.bytes_per_second;
    note_warnings();
}

bool QuotaPurse::known() const {
    const std::lock_guard lock(mutex_);
    return std::all_of(balances_.begin(), balances_.end(), [](const Balance& b) { return b.share.known(); });
}

// It may have been counted before, in another purse or before a clock was set back: what is said now comes after.
QuotaPurse::Balance QuotaPurse::begun(const ports::Quota& quota, UtcMillis now) const {
    return {quota, metering::quota_span(quota.period, now), metering::QuotaShare(quota.limit, static_cast<std::uint64_t>(seen_ns_ / 1000))};
}

// What is drawn and not yet delivered goes along: it will be counted where it is delivered.
void QuotaPurse::roll(UtcMillis now, std::int64_t now_ns) {
    seen_ns_ = std::max(seen_ns_, now_ns);
    for (auto& b : balances_) {
        if (now < b.span.until && now >= b.span.from) continue;
        const auto drawn = b.share.pass();
        Balance next = begun(b.quota, now);
        const auto back = std::find_if(passing_.begin(), passing_.end(), [&](const Balance& p) { return p.is(b.quota) && p.span == next.span; });
        if (back != passing_.end()) {
            next = *back;
            passing_.erase(back);
            next.quota = b.quota;
            next.share.limit(b.quota.limit);
            next.said_ns = 0;
            next.done = false;
            next.share.reopen(drawn);
        } else {
            next.share.claim_beyond(drawn);
        }
        if (b.share.known()) {
            b.left_ns = seen_ns_;
            b.said_ns = 0;
            b.done = false;
            passing_.push_back(b);
        }
        b = std::move(next);
        note_warnings();
    }
}

void QuotaPurse::forget_passed() {
    std::erase_if(passing_, [&](const Balance& b) {
        return seen_ns_ - b.left_ns > (b.done ? limits::quota_past_kept_ms : limits::quota_past_said_ms) * kMsNs;
    });
}

void QuotaPurse::note_warnings() noexcept {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < balances_.size(); ++i) {
        if (!balances_[i].share.known()) continue;
        const int percent = percent_of(balances_[i].share);
        if (percent >= kWarnPercent) bits |= 1u << 2 * i;
        if (percent >= 100) bits |= 2u << 2 * i;
    }
    warnings_.store(bits, std::memory_order_relaxed);
}

bool QuotaPurse::covered_by_rates(std::uint64_t bytes) noexcept {
    bool covered = true;
    for (std::size_t m = 0; m < rates_.size(); ++m) {
        Rate& rate = rates_[m];
        const auto n = amount(static_cast<QuotaMetric>(m), bytes);
        if (rate.per_second == 0 || rate.held >= n) continue;
        rate.needed = std::max(rate.needed, n);
        covered = false;
    }
    return covered;
}

void QuotaPurse::pay_rates(std::uint64_t bytes) noexcept {
    for (std::size_t m = 0; m < rates_.size(); ++m) {
        if (rates_[m].per_second == 0) continue;
        rates_[m].held -= amount(static_cast<QuotaMetric>(m), bytes);
        rates_[m].used = true;
    }
}

// Whoever was not heard of for so long may have been forgotten when the books were made anew: what it held is somebody else's.
bool QuotaPurse::current(const Balance& b, std::int64_t now_ns) const noexcept { return good_for_ns_ == 0 || now_ns - b.heard_ns <= good_for_ns_; }

// From every quota, or from none.
QuotaPurse::Short QuotaPurse::claim(std::uint64_t bytes, std::int64_t now_ns) {
    for (std::size_t i = 0; i < balances_.size(); ++i) {
        Balance& b = balances_[i];
        const auto n = amount(b.quota.metric, bytes);
        if (b.quota.kind == QuotaKind::soft) {
            b.share.claim_beyond(n);
            continue;
        }
        if (current(b, now_ns) && b.share.claim(n)) {
            b.short_since_ns = 0;
            continue;
        }
        b.share.need(n);
        for (std::size_t k = 0; k < i; ++k) balances_[k].share.give_back(amount(balances_[k].quota.metric, bytes));
        if (!b.share.exhausted(n) || !current(b, now_ns)) return Short::wait;
        // It may be that what two nodes counted was billed once: the ledger has the word, for as long as it takes.
        if (b.short_since_ns == 0) b.short_since_ns = now_ns;
        const bool sure = b.share.unsettled_by_all() == 0 || now_ns - b.short_since_ns > limits::quota_settle_max_ms * kMsNs;
        return sure ? Short::exhausted : Short::wait;
    }
    return Short::no;
}

QuotaPurse::Drawn QuotaPurse::draw(const ports::UsageOf& of, std::span<const Item> items, UtcMillis now, std::int64_t now_ns, bool whole) {
    const std::lock_guard lock(mutex_);
    roll(now, now_ns);
    used_ns_ = now_ns;
    auto& charges = charges_[of];
    Drawn out;
    for (const Item& item : items) {
        out.why = covered_by_rates(item.bytes) ? Short::no : Short::wait;
        if (out.why != Short::no) break;
        const bool joined = item.fresh && charges.join(item.at);
        if (!joined && (item.fresh || item.paid)) {
            out.why = claim(item.bytes, now_ns);
            if (out.why != Short::no) break;
            if (item.fresh) charges.drawn(item.at, item.bytes);
        }
        pay_rates(item.bytes);
        ++out.items;
    }
    if (whole && out.why == Short::wait) need_all(items.subspan(out.items));
    waiting_ = waiting_ || out.why == Short::wait;
    return out;
}

void QuotaPurse::need_all(std::span<const Item> items) noexcept {
    std::array<std::uint64_t, 2> fresh{}, all{};
    for (const Item& item : items)
        for (std::size_t m = 0; m < all.size(); ++m) {
            const auto n = amount(static_cast<QuotaMetric>(m), item.bytes);
            all[m] += n;
            if (item.fresh || item.paid) fresh[m] += n;
        }
    for (auto& b : balances_)
        if (b.quota.kind == QuotaKind::hard) b.share.need(fresh[static_cast<std::size_t>(b.quota.metric)]);
    for (std::size_t m = 0; m < all.size(); ++m)
        if (rates_[m].per_second != 0) rates_[m].needed = std::max(rates_[m].needed, all[m]);
}

void QuotaPurse::wrote(const ports::UsageOf& of, std::span<const Item> items, const std::vector<metering::OffsetRange>& fresh) {
    const std::lock_guard lock(mutex_);
    auto& charges = charges_[of];
    auto range = fresh.begin();
    for (const Item& item : items) {
        if (item.paid)
            for (auto& b : balances_) b.share.post(amount(b.quota.metric, item.bytes));
        if (!item.fresh) continue;
        while (range != fresh.end() && range->to <= item.at) ++range;
        if (range != fresh.end() && range->from <= item.at)
            if (const auto bytes = charges.delivered(item.at))
                for (auto& b : balances_) b.share.post(amount(b.quota.metric, *bytes));
        if (const auto bytes = charges.leave(item.at)) give_back(*bytes);
    }
    note_warnings();
}

void QuotaPurse::give_back(std::uint64_t bytes) noexcept {
    for (auto& b : balances_) b.share.give_back(amount(b.quota.metric, bytes));
}

void QuotaPurse::leave(const ports::UsageOf& of, std::span<const Item> items) {
    const std::lock_guard lock(mutex_);
    auto& charges = charges_[of];
    for (const Item& item : items) {
        for (std::size_t m = 0; m < rates_.size(); ++m)
            if (rates_[m].per_second != 0) rates_[m].held += amount(static_cast<QuotaMetric>(m), item.bytes);
        if (item.paid) give_back(item.bytes);
        if (!item.fresh) continue;
        if (const auto bytes = charges.leave(item.at)) give_back(*bytes);
    }
}

void QuotaPurse::add(std::uint64_t events, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    for (auto& b : balances_) b.share.add(b.quota.metric == QuotaMetric::events ? events : bytes);
    note_warnings();
}

bool QuotaPurse::exhausted(UtcMillis now) {
    const std::lock_guard lock(mutex_);
    roll(now, seen_ns_);
    return std::any_of(balances_.begin(), balances_.end(),
                       [](const Balance& b) { return b.quota.kind == QuotaKind::hard && b.share.exhausted(1) && b.share.unsettled_by_all() == 0; });
}

QuotaPurse::Balance* QuotaPurse::find(const ports::QuotaKey& key) noexcept {
    const auto is = [&](const Balance& b) { return b.quota.metric == key.metric && b.quota.kind == key.kind && b.span == key.span; };
    const auto at = std::find_if(balances_.begin(), balances_.end(), is);
    if (at != balances_.end()) return &*at;
    const auto passing = std::find_if(passing_.begin(), passing_.end(), is);
    return passing == passing_.end() ? nullptr : &*passing;
}

std::vector<QuotaPurse::Word> QuotaPurse::words(UtcMillis now, std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    roll(now, now_ns);
    forget_passed();
    const auto idle_ns =
        good_for_ns_ == 0 ? limits::quota_idle_interval_ms * kMsNs : std::min(limits::quota_idle_interval_ms * kMsNs, good_for_ns_ / 2);
    std::vector<Word> out;
    const auto say = [&](Balance& b, bool first, bool last) {
        b.said_ns = now_ns;
        out.push_back({{contract_, b.quota.metric, b.quota.kind, b.span}, b.share.stand(), b.quota.limit, first, last, now_ns});
    };
    for (auto& b : passing_)
        if (!b.done && (b.said_ns == 0 || now_ns - b.said_ns >= limits::quota_exchange_interval_ms * kMsNs)) say(b, false, true);
    for (auto& b : balances_) {
        const auto since = now_ns - b.said_ns;
        const bool urgent = b.quota.kind == QuotaKind::hard && b.share.hungry();
        const bool due = (urgent && since >= limits::quota_urgent_interval_ms * kMsNs) ||
                         (b.share.has_news() && since >= limits::quota_exchange_interval_ms * kMsNs) || since >= idle_ns;
        if (due || b.said_ns == 0) say(b, !b.share.known(), false);
    }
    return out;
}

void QuotaPurse::again(const ports::QuotaKey& key) {
    const std::lock_guard lock(mutex_);
    if (Balance* b = find(key)) b->said_ns = 0;
}

void QuotaPurse::answered(const Word& word, const metering::QuotaAnswer& answer) {
    const std::lock_guard lock(mutex_);
    reachable_ = true;
    Balance* b = find(word.key);
    if (b == nullptr) return;
    b->heard_ns = std::max(b->heard_ns, word.at_ns);
    b->share.answered(word.stand, answer);
    b->done = word.last;
    note_warnings();
}

void QuotaPurse::unanswered(const Word&) {
    const std::lock_guard lock(mutex_);
    reachable_ = false;
}

bool QuotaPurse::reachable() const {
    const std::lock_guard lock(mutex_);
    return reachable_;
}

std::vector<ports::QuotaKey> QuotaPurse::unsettled(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    std::vector<ports::QuotaKey> out;
    for (auto& b : balances_) {
        if (b.share.unsettled() == 0) continue;
        const bool soon = b.quota.kind == QuotaKind::hard && b.share.tight();
        const auto interval_ms = soon ? limits::quota_settle_interval_ms : limits::quota_settle_idle_interval_ms;
        if (now_ns - b.settled_ns < interval_ms * kMsNs) continue;
        b.settled_ns = now_ns;
        out.push_back({contract_, b.quota.metric, b.quota.kind, b.span});
    }
    return out;
}

void QuotaPurse::settled(const ports::QuotaKey& key, std::uint64_t billed, std::uint64_t unbilled) {
    const std::lock_guard lock(mutex_);
    if (Balance* b = find(key)) b->share.settled(billed, unbilled);
    note_warnings();
}

std::vector<QuotaPurse::Tokens> QuotaPurse::tokens_wanted(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    std::vector<Tokens> out;
    for (std::size_t m = 0; m < rates_.size(); ++m) {
        Rate& rate = rates_[m];
        if (rate.per_second == 0) continue;
        const bool active = rate.used || rate.needed > 0;
        if (active) rate.used_ns = now_ns;
        // What nobody used is not kept for a burst.
        if (now_ns - rate.used_ns > limits::quota_idle_interval_ms * kMsNs) rate.held = 0;
        const auto wanted = active ? std::max(rate.needed, rate.per_second / limits::rate_portions_per_s + 1) : 0;
        if (wanted > rate.held) out.push_back({static_cast<QuotaMetric>(m), rate.per_second, wanted - rate.held});
        rate.used = false;
        rate.needed = 0;
    }
    return out;
}

void QuotaPurse::tokens(QuotaMetric metric, std::uint64_t given) {
    const std::lock_guard lock(mutex_);
    rates_[static_cast<std::size_t>(metric)].held += given;
}

void QuotaPurse::close() {
    const std::lock_guard lock(mutex_);
    for (auto& b : balances_) b.share.close();
}

bool QuotaPurse::take_waiting() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, false);
}

bool QuotaPurse::idle(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    std::erase_if(charges_, [](const auto& of) { return of.second.size() == 0; });
    if (waiting_ || !charges_.empty() || now_ns - used_ns_ < limits::quota_purse_idle_ms * kMsNs) return false;
    // Whoever was told of a threshold is not told again because nobody was there for a while.
    return std::all_of(balances_.begin(), balances_.end(), [](const Balance& b) { return b.told == 0 && b.share.at_rest(); }) &&
           std::all_of(passing_.begin(), passing_.end(), [](const Balance& b) { return b.done; });
}

bool QuotaPurse::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
}

}  // namespace licet::app
