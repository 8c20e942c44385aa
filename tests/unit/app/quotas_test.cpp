// Purses and what fills them: many who draw at a time never pass a limit, nothing drawn is lost, and what is not known is not delivered.
#include "server/app/quotas.h"

#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "base/usage_limits.h"
#include "tests/support/memory_quotas.h"
#include "tests/support/no_metrics.h"

using namespace licet;
using namespace licet::app;
using namespace licet::testing;
using metering::QuotaKind;
using metering::QuotaMetric;
using metering::QuotaPeriod;
using Short = QuotaPurse::Short;

namespace {

const ports::UsageOf kOf{{1}, {7}, {0}, {1}};

class StillClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {utc}; }
    std::int64_t monotonic_ns() const noexcept override { return ns; }
    std::atomic<std::int64_t> utc{1'795'000'000'000}, ns{5'000'000'000};
    void pass_ms(std::int64_t ms) {
        utc += ms;
        ns += ms * 1'000'000;
    }
};

ports::Contract contract(std::vector<ports::Quota> quotas, std::uint64_t events_per_second = 0) {
    ports::Contract out;
    out.no = {1};
    out.quota.quotas = std::move(quotas);
    out.quota.events_per_second = events_per_second;
    return out;
}
ports::Quota hard(std::uint64_t limit, QuotaMetric metric = QuotaMetric::events, QuotaPeriod period = QuotaPeriod::month) {
    return {metric, period, QuotaKind::hard, limit};
}

struct Node {
    explicit Node(const std::shared_ptr<MemoryBooks>& books, const std::string& name = "a", std::uint64_t boot = 1)
        : quotas({name, boot, std::make_shared<MemoryLeases>(books, name + "/" + std::to_string(boot)), ledger, clock, metrics,
                  [this](ContractNo, const QuotaPurse::Passed& p) {
                      const std::lock_guard lock(mutex);
                      passed.push_back(p.percent);
                  }}) {}
    // Until whoever waits was served.
    template <class Condition>
    void await(Condition met) {
        bool done = met();  // which may draw: asked no more often than need be
        for (int i = 0; i < 10'000 && !done; ++i) {
            clock->pass_ms(limits::quota_exchange_interval_ms);
            quotas.hurry();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            done = met();
        }
        REQUIRE(done);
    }
    std::shared_ptr<StillClock> clock = std::make_shared<StillClock>();
    std::shared_ptr<NoMetrics> metrics = std::make_shared<NoMetrics>();
    std::shared_ptr<MemoryQuotaLedger> ledger = std::make_shared<MemoryQuotaLedger>();
    std::mutex mutex;
    std::vector<int> passed;
    Quotas quotas;
};

QuotaPurse::Item item(Offset at, std::uint64_t bytes = 10, bool fresh = true) { return {at, bytes, fresh}; }

}  // namespace

TEST_CASE("purse: an offset is drawn once for all who write it, and given back by the last who did not") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(3)}));
    REQUIRE(node.quotas.await(*purse).ok());
    const auto draw = [&](std::vector<QuotaPurse::Item> items) { return purse->draw(kOf, items, node.clock->utc_now(), node.clock->monotonic_ns()); };
    Offset next = 0;
    node.await([&] {
        while (next < 3 && draw({item(next)}).items == 1) ++next;
        return next == 3;
    });
    CHECK(draw({item(3)}).why == Short::wait);
    // Another session writes the same three, and a replay of what is billed.
    CHECK(draw({item(0), item(1), item(2)}).items == 3);
    CHECK(draw({item(100, 10, false)}).items == 1);
    CHECK(draw({item(4)}).why == Short::wait);
    purse->wrote(kOf, std::vector{item(0), item(1)}, {{0, 2}});
    purse->wrote(kOf, std::vector{item(0), item(1)}, {});  // the other was second
    CHECK(purse->state(0)["used"] == 2);
    CHECK(draw({item(4)}).why == Short::wait);  // 2 is still under way
    purse->leave(kOf, std::vector{item(2)});
    CHECK(draw({item(4)}).why == Short::wait);
    purse->leave(kOf, std::vector{item(2)});
    node.await([&] { return draw({item(4)}).items == 1; });
    purse->wrote(kOf, std::vector{item(4)}, {{4, 5}});
    CHECK(purse->state(0)["remaining"] == 0);
    CHECK(purse->warnings() == 3);
    // Not before the ledger has confirmed it all.
    CHECK(draw({item(5)}).why == Short::wait);
    CHECK_FALSE(purse->exhausted(node.clock->utc_now()));
    node.ledger->bill("a", 1, 3, 30);
    node.await([&] { return draw({item(5)}).why == Short::exhausted; });
    node.await([&] { return purse->exhausted(node.clock->utc_now()); });
    CHECK(purse->retry_after_s(node.clock->utc_now()) > 86'400);
    node.await([&] {
        const std::lock_guard lock(node.mutex);
        return node.passed == std::vector{80, 100};
    });
}

