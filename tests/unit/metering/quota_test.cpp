// Quotas drawn on by many at once: never more than the limit, nothing lost by void, lost or late exchanges, and the last one is had by somebody.
#include "metering/quota.h"

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <vector>

#include "metering/charges.h"
#include "metering/rate_limit.h"

using namespace licet;
using namespace licet::metering;

namespace {

UtcMillis at(const char* text) { return *parse_rfc3339(text); }

// One exchange that arrives.
void meet(QuotaBook& book, const std::string& who, QuotaShare& share) {
    const auto said = share.stand();
    share.answered(said, book.exchange(who, said, share.limit()));
}

}  // namespace

TEST_CASE("spans of quotas are UTC days and months, half-open") {
    CHECK(quota_span(QuotaPeriod::day, at("2026-11-21T23:59:59.999Z")) ==
          QuotaSpan{"2026-11-21", at("2026-11-21T00:00:00Z"), at("2026-11-22T00:00:00Z")});
    CHECK(quota_span(QuotaPeriod::day, at("2026-11-22T00:00:00Z")).name == "2026-11-22");
    CHECK(quota_span(QuotaPeriod::month, at("2026-12-31T23:59:59Z")) == QuotaSpan{"2026-12", at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")});
    CHECK(quota_span(QuotaPeriod::month, at("2028-02-29T12:00:00Z")) == QuotaSpan{"2028-02", at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z")});
    CHECK(quota_span(QuotaPeriod::month, at("2026-02-01T00:00:00Z")).until == at("2026-03-01T00:00:00Z"));
}

TEST_CASE("a share draws what it was promised and no more") {
    QuotaBook book;
    QuotaShare share(10);
    CHECK_FALSE(share.claim(1));
    CHECK_FALSE(share.known());
    CHECK_FALSE(share.exhausted(1));
    meet(book, "a/1", share);
    CHECK(share.ceiling() == 1);
    CHECK(share.claim(1));
    CHECK_FALSE(share.claim(3));
    share.post(1);
    meet(book, "a/1", share);
    CHECK(share.claim(3));
    share.give_back(3);
    CHECK(share.used() == 1);
    // Void: what is not drawn on comes down with the second exchange.
    meet(book, "a/1", share);
    meet(book, "a/1", share);
    CHECK(share.ceiling() == 1);
    QuotaShare other(10);
    CHECK_FALSE(other.claim(9));
    meet(book, "b/1", other);
    CHECK(other.claim(9));
    other.post(9);
    meet(book, "b/1", other);
    meet(book, "a/1", share);
    CHECK(share.exhausted(1));
    CHECK(share.tight());
    CHECK_FALSE(share.claim(1));
    // What the ledger billed to nobody was not used.
    other.settled(5, 4);
    CHECK(other.used() == 5);
    CHECK(other.unsettled() == 0);
    meet(book, "b/1", other);
    CHECK_FALSE(share.claim(4));
    meet(book, "a/1", share);
    CHECK_FALSE(share.exhausted(1));
    CHECK(share.claim(4));
}

TEST_CASE("what a start of a node held stays promised until the ledger has the last word") {
    QuotaBook book;
    QuotaShare dead(100), alive(100);
    CHECK_FALSE(dead.claim(60));
    meet(book, "a/1", dead);
    CHECK(dead.claim(60));
    dead.post(20);
    CHECK_FALSE(alive.claim(41));
    meet(book, "b/1", alive);
    CHECK_FALSE(alive.claim(41));  // 60 are promised
    CHECK(alive.claim(40));
    CHECK_FALSE(alive.exhausted(41));  // they may come back
    book.settle("a/1", 25);
    CHECK_FALSE(alive.claim(35));
    meet(book, "b/1", alive);
    CHECK(alive.claim(35));
    CHECK_FALSE(alive.claim(1));
    // A word of a start that has ended says nothing any more.
    const auto late = book.exchange("a/1", {9, 60, 0, 60, 60}, 100);
    CHECK(late.used == 25);
}

TEST_CASE("a lost book is made anew by those who hold something, before anyone is promised more") {
    QuotaShare a(10), b(10);
    {
        QuotaBook lost;
        CHECK_FALSE(a.claim(6));
        meet(lost, "a/1", a);
        CHECK(a.claim(6));
    }
    QuotaBook book;
    CHECK_FALSE(b.claim(6));
    auto said = b.stand();
    b.answered(said, book.exchange("b/1", said, 10, true));
    CHECK_FALSE(b.claim(1));
    said = a.stand();
    a.answered(said, book.exchange("a/1", said, 10, true));
    CHECK(a.ceiling() >= 6);
    CHECK_FALSE(b.claim(6));
    meet(book, "b/1", b);
    CHECK_FALSE(b.claim(5));
    CHECK(b.claim(4));
}

TEST_CASE("model: nodes that draw, deliver, give back, lose answers and come late never pass the limit, and reach it") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random); };
        const std::uint64_t limit = 1 + pick(seed % 3 == 0 ? 20 : 2000);
        struct Node {
            std::string who;
            QuotaShare share;
            std::uint64_t claimed = 0, used = 0;
        };
        QuotaBook book;
        std::vector<Node> nodes;
        for (std::uint64_t i = 0; i < 1 + seed % 4; ++i) nodes.push_back({"n" + std::to_string(i) + "/1", QuotaShare(limit)});
        std::deque<std::pair<std::string, QuotaStand>> under_way;  // arrives late, or never
        const auto total = [&] {
            std::uint64_t sum = 0;
            for (const auto& n : nodes) sum += n.claimed + n.used;
            return sum;
        };
        for (int step = 0; step < 400; ++step) {
            Node& n = nodes[pick(nodes.size())];
            switch (pick(6)) {
                case 0:
                case 1:
                    if (const auto want = 1 + pick(1 + limit / 10); n.share.claim(want)) n.claimed += want;
                    break;
                case 2:
                    if (const auto some = pick(n.claimed + 1); some > 0) {
                        n.share.post(some);
                        n.claimed -= some;
                        n.used += some;
                    }
                    break;
                case 3:
                    if (const auto some = pick(n.claimed + 1); some > 0) {
                        n.share.give_back(some);
                        n.claimed -= some;
                    }
                    break;
                case 4: {
                    const auto said = n.share.stand();
                    const auto fate = pick(4);
                    if (fate == 0) {
                        under_way.emplace_back(n.who, said);  // asked, timed out
                    } else {
                        const auto answer = book.exchange(n.who, said, limit);
                        if (fate > 1) n.share.answered(said, answer);  // else the answer is lost
                    }
                    break;
                }
                default:
                    if (!under_way.empty()) {
                        const auto one = under_way.begin() + static_cast<std::ptrdiff_t>(pick(under_way.size()));
                        (void)book.exchange(one->first, one->second, limit);
                        under_way.erase(one);
                    }
            }
            REQUIRE(total() <= limit);
            for (const auto& x : nodes) REQUIRE(x.share.used() == x.used);
        }
        // In the end everyone delivers what they can, one by one: the limit is met exactly.
        for (int round = 0; round < 4000 && total() < limit; ++round) {
            Node& n = nodes[pick(nodes.size())];
            if (n.claimed > 0) {
                n.share.post(n.claimed);
                n.used += std::exchange(n.claimed, 0);
            }
            while (n.share.claim(1)) {
                n.share.post(1);
                ++n.used;
            }
            meet(book, n.who, n.share);
            REQUIRE(total() <= limit);
        }
        for (auto& n : nodes) {
            n.share.post(n.claimed);
            n.used += std::exchange(n.claimed, 0);
            meet(book, n.who, n.share);
        }
        CHECK(total() == limit);
        for (auto& n : nodes) meet(book, n.who, n.share);
        for (const auto& n : nodes) CHECK(n.share.exhausted(1));
    }
}

