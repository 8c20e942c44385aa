// Books of quotas in a real Redis, started and killed here: the scripts do what metering/quota.h does, two who race never pass a limit, and what
// Redis forgot is made anew from the ledger's word and what nodes still hold.
#include "server/redis/quotas.h"

#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>

#include "metering/rate_limit.h"
#include "server/main/system_clock.h"
#include "tests/integration/redis/server.h"

using namespace licet;
using namespace licet::metering;
using ports::QuotaKey;
using ports::QuotaPart;

namespace {

const QuotaSpan kSpan{"2099-01", *parse_rfc3339("2099-01-01T00:00:00Z"), *parse_rfc3339("2099-02-01T00:00:00Z")};

QuotaKey key(std::uint32_t contract, QuotaMetric metric = QuotaMetric::events) { return {{contract}, metric, QuotaKind::hard, kSpan}; }

std::shared_ptr<ports::QuotaLeases> node(const RedisServer& server, const std::string& who, int lease_ms = 1) {
    return redis::make_quota_leases({"127.0.0.1", server.port, "eu", who, lease_ms});
}

QuotaPart part(const std::string& name, std::uint64_t boot, std::uint64_t billed, bool ended) {
    QuotaPart out;
    out.node = name;
    out.boot = boot;
    out.billed_events = out.billed_bytes = billed;
    out.ended = ended;
    return out;
}

// Asks as app::Quotas does, until it is answered.
QuotaAnswer ask(ports::QuotaLeases& leases, const QuotaKey& of, const QuotaStand& stand, std::uint64_t limit,
                const std::vector<QuotaPart>& others = {}) {
    for (;;) {
        const auto answer = leases.exchange(of, stand, limit);
        if (!answer) continue;
        if (*answer) return (*answer)->book;
        (void)leases.open(of, others);
    }
}

void meet(ports::QuotaLeases& leases, const QuotaKey& of, QuotaShare& share, const std::vector<QuotaPart>& others = {}) {
    const auto said = share.stand();
    share.answered(said, ask(leases, of, said, share.limit(), others));
}

// Until a loss is no longer so recent that nobody is promised more.
void await_memory(const RedisServer& server) {
    const auto probe = node(server, "probe/1");
    REQUIRE(probe->remember().ok());
    QuotaShare share(1);
    do {
        (void)share.claim(1);
        meet(*probe, key(999), share);
    } while (share.ceiling() == 0);
}

// Draws one at a time until nothing is left; returns how many.
std::uint64_t drain(ports::QuotaLeases& leases, const QuotaKey& of, std::uint64_t limit, std::atomic<std::uint64_t>& total) {
    QuotaShare share(limit);
    std::uint64_t mine = 0;
    meet(leases, of, share);
    while (!share.exhausted(1)) {
        while (share.claim(1)) {
            CHECK(++total <= limit);
            share.post(1);
            ++mine;
        }
        meet(leases, of, share);
    }
    return mine;
}

}  // namespace

TEST_CASE("quotas: the script answers what the book does, whatever is said in whatever order") {
    RedisServer server;
    await_memory(server);
    for (unsigned seed = 1; seed <= 40; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random); };
        const std::uint64_t limit = seed % 5 == 0 ? 999'999'999'999'999 : 1 + pick(1000);
        const auto of = key(seed, seed % 2 == 0 ? QuotaMetric::events : QuotaMetric::bytes);
        QuotaBook book;
        const std::vector<QuotaPart> before{part("old", 1, pick(limit / 10 + 1), true)};
        book.settle("old/1", before[0].billed_events);
        std::vector<std::shared_ptr<ports::QuotaLeases>> nodes;
        std::vector<std::uint64_t> used(3);
        for (const char* who : {"a/1", "b/1", "c/7"}) nodes.push_back(node(server, who));
        REQUIRE(nodes[0]->open(of, before).ok());
        REQUIRE(nodes[1]->open(of, {part("nobody", 9, 5, true)}).ok());  // somebody was faster
        for (int step = 0; step < 60; ++step) {
            const auto i = pick(3);
            const std::string who = i == 0 ? "a/1" : i == 1 ? "b/1" : "c/7";
            if (pick(15) == 0) {
                book.settle(who, used[i]);
                REQUIRE(nodes[pick(3)]->settle(of, {part(who.substr(0, 1), i == 2 ? 7 : 1, used[i], true)}).ok());
            }
            used[i] += pick(limit / 50 + 2);
            // Late and repeated words, too.
            const QuotaStand stand{pick(40), used[i], pick(used[i] + 1), pick(limit), used[i] + pick(limit / 4 + 1)};
            CHECK(ask(*nodes[i], of, stand, limit) == book.exchange(who, stand, limit));
        }
    }
}

