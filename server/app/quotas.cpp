#include "server/app/quotas.h"

#include <algorithm>
#include <chrono>

#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMsNs = 1'000'000;
constexpr int kStillWaitedForMs = 20;  // tokens grow, other nodes give back

}  // namespace

Quotas::Quotas(Parts parts)
    : parts_(std::move(parts)),
      who_(parts_.node + "/" + std::to_string(parts_.boot)),
      degraded_(parts_.metrics->gauge("licet_quota_books_unreachable", "Whether quotas live on what this node holds: their books cannot be reached")),
      lookups_({parts_.node, parts_.boot, parts_.ledger, parts_.clock, parts_.metrics, [this] { hurry(); }}) {}

void Quotas::start() {
    lookups_.start();
    thread_ = std::thread([this] { run(); });
}

void Quotas::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        stopping_ = true;
        wake_.notify_all();
        heard_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    give_back();
    lookups_.stop();
}

// Nothing is delivered any more: what was promised to this start and not used is void.
void Quotas::give_back() {
    for (const auto& purse : all()) {
        purse->close();
        for (auto& word : purse->words(parts_.clock->utc_now(), parts_.clock->monotonic_ns() + limits::quota_idle_interval_ms * kMsNs)) {
            if (word.first) continue;
            if (!parts_.leases->exchange(word.key, word.stand, word.limit)) return;
        }
    }
}

Quotas::Purses Quotas::all() const {
    const std::lock_guard lock(mutex_);
    Purses out;
    for (const auto& [no, purse] : purses_) out.push_back(purse);
    return out;
}

std::shared_ptr<QuotaPurse> Quotas::purse(const ports::Contract& contract) {
    const std::lock_guard lock(mutex_);
    auto at = purses_.find(contract.no);
    if (at == purses_.end() && !contract.quota.limits()) return nullptr;
    if (at == purses_.end() || terms_[contract.no] != contract.quota) {
        const auto now = parts_.clock->utc_now();
        const auto now_ns = parts_.clock->monotonic_ns();
        if (at == purses_.end())
            at = purses_
                     .emplace(contract.no,
                              std::make_shared<QuotaPurse>(contract.no, contract.quota, now, now_ns, parts_.leases->restating_ms() * kMsNs))
                     .first;
        else
            at->second->terms(contract.quota, now, now_ns);
        terms_[contract.no] = contract.quota;
        hurried_ = true;
        wake_.notify_all();
    }
    return contract.quota.limits() ? at->second : nullptr;
}

std::shared_ptr<QuotaPurse> Quotas::known(ContractNo contract) const {
    const std::lock_guard lock(mutex_);
    const auto at = purses_.find(contract);
    return at == purses_.end() ? nullptr : at->second;
}

Status Quotas::await(const QuotaPurse& purse) {
    std::unique_lock lock(mutex_);
    const bool heard = heard_.wait_for(lock, milliseconds(limits::quota_known_wait_ms), [&] { return stopping_ || purse.known(); });
    if (heard && !stopping_) return success();
    return {Errc::unavailable, "nothing can be heard of the contract's quotas"};
}

void Quotas::await(const Purses& purses, int wait_ms) {
    std::unique_lock lock(mutex_);
    (void)heard_.wait_for(lock, milliseconds(wait_ms),
                          [&] { return stopping_ || std::all_of(purses.begin(), purses.end(), [](const auto& purse) { return purse->known(); }); });
}

bool Quotas::hurried() const {
    const std::lock_guard lock(mutex_);
    return hurried_ || stopping_;
}

void Quotas::hurry() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(hurried_, true)) return;
    wake_.notify_all();
}

void Quotas::on_grant(std::function<void()> granted) {
    const std::lock_guard lock(mutex_);
    granted_ = std::move(granted);
}

void Quotas::run() {
    reachable(parts_.leases->remember().ok());
    std::unique_lock lock(mutex_);
    bool waited_for = false;
    while (!stopping_) {
        // Who waits is served at once; who still does, when something may have come.
        if (waited_for)
            wake_.wait_for(lock, milliseconds(kStillWaitedForMs), [&] { return stopping_; });
        else if (!unfinished_)
            wake_.wait_for(lock, milliseconds(limits::quota_exchange_interval_ms), [&] { return stopping_ || hurried_; });
        if (stopping_) return;
        hurried_ = false;
        lock.unlock();
        waited_for = round();
        lock.lock();
        heard_.notify_all();
        if (waited_for && granted_) granted_();
    }
}

