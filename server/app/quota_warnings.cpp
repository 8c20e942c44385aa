#include "server/app/quota_warnings.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/usage_limits.h"
#include "server/ports/log.h"
#include "server/ports/quota_json.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr int kThresholds[] = {80, 100};

}  // namespace

QuotaWarnings::QuotaWarnings(Parts parts)
    : parts_(std::move(parts)), waiting_max_(parts_.waiting_max != 0 ? parts_.waiting_max : limits::quota_warnings_waiting_max) {}

void QuotaWarnings::start() {
    thread_ = std::thread([this] { run(); });
}

void QuotaWarnings::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(stopping_, true)) return;
    }
    wake_.notify_all();
    if (!thread_.joinable()) return;
    thread_.join();
    if (!failing_) (void)store();
}

void QuotaWarnings::passed(ContractNo contract, const QuotaPurse::Passed& passed) {
    const Key key{contract, passed.quota.metric, passed.quota.kind, passed.span.name, passed.quota.limit, passed.percent};
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= waiting_max_ && !waiting_.contains(key))
        recount_ = true;
    else
        waiting_.try_emplace(key, Waiting{passed.state, parts_.clock->utc_now()});
    wake_.notify_all();
}

void QuotaWarnings::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait(lock, [&] { return stopping_ || recount_ || !waiting_.empty(); });
        if (stopping_) return;
        lock.unlock();
        const bool stored = store();
        if (stored == failing_) {
            failing_ = !stored;
            log::write(stored ? log::Level::info : log::Level::error, stored ? "quota.warnings_stored" : "quota.warnings_wait");
        }
        lock.lock();
        if (!stored) wake_.wait_for(lock, std::chrono::milliseconds(limits::quota_warnings_retry_ms), [&] { return stopping_; });
    }
}

bool QuotaWarnings::store() {
    for (;;) {
        if (!drain()) return false;
        {
            const std::lock_guard lock(mutex_);
            if (!std::exchange(recount_, false)) return true;
        }
        if (recount()) continue;
        const std::lock_guard lock(mutex_);
        recount_ = true;
        return false;
    }
}

bool QuotaWarnings::drain() {
    for (;;) {
        std::unique_lock lock(mutex_);
        if (waiting_.empty()) return true;
        auto next = waiting_.extract(waiting_.begin());
        lock.unlock();
        if (tell(next.key(), next.mapped())) continue;
        lock.lock();
        waiting_.insert(std::move(next));
        return false;
    }
}

// What the ledger says was delivered in the spans that are now, against the limits that are now. Each threshold goes to the store at once: it knows
// which were told.
bool QuotaWarnings::recount() {
    const auto snapshot = parts_.snapshot();
    const auto now = parts_.clock->utc_now();
    for (const auto* contract : snapshot->all_contracts()) {
        if (!drain()) return false;  // what is news does not wait for all of it
        for (const auto& quota : contract->quota.quotas) {
            {
                const std::lock_guard lock(mutex_);
                if (stopping_) return false;
            }
            const auto span = metering::quota_span(quota.period, now);
            const auto parts = parts_.ledger->delivered(contract->no, span);
            if (!parts) return false;
            std::uint64_t used = 0;
            for (const auto& part : *parts) used += part.billed(quota.metric);
            for (const int percent : kThresholds) {
                if (used * 100 / quota.limit < static_cast<std::uint64_t>(percent)) continue;
                const json state{{"metric", ports::name_of(quota.metric)},
                                 {"period", ports::name_of(quota.period)},
                                 {"kind", ports::name_of(quota.kind)},
                                 {"limit", quota.limit},
                                 {"used", used},
                                 {"remaining", quota.limit - std::min(quota.limit, used)},
                                 {"percent", used * 100 / quota.limit},
                                 {"resets", format_rfc3339(span.until)}};
                if (!tell({contract->no, quota.metric, quota.kind, span.name, quota.limit, percent}, {state, now})) return false;
            }
        }
    }
    return true;
}

Status QuotaWarnings::tell(const Key& key, const Waiting& waiting) {
    const auto& [contract, metric, kind, span, limit, percent] = key;
    const auto snapshot = parts_.snapshot();
    const auto* entry = snapshot->contract(contract);
    if (entry == nullptr) return success();  // contracts do not go: it was never one
    ports::QuotaWarning warning{contract, metric, kind, span, limit, percent, parts_.new_id(), {}};
    json data = waiting.state;
    data["contract"] = entry->name;
    data["region"] = parts_.region;
    data["span"] = span;
    data["threshold"] = percent;
    warning.body = json{{"specversion", "1.0"},
                        {"id", warning.message},
                        {"source", parts_.source},
                        {"type", "dev.licet.quota.passed"},
                        {"subject", entry->name},
                        {"time", format_rfc3339(waiting.at)},
                        {"datacontenttype", "application/json"},
                        {"data", std::move(data)}}
                       .dump();
    const auto told = parts_.store->tell(warning);
    if (!told) return told.error();
    if (*told && parts_.told) parts_.told();
    return success();
}

}  // namespace licet::app