TEST_CASE("purse: a replay that is paid counts for each who writes it, and is given back undelivered") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(4)}));
    REQUIRE(node.quotas.await(*purse).ok());
    const QuotaPurse::Item paid[] = {{0, 10, false, true}};
    const auto draw = [&] { return purse->draw(kOf, paid, node.clock->utc_now(), node.clock->monotonic_ns()).items == 1; };
    for (std::uint64_t n = 1; n <= 4; ++n) {
        node.await([&] { return draw(); });
        if (n == 2) {
            purse->leave(kOf, paid);
            node.await([&] { return draw(); });
        }
        purse->wrote(kOf, paid, {});
        CHECK(purse->state(0)["used"] == n);
    }
    CHECK_FALSE(draw());
}

TEST_CASE("quotas: what the ledger billed to another is given back, and what it billed before counts") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.ledger->bill("a", 1, 4, 0);         // this start, before the contract had a quota
    node.ledger->bill("b", 3, 90, 0, true);  // another node's
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(100)}));
    REQUIRE(node.quotas.await(*purse).ok());
    CHECK(purse->state(0)["used"] == 94);
    std::vector<QuotaPurse::Item> items;
    std::vector<metering::OffsetRange> all;
    Offset next = 0;
    const auto deliver = [&] {
        const QuotaPurse::Item one[] = {item(next)};
        if (purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns()).items == 0) return false;
        purse->wrote(kOf, one, {{next, next + 1}});
        ++next;
        return true;
    };
    node.await([&] {
        while (deliver()) {
        }
        return next == 6;
    });
    CHECK_FALSE(deliver());
    // Of the six, two were billed to the other node; now it is known.
    node.ledger->bill("a", 1, 8, 0, false, 2);
    node.await([&] {
        while (deliver()) {
        }
        return next == 8;
    });
    CHECK_FALSE(deliver());
    CHECK(purse->state(0)["used"] == 100);
}

TEST_CASE("quotas: unreachable books leave what is held; then hard quotas wait and soft ones go on") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.quotas.start();
    auto terms = contract({hard(1000), {QuotaMetric::bytes, QuotaPeriod::day, QuotaKind::soft, 50}});
    const auto purse = node.quotas.purse(terms);
    REQUIRE(node.quotas.await(*purse).ok());
    const auto draw = [&](Offset at) {
        const QuotaPurse::Item one[] = {item(at)};
        const auto drawn = purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns());
        if (drawn.items == 1) purse->wrote(kOf, one, {{at, at + 1}});
        return drawn.items == 1;
    };
    Offset next = 0;
    node.await([&] { return draw(next) && ++next == 1; });
    books->reachable = false;
    node.await([&] { return !purse->reachable(); });
    while (draw(next)) ++next;
    CHECK(next < 1000);
    CHECK(purse->warnings() == 3u << 2);  // the soft one is passed
    terms.quota.quotas.erase(terms.quota.quotas.begin());
    CHECK(node.quotas.purse(terms) == purse);
    for (int i = 0; i < 2000; ++i) CHECK(draw(next++));
    CHECK(purse->state(0)["used"] == next * 10);
    // A contract of which nothing was heard is not delivered.
    auto other = contract({hard(5)});
    other.no = {2};
    CHECK_FALSE(node.quotas.await(*node.quotas.purse(other)).ok());
    other.quota = {};
    CHECK(node.quotas.purse(other) == nullptr);
}