// Who waits comes first, and again before every further part of the others.
bool Quotas::round() {
    hear_ledger();
    Purses waiting, rest;
    for (auto& purse : all()) (purse->waiting() || !purse->known() ? waiting : rest).push_back(std::move(purse));
    bool waited_for = false;
    for (const auto& purse : waiting) waited_for = purse->take_waiting() || waited_for;
    const auto parts_of = [&](Purses& purses, auto&& use) {
        for (std::size_t at = 0; at < purses.size(); at += limits::quota_pipeline_max) {
            const auto end = std::min(purses.size(), at + limits::quota_pipeline_max);
            if (!use({purses.begin() + static_cast<std::ptrdiff_t>(at), purses.begin() + static_cast<std::ptrdiff_t>(end)}, end == purses.size()))
                return;
        }
    };
    parts_of(waiting, [&](const Purses& part, bool) {
        serve(part);
        return true;
    });
    std::rotate(rest.begin(), std::find_if(rest.begin(), rest.end(), [&](const auto& purse) { return !(purse->contract() < next_); }), rest.end());
    unfinished_ = false;
    parts_of(rest, [&](const Purses& part, bool last) {
        serve(part);
        drop_idle(part);
        next_ = {part.back()->contract().value + 1};
        unfinished_ = !last && hurried();
        return !unfinished_;
    });
    return waited_for;
}

void Quotas::serve(const Purses& purses) {
    const auto now_ns = parts_.clock->monotonic_ns();
    for (const auto& purse : purses)
        for (const auto& key : purse->unsettled(now_ns)) lookups_.ask(key, QuotaLookups::Of::own, false);
    take_tokens(purses, now_ns);
    say(purses, now_ns);
    for (const auto& purse : purses) tell_passed(*purse);
}

void Quotas::take_tokens(const Purses& purses, std::int64_t now_ns) {
    Purses whose;
    std::vector<ports::QuotaLeases::Taking> wanted;
    for (const auto& purse : purses)
        for (const auto& tokens : purse->tokens_wanted(now_ns)) {
            whose.push_back(purse);
            wanted.push_back({purse->contract(), tokens.metric, tokens.per_second, tokens.wanted});
        }
    if (wanted.empty()) return;
    const auto given = parts_.leases->take_all(wanted);
    for (std::size_t i = 0; i < given.size(); ++i) {
        reachable(given[i].ok());
        if (given[i] && *given[i] > 0) whose[i]->tokens(wanted[i].metric, *given[i]);
    }
}

void Quotas::say(const Purses& purses, std::int64_t now_ns) {
    std::vector<Said> said;
    std::vector<ports::QuotaLeases::Saying> saying;
    for (const auto& purse : purses)
        for (auto& word : purse->words(parts_.clock->utc_now(), now_ns)) {
            // What this start delivered before anyone counted comes first.
            if (word.first && others_of(word.key) == nullptr) continue;
            saying.push_back({word.key, word.stand, word.limit});
            said.push_back({purse.get(), std::move(word)});
        }
    if (said.empty()) return;
    auto answers = parts_.leases->exchange_all(saying);
    for (std::size_t i = 0; i < answers.size(); ++i) answered(said[i], std::move(answers[i]));
}

void Quotas::answered(Said& said, ports::QuotaLeases::Answered answer) {
    const auto& word = said.word;
    const auto* others = word.first || (answer && !*answer) ? others_of(word.key) : nullptr;
    if (answer && !*answer) {  // the books are new, or were lost
        if (others == nullptr) return;
        auto opened = parts_.leases->open(word.key, *others);
        answer = opened ? parts_.leases->exchange(word.key, word.stand, word.limit) : ports::QuotaLeases::Answered(opened.error());
    } else if (answer && others != nullptr) {  // the last word on those before it
        auto ended = *others;
        std::erase_if(ended, [](const ports::QuotaPart& part) { return !part.ended; });
        if (!ended.empty())
            if (auto settled = parts_.leases->settle(word.key, ended); !settled) answer = settled.error();
    }
    reachable(answer.ok());
    if (!answer || !*answer) return said.purse->unanswered(word);
    heard_of_.erase(name_of(word.key));
    said.purse->answered(word, (*answer)->book);
    if ((*answer)->doubt) doubt(word.key);
}

