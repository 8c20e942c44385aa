#include "server/redis/cluster.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <thread>

#include "server/ports/log.h"
#include "server/redis/connection.h"
#include "server/redis/fence.h"

namespace licet::redis {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::int64_t kMsNs = 1'000'000;

// Begins every script. KEYS: leases, epochs, memory, wanted; ARGV: lease ms. Leases are counted on Redis' own clock, so that nodes' clocks do not
// matter; but it can be set, and Redis can come back with less than it knew (another run, a copy, nothing). Nodes call several times a lease: another
// run, time that ran back, or half a lease without any call means that what is held here is not known to be all. Then every lease is forgotten,
// and for one whole lease the answer is that nodes are outstanding which are not known: who delivers has come again by then, or stopped.
constexpr std::string_view kRemember =
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) local lease=tonumber(ARGV[1]) "
    "local run=string.match(redis.call('INFO','server'),'run_id:(%w+)') local m=redis.call('HMGET',KEYS[3],'run','since','seen') "
    "local since,seen=tonumber(m[2]),tonumber(m[3]) if m[1]~=run or not since or not seen or now<seen or now-seen>lease/2 then "
    "redis.call('DEL',KEYS[1]) since=now redis.call('HSET',KEYS[3],'run',run,'since',now) end redis.call('HSET',KEYS[3],'seen',now) ";
// ARGV: lease ms, node, epoch, whether to renew (1) or only to look (0), channel. Answers the epoch a barrier waits for, 0 for none.
constexpr std::string_view kRenew =
    "redis.call('HSET',KEYS[2],ARGV[2],ARGV[3]) if ARGV[4]=='1' then redis.call('ZADD',KEYS[1],now+lease,ARGV[2]) end "
    "redis.call('PUBLISH',ARGV[5],ARGV[2]) return tonumber(redis.call('GET',KEYS[4]) or '0')";
// ARGV: lease ms, epoch. Nodes with a live lease that have not acknowledged it; forgets leases that ended. What is waited for is kept a few leases,
// so that one of a catalog that is no more is not waited for for ever.
constexpr std::string_view kOutstanding =
    "if tonumber(redis.call('GET',KEYS[4]) or '0')<=tonumber(ARGV[2]) then redis.call('SET',KEYS[4],ARGV[2],'PX',4*lease) end "
    "if now-since<lease then return {{'*'},{}} end redis.call('ZREMRANGEBYSCORE',KEYS[1],'-inf',now) local out,done={},{} "
    "for _,n in ipairs(redis.call('ZRANGE',KEYS[1],0,-1)) do local to=tonumber(redis.call('HGET',KEYS[2],n) or '0')<tonumber(ARGV[2]) and out or "
    "done "
    "to[#to+1]=n end return {out,done}";

class RedisCluster final : public ports::Cluster {
  public:
    explicit RedisCluster(ClusterOptions options)
        : options_(std::move(options)),
          leases_("licet:" + options_.region + ":leases"),
          epochs_("licet:" + options_.region + ":epochs"),
          memory_("licet:" + options_.region + ":memory"),
          wanted_("licet:" + options_.region + ":wanted"),
          channel_("licet:" + options_.region + ":acknowledged") {}
    ~RedisCluster() override { stop(); }

    void start(std::function<void(std::optional<ports::FenceTime>)> report) override {
        report_ = std::move(report);
        renewer_ = std::thread([this] { renew_loop(); });
    }

    std::shared_ptr<const ports::Lease> lease() const override { return lease_; }

    void acknowledge(GovernanceEpoch epoch) override {
        const std::lock_guard lock(mutex_);
        if (epoch <= epoch_) return;
        epoch_ = epoch;
        dirty_ = true;
        wake_.notify_all();
    }

