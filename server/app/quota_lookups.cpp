#include "server/app/quota_lookups.h"

#include <utility>

#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::app {

std::string name_of(const ports::QuotaKey& key) {
    return std::to_string(key.contract.value) + "/" + std::to_string(static_cast<int>(key.metric)) + std::to_string(static_cast<int>(key.kind)) +
           "/" + key.span.name;
}

QuotaLookups::QuotaLookups(Parts parts)
    : parts_(std::move(parts)),
      unreachable_(
          parts_.metrics->gauge("licet_quota_ledger_unreachable", "Whether quotas go without the ledger's word: it could not be asked last")) {}

void QuotaLookups::start() {
    thread_ = std::thread([this] { run(); });
}

void QuotaLookups::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        wake_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void QuotaLookups::ask(const ports::QuotaKey& key, Of of, bool soon) {
    const std::lock_guard lock(mutex_);
    if (parts_.clock->monotonic_ns() < paused_until_ns_) return;
    auto name = name_of(key);
    const auto [at, fresh] = open_.try_emplace(name, Asked{key, of, soon});
    if (of == Of::all) at->second.of = of;
    if (!fresh && (!soon || at->second.soon)) return;
    if (!fresh) std::erase(later_, name);
    at->second.soon = soon;
    (soon ? soon_ : later_).push_back(std::move(name));
    wake_.notify_all();
}

std::vector<QuotaLookups::Word> QuotaLookups::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(heard_, {});
}

void QuotaLookups::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait(lock, [&] { return stopping_ || !soon_.empty() || !later_.empty(); });
        if (stopping_) return;
        auto& from = soon_.empty() ? later_ : soon_;
        const auto at = open_.find(from.front());
        from.pop_front();
        if (at == open_.end()) continue;
        const Asked asked = at->second;
        open_.erase(at);
        lock.unlock();
        look_up(asked);
        lock.lock();
    }
}

void QuotaLookups::look_up(const Asked& asked) {
    const bool own = asked.of == Of::own;
    auto parts = parts_.ledger->delivered(asked.key.contract, asked.key.span, own ? parts_.node : std::string(), own ? parts_.boot : 0);
    const bool failed = !parts;
    {
        const std::lock_guard lock(mutex_);
        if (parts) heard_.push_back({asked.key, asked.of, *std::move(parts)});
        if (failed) {
            // What waits would wait as long, one after the other.
            paused_until_ns_ = parts_.clock->monotonic_ns() + limits::quota_ledger_pause_ms * 1'000'000LL;
            open_.clear();
            soon_.clear();
            later_.clear();
        }
    }
    if (failed != std::exchange(failing_, failed)) {
        unreachable_.set(failed ? 1 : 0);
        log::write(failed ? log::Level::error : log::Level::info, failed ? "quota.ledger_unreachable" : "quota.ledger_reached",
                   {{"node", parts_.node}});
    }
    if (!failed) parts_.heard();
}

}  // namespace licet::app