void Quotas::tell_passed(QuotaPurse& purse) {
    for (const auto& passed : purse.passed()) {
        log::info("quota.passed",
                  {{"contract", purse.contract().value}, {"percent", passed.percent}, {"span", passed.span.name}, {"limit", passed.quota.limit}});
        if (parts_.passed) parts_.passed(purse.contract(), passed);
    }
}

const std::vector<ports::QuotaPart>* Quotas::others_of(const ports::QuotaKey& key) {
    auto& heard = heard_of_.try_emplace(name_of(key), Heard{parts_.clock->monotonic_ns(), {}}).first->second;
    if (heard.others) return &*heard.others;
    lookups_.ask(key, QuotaLookups::Of::all, true);
    return nullptr;
}

// Some start has not been heard of for a while: what the ledger knows of it may be the last word.
void Quotas::doubt(const ports::QuotaKey& key) {
    const auto now_ns = parts_.clock->monotonic_ns();
    const auto [at, fresh] = doubted_ns_.try_emplace(name_of(key), now_ns);
    if (!fresh && now_ns - at->second < limits::quota_settle_idle_interval_ms * kMsNs) return;
    at->second = now_ns;
    lookups_.ask(key, QuotaLookups::Of::all, false);
}

void Quotas::hear_ledger() {
    const auto now_ns = parts_.clock->monotonic_ns();
    std::erase_if(heard_of_, [&](const auto& heard) { return now_ns - heard.second.at_ns > limits::quota_ledger_word_ms * kMsNs; });
    std::erase_if(doubted_ns_, [&](const auto& asked) { return now_ns - asked.second > 2 * limits::quota_settle_idle_interval_ms * kMsNs; });
    for (auto& word : lookups_.take()) {
        const auto purse = known(word.key.contract);
        if (!purse) continue;
        const auto own = std::find_if(word.parts.begin(), word.parts.end(), [&](const ports::QuotaPart& part) { return part.who() == who_; });
        if (own != word.parts.end())
            purse->settled(word.key, own->billed(word.key.metric), own->unbilled(word.key.metric));
        else if (word.of == QuotaLookups::Of::own)
            purse->settled(word.key, 0, 0);
        if (word.of == QuotaLookups::Of::own) continue;
        if (own != word.parts.end()) word.parts.erase(own);
        const auto name = name_of(word.key);
        if (doubted_ns_.contains(name)) {
            auto ended = word.parts;
            std::erase_if(ended, [](const ports::QuotaPart& part) { return !part.ended; });
            if (!ended.empty()) (void)parts_.leases->settle(word.key, ended);
        }
        const auto wanted = heard_of_.find(name);
        if (wanted == heard_of_.end()) continue;
        wanted->second = {now_ns, std::move(word.parts)};
        purse->again(word.key);
    }
}

// Nobody else may come to hold one while it goes.
void Quotas::drop_idle(const Purses& purses) {
    const auto now_ns = parts_.clock->monotonic_ns();
    for (const auto& purse : purses) {
        if (!purse->idle(now_ns)) continue;
        const std::lock_guard lock(mutex_);
        const auto at = purses_.find(purse->contract());
        constexpr long kOurs = 3;  // the map's, that of all(), and that of its part
        if (at == purses_.end() || at->second.use_count() > kOurs) continue;
        purses_.erase(at);
        terms_.erase(purse->contract());
    }
}

void Quotas::reachable(bool yes) {
    if (yes == reachable_) return;
    reachable_ = yes;
    degraded_.set(yes ? 0 : 1);
    log::write(yes ? log::Level::info : log::Level::error, yes ? "quota.books_reached" : "quota.books_unreachable", {{"node", parts_.node}});
}

}  // namespace licet::app