    Result<Nodes> await(GovernanceEpoch epoch, int timeout_ms) override {
        const auto deadline = Steady::now() + milliseconds(timeout_ms);
        // Redis that does not answer is not waited for longer than a lease.
        const int patience_ms = std::min(std::max(timeout_ms, options_.lease_ms / 4), options_.lease_ms);
        Connection asks(options_.host, options_.port, patience_ms), listens(options_.host, options_.port, patience_ms);
        // Subscribed before asking, so that no acknowledgement falls between the two.
        if (!listens.command({"SUBSCRIBE", channel_})) return unreachable();
        for (;;) {
            const auto reply = asks.command(script(kOutstanding, {std::to_string(epoch.value)}));
            if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) return unreachable();
            Nodes nodes{names(*reply->element[0]), names(*reply->element[1])};
            if (nodes.outstanding.empty() || Steady::now() >= deadline) return nodes;
            // A node that died is waited for until its lease ends: ask again at least that often.
            const auto pause = std::min(deadline, Steady::now() + milliseconds(options_.lease_ms / 4));
            if (!listens.message(pause) && !listens.connected() && Steady::now() < deadline && !listens.command({"SUBSCRIBE", channel_}))
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
        lease_->until_ns = 0;
        Connection last(options_.host, options_.port, options_.lease_ms / 4);
        if (!last.command({"ZREM", leases_, options_.node})) log::warn("cluster.lease_not_returned", {{"node", options_.node}});
    }

  private:
    static Error unreachable() { return {Errc::unavailable, "cluster state cannot be reached", {}}; }
    static std::vector<std::string> names(const redisReply& list) {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < list.elements; ++i) out.emplace_back(list.element[i]->str, list.element[i]->len);
        return out;
    }
    std::vector<std::string> script(std::string_view body, std::initializer_list<std::string> arguments) const {
        std::vector<std::string> words{"EVAL",  std::string(kRemember) + std::string(body), "4", leases_, epochs_, memory_,
                                       wanted_, std::to_string(options_.lease_ms)};
        words.insert(words.end(), arguments);
        return words;
    }
    std::int64_t now_ns() const { return options_.clock->monotonic_ns(); }

    void report(bool held, ports::FenceTime fence_at, bool news = true) {
        if (news)
            log::write(held ? log::Level::info : log::Level::error, held ? "cluster.lease_held" : "cluster.lease_lost", {{"node", options_.node}});
        report_(held ? std::optional(fence_at) : std::nullopt);
    }

    // A node that stays behind an epoch waited for, for whatever cause (its PostgreSQL cannot be reached), lets its lease run out: it stops
    // delivering, and no revocation waits for it for ever.
    bool keeps_up(GovernanceEpoch epoch, std::uint64_t wanted, std::int64_t now) {
        if (wanted <= epoch.value)
            behind_since_ns_ = 0;
        else if (behind_since_ns_ == 0)
            behind_since_ns_ = now;
        return behind_since_ns_ == 0 || now - behind_since_ns_ < options_.lease_ms * kMsNs;
    }

    void renew_loop() {
        // Connecting and renewing take at most a quarter of the lease together, and the lease counts as lost after half of it, from before it was
        // asked for: even an attempt begun just before that ends while Redis still holds the lease.
        Connection connection(options_.host, options_.port, options_.lease_ms / 8);
        bool held = false;
        std::uint64_t wanted = 0;
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            const auto epoch = epoch_;
            dirty_ = false;
            lock.unlock();
            const auto asked_at = now_ns();
            const auto fence_at = fence_now() + milliseconds(options_.lease_ms - options_.lease_ms / 8);
            // Said before it is asked for again: a node that slept through its lease may hold it again at once, but not deliver what it had.
            if (held && asked_at >= lease_->until_ns) report(held = false, {});
            const bool follows = keeps_up(epoch, wanted, asked_at);
            const auto reply = connection.command(script(kRenew, {options_.node, std::to_string(epoch.value), follows ? "1" : "0", channel_}));
            const bool answered = reply && reply->type == REDIS_REPLY_INTEGER, renewed = answered && follows;
            if (answered) wanted = static_cast<std::uint64_t>(reply->integer);
            if (renewed) lease_->until_ns = asked_at + options_.lease_ms / 2 * kMsNs;
            const bool was_held = held;
            held = now_ns() < lease_->until_ns;
            if (held != was_held || (held && renewed)) report(held, fence_at, held != was_held);
            lock.lock();
            const auto pause = milliseconds(answered ? options_.lease_ms / 4 : options_.lease_ms / 16);
            wake_.wait_for(lock, pause, [&] { return stopping_ || (dirty_ && answered); });
        }
    }

    const ClusterOptions options_;
    const std::string leases_, epochs_, memory_, wanted_, channel_;
    const std::shared_ptr<ports::Lease> lease_ = std::make_shared<ports::Lease>();
    std::function<void(std::optional<ports::FenceTime>)> report_;
    std::int64_t behind_since_ns_ = 0;  // the renewer's
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