TEST_CASE("a limit that is lowered holds at once, and what is left of it is shared out as before") {
    QuotaBook book;
    QuotaShare share(1000);
    CHECK_FALSE(share.claim(1));
    meet(book, "a/1", share);
    CHECK(share.ceiling() == 125);
    REQUIRE(share.claim(40));
    const auto before = share.stand();  // under way with the higher limit
    share.limit(50);
    CHECK_FALSE(share.claim(1));
    share.answered(before, book.exchange("a/1", before, 1000));
    CHECK_FALSE(share.claim(1));  // the book's old promise is not drawn on
    CHECK(share.hungry());
    meet(book, "a/1", share);
    CHECK(share.ceiling() == 40);
    CHECK_FALSE(share.claim(10));
    meet(book, "a/1", share);
    CHECK(share.claim(10));
    CHECK_FALSE(share.claim(1));
    // Raised: what is held goes on.
    share.limit(2000);
    meet(book, "a/1", share);
    CHECK(share.claim(1));
}

TEST_CASE("model: however many nodes hold something of the higher limit, they do not pass the lower one together") {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random); };
        struct Node {
            std::string who;
            QuotaShare share;
            std::uint64_t drawn = 0;
        };
        const std::uint64_t high = 10'000, low = 1 + pick(3'000);
        QuotaBook book;
        std::vector<Node> nodes;
        for (std::uint64_t i = 0; i < 12 + pick(20); ++i) nodes.push_back({"n" + std::to_string(i) + "/1", QuotaShare(high)});
        const auto total = [&] {
            std::uint64_t sum = 0;
            for (const auto& n : nodes) sum += n.drawn;
            return sum;
        };
        const auto step = [&](Node& n) {
            if (pick(3) == 0) {
                const auto said = n.share.stand();
                const auto answer = book.exchange(n.who, said, n.share.limit());
                if (pick(4) > 0) n.share.answered(said, answer);
            } else if (const auto want = 1 + pick(40); n.share.claim(want)) {
                n.drawn += want;
                if (pick(2) == 0) n.share.post(want);
            }
        };
        while (total() < low / 2) step(nodes[pick(nodes.size())]);
        const auto at = total();
        for (auto& n : nodes) n.share.limit(low);
        for (int i = 0; i < 2000; ++i) {
            step(nodes[pick(nodes.size())]);
            REQUIRE(total() <= std::max(low, at));
        }
        for (int round = 0; round < 4000 && total() < low; ++round) {
            Node& n = nodes[pick(nodes.size())];
            if (n.share.claim(1)) ++n.drawn;
            meet(book, n.who, n.share);
        }
        CHECK(total() == std::max(low, at));
    }
}