TEST_CASE("quotas: sessions of two nodes that draw, write and leave at random meet exactly at the limit") {
    const auto books = std::make_shared<MemoryBooks>();
    constexpr std::uint64_t kLimit = 3000;
    Node a(books, "a"), b(books, "b");
    std::atomic<std::uint64_t> delivered{0};
    std::vector<std::thread> sessions;
    std::atomic<bool> over{false};
    for (Node* node : {&a, &b}) {
        node->quotas.start();
        const auto purse = node->quotas.purse(contract({hard(kLimit)}));
        REQUIRE(node->quotas.await(*purse).ok());
        auto billed = std::make_shared<std::pair<std::mutex, metering::IntervalSet>>();
        for (unsigned s = 0; s < 4; ++s)
            sessions.emplace_back([&, node, purse, billed, s] {
                std::mt19937 random(s);
                Offset at = 0;
                while (!over) {
                    const Offset to = at + 1 + random() % 20;
                    std::vector<QuotaPurse::Item> items;
                    {
                        const std::lock_guard lock(billed->first);
                        for (Offset o = at; o < to; ++o) items.push_back({o, 10, !billed->second.contains(o)});
                    }
                    const auto drawn = purse->draw(kOf, items, node->clock->utc_now(), node->clock->monotonic_ns());
                    const std::size_t written = drawn.items == 0 ? 0 : random() % (drawn.items + 1);
                    if (written > 0) {
                        std::vector<metering::OffsetRange> fresh;
                        {
                            const std::lock_guard lock(billed->first);
                            billed->second.missing(at, at + written, fresh);
                            billed->second.add(at, at + written);
                        }
                        for (const auto& range : fresh) delivered += range.to - range.from;
                        purse->wrote(kOf, {items.data(), written}, fresh);
                        at += written;
                    }
                    purse->leave(kOf, {items.data() + written, drawn.items - written});
                    if (drawn.items == 0) {
                        node->quotas.hurry();
                        std::this_thread::yield();
                    }
                }
            });
    }
    a.await([&] {
        b.clock->pass_ms(limits::quota_exchange_interval_ms);
        b.quotas.hurry();
        CHECK(delivered <= kLimit);
        return delivered == kLimit;
    });
    for (int i = 0; i < 50; ++i) {
        a.clock->pass_ms(100);
        a.quotas.hurry();
        b.quotas.hurry();
        std::this_thread::yield();
    }
    over = true;
    for (auto& session : sessions) session.join();
    CHECK(delivered == kLimit);
}

TEST_CASE("purse: a new period begins anew, with what is under way; headers and states say what holds") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.clock->utc = parse_rfc3339("2026-11-30T23:59:59Z")->value;
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(2, QuotaMetric::events, QuotaPeriod::day)}, 50));
    REQUIRE(node.quotas.await(*purse).ok());
    CHECK(purse->headers(node.clock->utc_now()) ==
          "RateLimit-Policy: \"events-day\";q=2;qu=\"events\";w=86400, \"events-second\";q=50;qu=\"events\";w=1\r\nRateLimit: "
          "\"events-day\";r=2;t=1\r\n");
    const auto draw = [&](Offset at) {
        const QuotaPurse::Item one[] = {item(at)};
        return purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns()).items == 1;
    };
    CHECK_FALSE(draw(0));  // no tokens
    books->tokens = 1000;
    const auto hurried = [&](Offset at) {
        for (int i = 0; i < 10'000; ++i) {
            if (draw(at)) return true;
            node.quotas.hurry();
            node.clock->ns += 10'000'000;  // within the second
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    };
    REQUIRE(hurried(0));
    purse->wrote(kOf, std::vector{item(0)}, {{0, 1}});
    REQUIRE(hurried(1));
    node.clock->pass_ms(1000);
    CHECK(purse->state(0)["used"] == 1);
    REQUIRE(hurried(2));
    purse->wrote(kOf, std::vector{item(1), item(2)}, {{1, 3}});
    CHECK(purse->state(0)["used"] == 2);
    CHECK(purse->state(0)["resets"] == "2026-12-02T00:00:00.000Z");
    node.ledger->bill("a", 1, 2, 0);
    for (int i = 0; i < 50; ++i) CHECK_FALSE(draw(9));
}

