#include "server/app/barriers.h"

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr int kFollowWaitMs = 500;  // also how soon a stop is heeded
constexpr auto kTroublePause = std::chrono::milliseconds(500);

}  // namespace

std::string Barrier::missing() const {
    return trouble.empty() ? std::to_string(nodes.outstanding.size()) + " node(s) have not confirmed it" : trouble;
}

Barriers::Barriers(Parts parts) : parts_(std::move(parts)), thread_([this] { run(); }) {}

void Barriers::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

Barrier Barriers::look(GovernanceEpoch epoch, int wait_ms) {
    const bool known = epoch.value <= complete_;
    if (auto read = parts_.refresh(); !read && !known) return {epoch, {}, "this node cannot read the catalog at the moment"};
    auto nodes = parts_.cluster->await(epoch, known ? 0 : wait_ms);
    if (known) return {epoch, {{}, nodes ? std::move(nodes->acknowledged) : std::vector<std::string>{}}, {}};
    if (!nodes) return {epoch, {}, "the cluster state cannot be reached to confirm that it holds"};
    if (nodes->outstanding.empty()) completed(epoch, *nodes);
    return {epoch, *std::move(nodes), {}};
}

Barrier Barriers::hold(GovernanceEpoch epoch) {
    const auto began_ns = parts_.clock->monotonic_ns();
    auto barrier = look(epoch, limits::barrier_wait_max_ms);
    report(barrier, began_ns, false);
    if (!barrier.complete()) follow(epoch, began_ns);
    return barrier;
}

void Barriers::report(const Barrier& barrier, std::int64_t since_ns, bool late) const {
    const auto waited_ns = parts_.clock->monotonic_ns() - since_ns;
    if (parts_.metrics) {
        const ports::Metrics::Labels outcome{{"outcome", late ? "late" : barrier.complete() ? "complete" : "incomplete"}};
        parts_.metrics->counter("licet_barriers_total", "Barriers by how calls saw them end; late: complete after a call was answered 503", outcome)
            .add();
        parts_.metrics->counter("licet_barrier_wait_seconds_total", "Time until then", outcome).add(static_cast<double>(waited_ns) / 1e9);
    }
    if (parts_.ended)
        parts_.ended({barrier.epoch, waited_ns / 1'000'000, barrier.nodes.acknowledged, barrier.nodes.outstanding,
                      barrier.complete() ? std::string() : barrier.missing(), late});
}

void Barriers::completed(GovernanceEpoch epoch, const ports::Cluster::Nodes& nodes) {
    std::map<std::uint64_t, std::int64_t> late;
    {
        const std::lock_guard lock(mutex_);
        if (epoch.value > complete_) complete_ = epoch.value;
        // A later epoch holds what the earlier ones changed.
        while (!followed_.empty() && followed_.begin()->first <= epoch.value) late.insert(followed_.extract(followed_.begin()));
        count_followed();
    }
    for (const auto& [one, since_ns] : late) {
        log::info("governance.barrier_completed", {{"epoch", one}});
        report({{one}, {{}, nodes.acknowledged}, {}}, since_ns, true);
    }
}

void Barriers::follow(GovernanceEpoch epoch, std::int64_t since_ns) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        if (epoch.value > complete_) {
            // When there are too many, the last stands for those before it.
            if (followed_.size() >= limits::barriers_followed_max) followed_.erase(std::prev(followed_.end()));
            followed_.emplace(epoch.value, since_ns);
            count_followed();
            changed_.notify_all();
            return;
        }
    }
    report({epoch, {}, {}}, since_ns, true);  // it became complete since it was looked at
}

void Barriers::count_followed() const {
    if (!parts_.metrics) return;
    parts_.metrics->gauge("licet_barriers_incomplete", "Barriers answered 503 that are not complete yet").set(static_cast<double>(followed_.size()));
}

std::size_t Barriers::followed() const {
    const std::lock_guard lock(mutex_);
    return followed_.size();
}

void Barriers::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        changed_.wait(lock, [&] { return stopping_ || !followed_.empty(); });
        if (stopping_) return;
        const GovernanceEpoch first{followed_.begin()->first};
        lock.unlock();
        const auto barrier = look(first, kFollowWaitMs);
        lock.lock();
        if (barrier.complete()) continue;
        // What cannot be asked answers at once.
        changed_.wait_for(lock, kTroublePause, [&] { return stopping_; });
    }
}

}  // namespace licet::app