TEST_CASE("quotas: clients that race meet exactly at the limit") {
    RedisServer server;
    await_memory(server);
    for (const std::uint64_t limit : {1u, 7u, 5000u}) {
        const auto of = key(static_cast<std::uint32_t>(limit));
        std::atomic<std::uint64_t> total{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                const auto leases = node(server, "n" + std::to_string(i) + "/1");
                (void)drain(*leases, of, limit, total);
            });
        for (auto& thread : threads) thread.join();
        CHECK(total == limit);
    }
}

TEST_CASE("quotas: what Redis forgot is made anew, and nobody is promised what another still holds") {
    RedisServer server;
    const auto a = node(server, "a/1", 2000), b = node(server, "b/1", 2000);
    REQUIRE(a->remember().ok());
    QuotaShare has(100), wants(100);
    while (!has.claim(60)) meet(*a, key(1), has);
    has.post(10);
    for (const bool restart : {false, true}) {
        if (restart) {
            server.kill();
            CHECK_FALSE(a->exchange(key(1), has.stand(), 100).ok());
            CHECK_FALSE(a->take({1}, QuotaMetric::events, 10, 1).ok());
            server.start();
        } else {
            redis::Connection admin("127.0.0.1", server.port, 1000);
            REQUIRE(admin.command({"FLUSHALL"}));
        }
        // B comes first, with what the ledger knows of A: less than A used.
        CHECK_FALSE(wants.claim(50));
        meet(*b, key(1), wants, {part("a", 1, 5, false)});
        CHECK(wants.ceiling() == 0);
        meet(*a, key(1), has);
        CHECK(has.ceiling() >= 60);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (!wants.claim(40)) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            CHECK_FALSE(wants.claim(50));
            meet(*a, key(1), has);
            meet(*b, key(1), wants);
        }
        CHECK(wants.claimed() == 40);
        CHECK_FALSE(wants.claim(1));
        CHECK(has.used() + has.claimed() + wants.claimed() == 100);
        wants.give_back(40);
        meet(*b, key(1), wants);
        meet(*b, key(1), wants);
        CHECK(wants.ceiling() == 0);
    }
}

TEST_CASE("quotas: a start that is not heard of any more is in doubt, until the ledger has the last word") {
    RedisServer server;
    await_memory(server);
    const auto dead = node(server, "dead/1"), alive = node(server, "alive/1");
    QuotaShare lost(10), rest(10);
    while (!lost.claim(8)) meet(*dead, key(1), lost);
    for (bool doubt = false; !doubt;) {
        const auto said = rest.stand();
        auto answer = alive->exchange(key(1), said, 10);
        REQUIRE(answer.ok());
        rest.answered(said, (*answer)->book);
        doubt = (*answer)->doubt;
        CHECK_FALSE(rest.claim(3));
    }
    REQUIRE(alive->settle(key(1), {part("dead", 1, 6, true)}).ok());
    CHECK_FALSE(rest.claim(4));
    meet(*alive, key(1), rest);
    CHECK(rest.claim(4));
    CHECK(rest.used_by_all() == 6);
    const auto said = rest.stand();
    CHECK_FALSE((*alive->exchange(key(1), said, 10))->doubt);
}

TEST_CASE("quotas: a rate is shared by all who ask, and no more than it is given") {
    RedisServer server;
    std::atomic<std::uint64_t> had{0};
    constexpr std::uint64_t kRate = 2000;
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    std::vector<std::uint64_t> each(3);
    for (std::size_t i = 0; i < each.size(); ++i)
        threads.emplace_back([&, i] {
            const auto leases = node(server, "n" + std::to_string(i) + "/1");
            while (had < 3 * kRate) {
                const auto given = leases->take({5}, QuotaMetric::bytes, kRate, 100);
                REQUIRE(given.ok());
                each[i] += *given;
                had += *given;
            }
        });
    for (auto& thread : threads) thread.join();
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    CHECK(static_cast<double>(had.load()) <= kRate * (seconds + 1) + 1);
    for (const auto mine : each) CHECK(mine > 0);
}

TEST_CASE("quotas: a node alone keeps books of its own, opened with the ledger's word") {
    const auto alone = redis::make_single_node_quota_leases("a/2", std::make_shared<SystemClock>());
    CHECK_FALSE((*alone->exchange(key(1), {1, 0, 0, 0, 5}, 10)).has_value());
    REQUIRE(alone->open(key(1), {part("a", 1, 7, true)}).ok());
    REQUIRE(alone->open(key(1), {part("a", 1, 9, true)}).ok());
    QuotaShare share(10);
    CHECK_FALSE(share.claim(3));
    meet(*alone, key(1), share);
    CHECK(share.claim(3));
    CHECK_FALSE(share.claim(1));
    CHECK(share.used_by_all() == 7);
    CHECK(*alone->take({1}, QuotaMetric::events, 10, 100) == 5);
}