TEST_CASE("quotas: a ledger that never answers holds up neither rates nor what was promised, and nothing is delivered of which it was not heard") {
    const auto books = std::make_shared<MemoryBooks>();
    books->tokens = 1'000'000;
    Node node(books);
    node.quotas.start();
    const auto counted = node.quotas.purse(contract({hard(1000)}));
    REQUIRE(node.quotas.await(*counted).ok());
    auto rated = contract({}, 50), fresh = contract({hard(5)});
    rated.no = {2};
    fresh.no = {3};
    const auto draw = [&](QuotaPurse& purse, Offset at) {
        const QuotaPurse::Item one[] = {item(at)};
        const auto drawn = purse.draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns());
        if (drawn.items == 1) purse.wrote(kOf, one, {{at, at + 1}});
        return drawn.items == 1;
    };
    Offset next = 0;
    node.await([&] { return draw(*counted, next) && ++next == 1; });
    node.ledger->hang(true);
    // It is asked, and waited for on no thread that anybody waits for.
    const auto unheard = node.quotas.purse(fresh);
    const auto purse = node.quotas.purse(rated);
    Offset rated_next = 0;
    node.await([&] {
        while (draw(*purse, rated_next)) ++rated_next;
        return rated_next >= 200;
    });
    // The books are there: they promise on, up to the limit and no further.
    node.await([&] {
        while (draw(*counted, next)) ++next;
        return next == 1000;
    });
    CHECK_FALSE(unheard->known());
    CHECK_FALSE(draw(*unheard, 0));
    node.ledger->hang(false);
    node.await([&] { return unheard->known(); });
    node.await([&] { return draw(*unheard, 0); });
    // One that fails is not asked by everybody who would ask.
    node.ledger->reachable = false;
    const int asked = node.ledger->asked;
    for (std::uint32_t no = 10; no < 60; ++no) {
        auto another = contract({hard(5)});
        another.no = {no};
        (void)node.quotas.purse(another);
    }
    node.await([&] { return node.ledger->asked > asked; });
    for (int i = 0; i < 20; ++i) {
        node.quotas.hurry();
        std::this_thread::yield();
    }
    CHECK(node.ledger->asked - asked < 10);
    node.ledger->reachable = true;
    node.await([&] { return node.quotas.known({59})->known(); });
}

TEST_CASE("quotas: a clock that is set over midnight and back finds its balance again, and nothing is drawn twice") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.clock->utc = parse_rfc3339("2026-11-30T12:00:00Z")->value;
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(20, QuotaMetric::events, QuotaPeriod::day)}));
    REQUIRE(node.quotas.await(*purse).ok());
    Offset next = 0;
    const auto deliver = [&] {
        const QuotaPurse::Item one[] = {item(next)};
        if (purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns()).items == 0) return false;
        purse->wrote(kOf, one, {{next, next + 1}});
        ++next;
        return true;
    };
    const auto deliver_until = [&](Offset end) {
        node.await([&] {
            while (next < end && deliver()) {
            }
            return next == end;
        });
    };
    deliver_until(12);
    const QuotaPurse::Item under_way[] = {item(100)};
    node.await([&] { return purse->draw(kOf, under_way, node.clock->utc_now(), node.clock->monotonic_ns()).items == 1; });
    node.clock->utc += 86'400'000;
    deliver_until(15);
    CHECK(purse->state(0)["used"] == 3);
    // Back: nothing of what was delivered is in the ledger yet, and 12 are used all the same.
    node.clock->utc -= 86'400'000;
    CHECK_FALSE(purse->exhausted(node.clock->utc_now()));
    purse->wrote(kOf, under_way, {{100, 101}});
    CHECK(purse->state(0)["used"] == 13);
    deliver_until(22);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(deliver());
    CHECK(purse->state(0)["used"] == 20);
    CHECK(purse->state(0)["resets"] == "2026-12-01T00:00:00.000Z");
    // Forward again: the other day's goes on, too.
    node.clock->utc += 86'400'000;
    deliver_until(39);
    CHECK(purse->state(0)["used"] == 20);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(deliver());
}

