// Leases and acknowledgements against a real Redis, started and killed here.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "server/main/system_clock.h"
#include "server/redis/cluster.h"
#include "server/redis/connection.h"
#include "server/redis/fence.h"
#include "tests/integration/redis/server.h"

using namespace licet;
using namespace std::chrono_literals;

namespace {

// Remembers the last lease report and lets a test wait for one.
class Lease {
  public:
    std::function<void(std::optional<ports::FenceTime>)> reports() {
        return [this](std::optional<ports::FenceTime> until) {
            const std::lock_guard lock(mutex_);
            if (held_ && !until) ++lapses_;
            held_ = until.has_value();
            if (until) untils_.push_back(*until);
            changed_.notify_all();
        };
    }
    bool wait_for(bool held) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 20s, [&] { return held_ == held; });
    }

    // Waits until that many renewals were reported; how far each said the node may go on.
    std::vector<ports::FenceTime> wait_for_reports(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 20s, [&] { return untils_.size() >= count; });
        return untils_;
    }
    // Waits until it was reported lost, and held again after that, so often.
    bool wait_for_lapses(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 20s, [&] { return lapses_ >= count && held_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
    int lapses_ = 0;
    std::vector<ports::FenceTime> untils_;
};

// Of a node that was stopped for a while.
class JumpingClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return real_.utc_now(); }
    std::int64_t monotonic_ns() const noexcept override { return real_.monotonic_ns() + ahead_ns; }
    std::atomic<std::int64_t> ahead_ns{0};

  private:
    SystemClock real_;
};

std::shared_ptr<ports::Cluster> node(const RedisServer& server, const std::string& name, int lease_ms = 1000) {
    return redis::make_cluster({"127.0.0.1", server.port, "eu", name, lease_ms, std::make_shared<SystemClock>()});
}
using Names = std::vector<std::string>;

// Whether the barrier comes to wait for exactly these: a new Redis is distrusted for one lease first.
bool comes_to_wait_for(ports::Cluster& cluster, GovernanceEpoch epoch, const Names& names) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < deadline)
        if (const auto outstanding = cluster.await(epoch, 500); outstanding && outstanding->outstanding == names) return true;
    return false;
}

}  // namespace

