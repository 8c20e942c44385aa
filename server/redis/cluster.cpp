#include "server/redis/cluster.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/ports/log.h"
#include "server/redis/connection.h"
#include "server/redis/fence.h"

namespace licet::redis {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// KEYS: leases, epochs, since, channel; ARGV: node, lease ms, epoch. Redis' own clock, so that nodes' clocks do not matter.
constexpr const char* kRenew =
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) "
    "local run=string.match(redis.call('INFO','server'),'run_id:(%x+)') "
    "if string.match(redis.call('GET',KEYS[3]) or '','^(%x+):')~=run then redis.call('SET',KEYS[3],run..':'..now) end "
    "redis.call('ZADD',KEYS[1],now+ARGV[2],ARGV[1]) redis.call('HSET',KEYS[2],ARGV[1],ARGV[3]) redis.call('PUBLISH',KEYS[4],ARGV[1]) return 1";
// KEYS: leases, epochs, since; ARGV: epoch, lease ms. Nodes with a live lease that have not acknowledged; forgets leases that ended. A Redis that
// lost its memory, or remembers what it was like some time ago (restarted from a file, or promoted), does not know every node that delivers until one
// lease has passed: it answers "*" so long. `since` names the run of Redis that it is good for.
constexpr const char* kOutstanding =
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) "
    "local run,since=string.match(redis.call('GET',KEYS[3]) or '','^(%x+):(%d+)') "
    "if run~=string.match(redis.call('INFO','server'),'run_id:(%x+)') or now-tonumber(since)<tonumber(ARGV[2]) then return {'*'} end "
    "redis.call('ZREMRANGEBYSCORE',KEYS[1],'-inf',now) local out={} "
    "for _,n in ipairs(redis.call('ZRANGE',KEYS[1],0,-1)) do if tonumber(redis.call('HGET',KEYS[2],n) or '0')<tonumber(ARGV[1]) then out[#out+1]=n "
    "end end return out";

class RedisCluster final : public ports::Cluster {
  public:
    explicit RedisCluster(ClusterOptions options)
        : options_(std::move(options)),
          leases_("licet:" + options_.region + ":leases"),
          epochs_("licet:" + options_.region + ":epochs"),
          since_("licet:" + options_.region + ":since"),
          channel_("licet:" + options_.region + ":acknowledged") {}
    ~RedisCluster() override { stop(); }

    void start(std::function<void(std::optional<ports::FenceTime>)> lease) override {
        lease_ = std::move(lease);
        renewer_ = std::thread([this] { renew_loop(); });
    }

    void acknowledge(GovernanceEpoch epoch) override {
        const std::lock_guard lock(mutex_);
        if (epoch <= epoch_) return;
        epoch_ = epoch;
        dirty_ = true;
        wake_.notify_all();
    }

    Result<std::vector<std::string>> await(GovernanceEpoch epoch, int timeout_ms) override {
        const auto deadline = Clock::now() + milliseconds(timeout_ms);
        Connection asks(options_.host, options_.port, timeout_ms), listens(options_.host, options_.port, timeout_ms);
        // Subscribed before asking, so that no acknowledgement falls between the two.
        if (!listens.command({"SUBSCRIBE", channel_})) return unreachable();
        for (;;) {
            const auto reply =
                asks.command({"EVAL", kOutstanding, "3", leases_, epochs_, since_, std::to_string(epoch.value), std::to_string(options_.lease_ms)});
            if (!reply || reply->type != REDIS_REPLY_ARRAY) return unreachable();
            std::vector<std::string> outstanding;
            for (std::size_t i = 0; i < reply->elements; ++i) outstanding.emplace_back(reply->element[i]->str, reply->element[i]->len);
            if (outstanding.empty() || Clock::now() >= deadline) return outstanding;
            // A node that died is waited for until its lease ends: ask again at least that often.
            const auto pause = std::min(deadline, Clock::now() + milliseconds(options_.lease_ms / 4));
            if (!listens.message(pause) && !listens.connected() && Clock::now() < deadline && !listens.command({"SUBSCRIBE", channel_}))
                return unreachable();
        }
    }

    void stop() override {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            stopping_ = true;
            wake_.notify_all();
        }
        if (!renewer_.joinable()) return;
        renewer_.join();
        Connection last(options_.host, options_.port, options_.lease_ms / 4);
        if (!last.command({"ZREM", leases_, options_.node})) log::warn("cluster.lease_not_returned", {{"node", options_.node}});
    }

  private:
    static Error unreachable() { return {Errc::unavailable, "cluster state cannot be reached", {}}; }

    void renew_loop() {
        // Connecting and renewing take at most a quarter of the lease together, and the lease counts as lost after half of it: even an attempt begun
        // just before that ends while Redis still holds the lease.
        Connection connection(options_.host, options_.port, options_.lease_ms / 8);
        bool held = false;
        auto held_until = Clock::now();
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            const auto epoch = epoch_;
            dirty_ = false;
            lock.unlock();
            const auto asked_at = Clock::now();
            const auto fence_at = fence_now() + milliseconds(options_.lease_ms - options_.lease_ms / 8);
            const bool renewed = connection.command({"EVAL", kRenew, "4", leases_, epochs_, since_, channel_, options_.node,
                                                     std::to_string(options_.lease_ms), std::to_string(epoch.value)}) != nullptr;
            if (renewed) held_until = asked_at + milliseconds(options_.lease_ms / 2);
            const bool now_held = Clock::now() < held_until;
            const bool lost = held && !now_held;
            if (now_held != held) {
                held = now_held;
                log::write(held ? log::Level::info : log::Level::error, held ? "cluster.lease_held" : "cluster.lease_lost",
                           {{"node", options_.node}});
            }
            if (lost) lease_(std::nullopt);
            if (now_held && renewed) lease_(fence_at);
            lock.lock();
            const auto next = renewed ? asked_at + milliseconds(options_.lease_ms / 4) : Clock::now() + milliseconds(options_.lease_ms / 16);
            wake_.wait_until(lock, next, [&] { return stopping_ || (dirty_ && renewed); });
        }
    }

    const ClusterOptions options_;
    const std::string leases_, epochs_, since_, channel_;
    std::function<void(std::optional<ports::FenceTime>)> lease_;
    std::mutex mutex_;
    std::condition_variable wake_;
    GovernanceEpoch epoch_;
    bool dirty_ = false;
    bool stopping_ = false;
    std::thread renewer_;
};

}  // namespace

std::shared_ptr<ports::Cluster> make_cluster(ClusterOptions options) { return std::make_shared<RedisCluster>(std::move(options)); }

}  // namespace licet::redis