TEST_CASE("quotas: what was promised is not drawn on after the books may have been made anew without it") {
    const auto books = std::make_shared<MemoryBooks>();
    books->restating_ms = 60'000;
    Node node(books);
    node.quotas.start();
    const auto purse = node.quotas.purse(contract({hard(1000)}));
    REQUIRE(node.quotas.await(*purse).ok());
    const auto draw = [&](Offset at) {
        const QuotaPurse::Item one[] = {item(at)};
        return purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns()).items == 1;
    };
    Offset next = 0;
    node.await([&] { return draw(next) && ++next == 1; });
    books->reachable = false;
    for (int i = 0; i < 10'000 && purse->reachable(); ++i) {
        if (i < 20) node.clock->pass_ms(limits::quota_exchange_interval_ms);
        node.quotas.hurry();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    REQUIRE_FALSE(purse->reachable());
    CHECK(draw(next++));  // still held
    node.clock->pass_ms(books->restating_ms + 1);
    CHECK_FALSE(draw(next));
    CHECK_FALSE(purse->exhausted(node.clock->utc_now()));
    {
        // Meanwhile they were, and all of it is somebody else's.
        books->lose();
        const std::lock_guard lock(books->mutex);
        metering::QuotaBook book;
        book.settle("b/1", 998);
        books->books.emplace(
            MemoryBooks::name({{1}, QuotaMetric::events, QuotaKind::hard, metering::quota_span(QuotaPeriod::month, node.clock->utc_now())}), book);
    }
    books->reachable = true;
    node.await([&] { return purse->reachable() && purse->state(0)["used"] == 998; });
    for (int i = 0; i < 20; ++i) {
        node.clock->pass_ms(100);
        node.quotas.hurry();
        CHECK_FALSE(draw(next));
    }
}

TEST_CASE("quotas: a purse nobody holds goes after a while, when the ledger has confirmed it all, and is made anew from the books") {
    const auto books = std::make_shared<MemoryBooks>();
    Node node(books);
    node.quotas.start();
    auto purse = node.quotas.purse(contract({hard(100)}));
    REQUIRE(node.quotas.await(*purse).ok());
    const QuotaPurse::Item one[] = {item(0)};
    node.await([&] { return purse->draw(kOf, one, node.clock->utc_now(), node.clock->monotonic_ns()).items == 1; });
    purse->wrote(kOf, one, {{0, 1}});
    const auto rest_for = [&](std::int64_t ms) {
        for (; ms > 0; ms -= limits::quota_idle_interval_ms) {
            node.clock->pass_ms(limits::quota_idle_interval_ms);
            node.quotas.hurry();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    };
    purse.reset();
    rest_for(2 * limits::quota_purse_idle_ms);
    CHECK(node.quotas.known({1}) != nullptr);  // not confirmed
    node.ledger->bill("a", 1, 1, 10);
    purse = node.quotas.known({1});
    rest_for(2 * limits::quota_purse_idle_ms);
    CHECK(node.quotas.known({1}) == purse);  // held
    purse.reset();
    node.await([&] { return node.quotas.known({1}) == nullptr; });
    purse = node.quotas.purse(contract({hard(100)}));
    REQUIRE(node.quotas.await(*purse).ok());
    CHECK(purse->state(0)["used"] == 1);
    // Whoever was told of a threshold is not told again.
    auto small = contract({hard(1)});
    purse = node.quotas.purse(small);
    node.await([&] {
        const std::lock_guard lock(node.mutex);
        return node.passed == std::vector{80, 100};
    });
    purse.reset();
    rest_for(2 * limits::quota_purse_idle_ms);
    CHECK(node.quotas.known({1}) != nullptr);
}
