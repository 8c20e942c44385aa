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

// One for each quota of each contract.
std::string quota_key(const ports::QuotaKey& key) {
    return std::to_string(key.contract.value) + "/" + std::to_string(static_cast<int>(key.metric)) + std::to_string(static_cast<int>(key.kind)) +
           (key.span.name.size() > 7 ? "d" : "m");
}

}  // namespace

Quotas::Quotas(Parts parts)
    : parts_(std::move(parts)),
      who_(parts_.node + "/" + std::to_string(parts_.boot)),
      degraded_(
          parts_.metrics->gauge("licet_quota_books_unreachable", "Whether quotas live on what this node holds: their books cannot be reached")) {}

void Quotas::start() {
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
    // Nothing is delivered any more: what was promised to this start and not used is void.
    for (const auto& purse : all()) {
        purse->close();
        for (auto& word : purse->words(parts_.clock->utc_now(), parts_.clock->monotonic_ns() + limits::quota_idle_interval_ms * kMsNs)) {
            if (word.first) continue;
            if (!parts_.leases->exchange(word.key, word.stand, word.limit)) return;
        }
    }
}

std::vector<std::shared_ptr<QuotaPurse>> Quotas::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<QuotaPurse>> out;
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
            at = purses_.emplace(contract.no, std::make_shared<QuotaPurse>(contract.no, contract.quota, now, now_ns)).first;
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
        else
            wake_.wait_for(lock, milliseconds(limits::quota_exchange_interval_ms), [&] { return stopping_ || hurried_; });
        if (stopping_) return;
        hurried_ = false;
        lock.unlock();
        waited_for = false;
        for (const auto& purse : all()) waited_for = serve(*purse) || waited_for;
        lock.lock();
        heard_.notify_all();
        if (waited_for && granted_) granted_();
    }
}

bool Quotas::serve(QuotaPurse& purse) {
    const auto now_ns = parts_.clock->monotonic_ns();
    const bool waits = purse.take_waiting();
    for (const auto& key : purse.unsettled(now_ns)) {
        const auto own = parts_.ledger->delivered(key.contract, key.span, parts_.node, parts_.boot);
        if (!own) continue;
        const ports::QuotaPart none;
        const auto& part = own->empty() ? none : own->front();
        purse.settled(key, part.billed(key.metric), part.unbilled(key.metric));
    }
    for (auto& word : purse.words(parts_.clock->utc_now(), now_ns)) say(purse, std::move(word));
    for (const auto& tokens : purse.tokens_wanted(now_ns)) {
        const auto given = parts_.leases->take(purse.contract(), tokens.metric, tokens.per_second, tokens.wanted);
        reachable(given.ok());
        if (given && *given > 0) purse.tokens(tokens.metric, *given);
    }
    for (const auto& passed : purse.passed()) {
        log::info("quota.passed",
                  {{"contract", purse.contract().value}, {"percent", passed.percent}, {"span", passed.span.name}, {"limit", passed.quota.limit}});
        if (parts_.passed) parts_.passed(purse.contract(), passed);
    }
    return waits;
}

void Quotas::say(QuotaPurse& purse, QuotaPurse::Word word) {
    const auto answer = ask(purse, word);
    reachable(answer.ok());
    if (!answer) return purse.unanswered(word);
    purse.answered(word, answer->book);
    if (answer->doubt) last_words_on(word.key);
}

Result<ports::QuotaLeases::Answer> Quotas::ask(QuotaPurse& purse, QuotaPurse::Word& word) {
    std::vector<ports::QuotaPart> others;
    const auto read_ledger = [&]() -> Status {
        auto parts = parts_.ledger->delivered(word.key.contract, word.key.span);
        if (!parts) return parts.error();
        for (auto& part : *parts) {
            if (part.who() != who_)
                others.push_back(std::move(part));
            else
                purse.settled(word.key, part.billed(word.key.metric), part.unbilled(word.key.metric));
        }
        purse.restate(word);
        return success();
    };
    // What this start delivered before anyone counted, and the last word on those before it.
    if (word.first)
        if (auto read = read_ledger(); !read) return read.error();
    auto answer = parts_.leases->exchange(word.key, word.stand, word.limit);
    if (!answer) return answer.error();
    if (!*answer) {  // the books are new, or were lost
        if (!word.first)
            if (auto read = read_ledger(); !read) return read.error();
        if (auto opened = parts_.leases->open(word.key, others); !opened) return opened.error();
        answer = parts_.leases->exchange(word.key, word.stand, word.limit);
        if (!answer) return answer.error();
        if (!*answer) return Error{Errc::unavailable, "the books of a quota were lost as they were made", {}};
    } else if (word.first) {
        std::erase_if(others, [](const ports::QuotaPart& part) { return !part.ended; });
        if (!others.empty())
            if (auto settled = parts_.leases->settle(word.key, others); !settled) return settled.error();
    }
    return **answer;
}

void Quotas::last_words_on(const ports::QuotaKey& key) {
    auto& looked = looked_ns_[quota_key(key)];
    const auto now_ns = parts_.clock->monotonic_ns();
    if (looked != 0 && now_ns - looked < limits::quota_settle_idle_interval_ms * kMsNs) return;
    looked = now_ns;
    auto parts = parts_.ledger->delivered(key.contract, key.span);
    if (!parts) return;
    std::erase_if(*parts, [](const ports::QuotaPart& part) { return !part.ended; });
    if (!parts->empty()) (void)parts_.leases->settle(key, *parts);
}

void Quotas::reachable(bool yes) {
    if (yes == reachable_) return;
    reachable_ = yes;
    degraded_.set(yes ? 0 : 1);
    log::write(yes ? log::Level::info : log::Level::error, yes ? "quota.books_reached" : "quota.books_unreachable", {{"node", parts_.node}});
}

}  // namespace licet::app