TEST_CASE("a barrier waits for every live node of the region and for no other") {
    RedisServer server;
    Lease a_lease, b_lease;
    const auto a = node(server, "a", 3000), b = node(server, "b", 3000);  // no lease may lapse on a busy machine
    a->start(a_lease.reports());
    b->start(b_lease.reports());
    REQUIRE(a_lease.wait_for(true));
    REQUIRE(b_lease.wait_for(true));
    a->acknowledge({7});
    CHECK(comes_to_wait_for(*a, {7}, {"b"}));
    std::thread later([&] { b->acknowledge({8}); });
    CHECK(a->await({7}, 10'000)->outstanding.empty());
    later.join();
    CHECK(comes_to_wait_for(*a, {9}, {"a", "b"}));
    b->stop();
    a->acknowledge({9});
    CHECK(a->await({9}, 10'000)->outstanding.empty());
    a->stop();
}

TEST_CASE("a node that cannot renew stops, the barrier says so, and a Redis without memory is not trusted for one lease") {
    RedisServer server;
    Lease lease;
    const auto a = node(server, "a");
    a->start(lease.reports());
    REQUIRE(lease.wait_for(true));
    a->acknowledge({1});
    CHECK(a->await({1}, 10'000)->outstanding.empty());
    server.kill();
    CHECK(lease.wait_for(false));
    CHECK_FALSE(a->await({1}, 200).ok());
    server.start();
    CHECK(lease.wait_for(true));
    CHECK(a->await({1}, 100)->outstanding == Names{"*"});
    CHECK(a->await({1}, 10'000)->outstanding.empty());
    a->stop();
}

TEST_CASE("a Redis that remembers what it was like some time ago is trusted no more than one that remembers nothing") {
    RedisServer server;
    Lease lease;
    const auto a = node(server, "a", 3000);
    a->start(lease.reports());
    REQUIRE(lease.wait_for(true));
    a->acknowledge({1});
    CHECK(a->await({1}, 10'000)->outstanding.empty());
    // As a file written long ago left it: renewals of an earlier run are known of, and no lease.
    redis::Connection copy("127.0.0.1", server.port, 1000);
    REQUIRE(copy.command({"HSET", "licet:eu:memory", "run", "00ff", "since", "1000"}));
    REQUIRE(copy.command({"DEL", "licet:eu:leases"}));
    CHECK(a->await({2}, 100)->outstanding == Names{"*"});
    CHECK(comes_to_wait_for(*a, {2}, {"a"}));
    a->stop();
}

TEST_CASE("a Redis whose clock was set, or that nobody called for a while, is not trusted for one lease") {
    RedisServer server;
    Lease lease;
    const auto a = node(server, "a", 3000);
    a->start(lease.reports());
    REQUIRE(lease.wait_for(true));
    a->acknowledge({1});
    CHECK(a->await({1}, 10'000)->outstanding.empty());
    redis::Connection redis("127.0.0.1", server.port, 1000);
    const auto time = redis.command({"TIME"});
    REQUIRE(time);
    const auto now_ms = std::stoll(std::string(time->element[0]->str)) * 1000;
    for (const auto seen : {now_ms - 60'000, now_ms + 60'000}) {
        // What the scripts saw last is as far from now as the clock was set.
        REQUIRE(redis.command({"HSET", "licet:eu:memory", "seen", std::to_string(seen)}));
        CHECK(a->await({2}, 100)->outstanding == Names{"*"});
        CHECK(comes_to_wait_for(*a, {2}, {"a"}));
    }
    a->stop();
}

TEST_CASE("a node that stays behind an epoch waited for lets its lease run out, and has it again when it has followed") {
    RedisServer server;
    Lease a_lease, b_lease;
    const auto a = node(server, "a"), b = node(server, "b");
    a->start(a_lease.reports());
    b->start(b_lease.reports());
    REQUIRE(a_lease.wait_for(true));
    REQUIRE(b_lease.wait_for(true));
    a->acknowledge({5});
    CHECK(a->await({5}, 20'000)->outstanding.empty());
    CHECK(b_lease.wait_for(false));
    CHECK(a->await({5}, 20'000)->acknowledged == Names{"a"});
    b->acknowledge({5});
    CHECK(b_lease.wait_for(true));
    a->stop();
    b->stop();
}

TEST_CASE("a lease that lapsed is reported lost, also when Redis renews it at the first call") {
    RedisServer server;
    Lease lease;
    const auto clock = std::make_shared<JumpingClock>();
    const auto a = redis::make_cluster({"127.0.0.1", server.port, "eu", "a", 2000, clock});
    a->start(lease.reports());
    REQUIRE(lease.wait_for(true));
    for (int times = 1; times <= 5; ++times) {
        clock->ahead_ns += 3'000'000'000;
        CHECK(lease.wait_for_lapses(times));
    }
    a->stop();
}

TEST_CASE("each renewal says until when the node may go on, well within what Redis keeps of the lease") {
    RedisServer server;
    Lease lease;
    const auto a = node(server, "a");
    const auto before = redis::fence_now();
    a->start(lease.reports());
    const auto untils = lease.wait_for_reports(3);
    REQUIRE(untils.size() >= 3);
    CHECK(untils[0] >= before + 875ms);
    CHECK(untils[0] <= redis::fence_now() + 875ms);
    CHECK(untils[1] > untils[0]);
    CHECK(untils[2] > untils[1]);
    a->stop();
}

TEST_CASE("a process stopped beyond its fence is ended, and one whose fence was lifted is not") {
    for (const bool lifted : {false, true}) {
        CAPTURE(lifted);
        const pid_t child = fork();
        if (child == 0) {
            const auto fence = redis::make_fence();
            if (!fence) _exit(3);
            (*fence)->set(redis::fence_now() + 200ms);
            if (lifted) (*fence)->lift();
            ::raise(SIGSTOP);
            _exit(0);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, WUNTRACED) == child);
        if (WIFSTOPPED(status)) {
            if (lifted) ::kill(child, SIGCONT);
            REQUIRE(waitpid(child, &status, 0) == child);
        }
        CHECK(WIFSIGNALED(status) == !lifted);
        if (!lifted) CHECK(WTERMSIG(status) == SIGKILL);
    }
}

TEST_CASE("a fence set to a moment gone by ends the process") {
    const pid_t child = fork();
    if (child == 0) {
        const auto fence = redis::make_fence();
        if (fence) (*fence)->set(redis::fence_now() - 1s);
        for (;;) ::pause();
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
}

TEST_CASE("a node alone is its own barrier") {
    const auto alone = redis::make_single_node("solo");
    Lease lease;
    alone->start(lease.reports());
    CHECK(lease.wait_for(true));
    CHECK(alone->await({3}, 10)->outstanding == Names{"solo"});
    alone->acknowledge({3});
    CHECK(alone->await({3}, 10)->outstanding.empty());
}