TEST_CASE("a span that is over and then is not: what was drawn is counted where it is delivered, and nothing is drawn twice") {
    QuotaBook book;
    QuotaShare share(10);
    share.need(6);
    meet(book, "a/1", share);
    REQUIRE(share.claim(6));
    share.post(4);
    CHECK(share.pass() == 2);
    CHECK_FALSE(share.claim(1));
    meet(book, "a/1", share);
    CHECK(share.ceiling() == 4);
    share.reopen(2);
    CHECK(share.used() == 4);
    CHECK_FALSE(share.claim(1));
    share.need(4);
    meet(book, "a/1", share);
    CHECK(share.claim(4));
    CHECK_FALSE(share.claim(1));
}

TEST_CASE("charges: an offset is drawn once, and given back by the last who leaves it undelivered") {
    Charges charges;
    CHECK_FALSE(charges.join(7));
    charges.drawn(7, 100);
    CHECK(charges.join(7));
    CHECK_FALSE(charges.leave(7));
    CHECK(charges.join(7));
    CHECK(charges.delivered(7) == 100);
    CHECK_FALSE(charges.delivered(7));
    CHECK_FALSE(charges.leave(7));
    CHECK_FALSE(charges.leave(7));
    CHECK(charges.size() == 0);
    charges.drawn(8, 5);
    CHECK(charges.leave(8) == 5);
    CHECK_FALSE(charges.leave(8));
    CHECK_FALSE(charges.delivered(8));
}

TEST_CASE("a bucket gives its rate over any time, and a second's worth after a pause") {
    TokenBucket bucket(100);
    CHECK(bucket.take(1000, 100, 5'000'000) == 50);
    CHECK(bucket.take(1000, 100, 5'000'000) == 25);
    CHECK(bucket.take(10, 100, 5'000'000) == 10);
    CHECK(bucket.take(0, 100, 4'000'000) == 0);  // back
    CHECK(bucket.tokens() == 15);
    for (unsigned seed = 1; seed <= 50; ++seed) {
        std::mt19937 random(seed);
        const std::uint64_t rate = 1 + random() % (seed % 2 == 0 ? 50 : 10'000'000);
        TokenBucket b(rate);
        std::int64_t now = 0;
        std::uint64_t had = 0;
        for (int i = 0; i < 5000; ++i) {
            now += random() % 3000;
            had += b.take(random() % (rate + 1), rate, now);
            // Never more than the second's worth it began with and what has grown since.
            REQUIRE(had * 1'000'000 <= rate * 1'000'000 + rate * static_cast<std::uint64_t>(now));
        }
        // Whoever keeps asking has it all.
        while (b.take(rate, rate, now) > 0) {
        }
        const auto start = now;
        std::uint64_t grown = 0;
        for (int i = 0; i < 10'000; ++i) grown += b.take(rate, rate, now += 1000);
        const auto whole = rate * static_cast<std::uint64_t>(now - start) / 1'000'000;
        CHECK(grown + rate / 100 + 2 >= whole);
        CHECK(grown <= whole + 1);
    }
}
