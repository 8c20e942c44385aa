// What a contract's quotas and rates let through: to the event, whatever connects, replays, breaks off or does not read; and what subscribers are
// told.
#include "base/usage_limits.h"
#include "server/stream/delivery/allowance.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;
using metering::QuotaKind;
using metering::QuotaMetric;
using metering::QuotaPeriod;

namespace {

ports::QuotaTerms hard(std::uint64_t limit, QuotaMetric metric = QuotaMetric::events) {
    ports::QuotaTerms out;
    out.quotas = {{metric, QuotaPeriod::month, QuotaKind::hard, limit}};
    return out;
}

// The ledger has all that was journaled.
void settle(Node& node) {
    const auto sum = node.journal->delivered({1});
    node.quota_ledger->bill("node", 1, sum.events, sum.bytes);
}

template <class Condition>
void await_served(Node& node, const char* what, Condition met) {
    node.await(what, [&] {
        node.clock->advance_ms(1);
        settle(node);
        return met();
    });
}

std::set<std::uint64_t> distinct(const std::vector<std::unique_ptr<Peer>>& peers) {
    std::set<std::uint64_t> out;
    for (const auto& peer : peers)
        for (const auto& e : peer->events()) out.insert(e.n);
    return out;
}

constexpr std::array kFormats{WireFormat::websocket_json, WireFormat::sse, WireFormat::websocket_json_deflate, WireFormat::websocket_protobuf};

}  // namespace

TEST_CASE("quota: streams of a contract are delivered exactly its limit, then end with 4429, the cursor and both warnings") {
    for (const auto format : kFormats) {
        Node node(2);
        node.limit(hard(50));
        std::vector<std::unique_ptr<Peer>> peers;
        Wanted wanted;
        wanted.format = format;
        for (std::size_t i = 0; i < 6; ++i) {
            wanted.shard = i % 2;
            peers.push_back(node.connect(wanted));
        }
        node.quiet();
        for (int i = 0; i < 20; ++i) {
            node.append(4, i % 3 == 0 ? "unasked" : "");
            node.turn();
        }
        await_served(node, "the ends", [&] {
            bool all = true;
            for (auto& peer : peers) {
                peer->read();
                all = all && peer->ended();
            }
            return all;
        });
        CHECK(distinct(peers).size() == 50);
        await_served(node, "the journal", [&] { return node.journal->delivered({1}).events == 50; });
        for (const auto& peer : peers) {
            CHECK(peer->close_code == 4429);
            CHECK(peer->events().size() == 50);
            CHECK(peer->close_cursor.size() == stream::kCursorText);
            REQUIRE_FALSE(peer->quota_warnings.empty());
            const auto& last = peer->quota_warnings.back();
            CHECK(peer->quota_warnings.size() <= 2);
            CHECK(last["type"] == "quota");
            CHECK(last["remaining"] == 0);
            CHECK(last["limit"] == 50);
            CHECK(last["kind"] == "hard");
        }
        await_served(node, "the ledger's word", [&] { return node.quotas->known({1})->exhausted(node.clock->utc_now()); });
        // Nothing more opens, and a page says so.
        Wanted again;
        again.format = WireFormat::ndjson;
        again.start = StartAt::earliest;
        again.open = false;
        auto refused = node.connect(again);
        await_served(node, "a refusal", [&] { return !node.handed.empty(); });
        REQUIRE(node.handed.back().error);
        CHECK(node.handed.back().error->code == Errc::quota_exhausted);
        const auto members = json::parse(node.handed.back().error->members);
        CHECK(members["retryAfter"] > 1);
        // What the head of a page would have said.
        REQUIRE(members["headers"].size() == 2);
        CHECK(members["headers"][0][0] == "RateLimit-Policy");
        CHECK(members["headers"][0][1].get<std::string>().starts_with("\"events-month\";q=50;"));
        CHECK(members["headers"][1][0] == "RateLimit");
        CHECK(members["headers"][1][1].get<std::string>().starts_with("\"events-month\";r=0;t="));
        // More is allowed: it goes on from the cursor.
        node.limit(hard(60));
        Wanted on;
        on.start = StartAt::cursor;
        on.cursor = peers[0]->close_cursor;
        auto more = node.connect(on);
        await_served(node, "the rest", [&] {
            more->read();
            return !more->events().empty() && more->events().back().n == 79;
        });
        CHECK(more->events().size() == 2);
        await_served(node, "the journal", [&] { return node.journal->delivered({1}).events == 52; });
    }
}

TEST_CASE("quota: bytes are counted as billed, and what does not fit whole is not begun") {
    Node node;
    node.append(10);
    Wanted wanted;
    wanted.format = WireFormat::sse;
    wanted.start = StartAt::earliest;
    wanted.contract = 2;
    auto measured = node.connect(wanted);
    await_event(node, *measured, 9);
    std::uint64_t seven = 0;
    for (std::size_t i = 0; i < 7; ++i) seven += measured->events()[i].data_bytes;
    node.limit(hard(seven + 3, QuotaMetric::bytes));
    wanted.contract = 1;
    auto peer = node.connect(wanted);
    await_served(node, "the end", [&] {
        peer->read();
        return peer->ended();
    });
    CHECK(peer->events().size() == 7);
    CHECK(peer->close_code == 4429);
    await_served(node, "the journal", [&] { return node.journal->delivered({1}).bytes == seven; });
}

TEST_CASE("quota: a subscriber that does not read holds no more than the frame it is in") {
    for (const bool records : {false, true}) {
        Node node;
        node.limit(hard(30));
        Wanted slow;
        slow.records = records;
        slow.send_buffer = 4096;
        auto stuck = node.connect(slow);
        node.quiet();
        node.append(29, "", 20'000);
        await_served(node, "a first event under way", [&] { return stuck->written() > 1000; });
        for (int i = 0; i < 50; ++i) node.turn();
        // Another takes all there is, but for what the first was begun with.
        Wanted wanted;
        wanted.start = StartAt::earliest;
        auto peer = node.connect(wanted);
        await_served(node, "the others", [&] {
            peer->read();
            return !peer->events().empty() && peer->events().back().n == 28;
        });
        CHECK(peer->events().size() == 29);
        node.append(5);
        await_served(node, "the end", [&] {
            peer->read();
            return peer->ended();
        });
        CHECK(peer->close_code == 4429);
        CHECK(peer->events().size() == 30);
        await_served(node, "the journal", [&] { return node.journal->delivered({1}).events == 30; });
    }
}

TEST_CASE("quota: replays of what was billed cost nothing") {
    Node node;
    node.limit(hard(20));
    node.append(20);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    for (const auto format : {WireFormat::ndjson, WireFormat::websocket_json}) {
        wanted.format = format;
        auto page = node.connect(wanted);
        await_served(node, "all of them", [&] {
            page->read();
            return page->events().size() == 20;
        });
        if (format == WireFormat::ndjson) {
            CHECK(page->head().find("RateLimit: \"events-month\";r=") != std::string::npos);
            node.limit(hard(21));  // one more, or nothing new would open
        }
    }
    await_served(node, "the journal", [&] { return node.journal->delivered({1}).events == 20; });
}

TEST_CASE("quota: a page is cut to what is left, and goes on from its cursor") {
    Node node;
    node.limit(hard(7));
    node.append(12);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    for (const auto format : {WireFormat::batch_json}) {
        wanted.format = format;
        std::vector<std::uint64_t> had;
        for (int pages = 0; had.size() < 7; ++pages) {
            REQUIRE(pages < 10);
            auto page = node.connect(wanted);
            await_served(node, "a page", [&] {
                page->read();
                return page->pages == 1;
            });
            for (const auto n : numbers(*page)) had.push_back(n);
            wanted.start = StartAt::cursor;
            wanted.cursor = page->page_cursor;
        }
        CHECK(had == range(0, 7));
        wanted.open = false;
        auto refused = node.connect(wanted);
        await_served(node, "a refusal", [&] { return !node.handed.empty() && node.handed.back().error; });
        CHECK(node.handed.back().error->code == Errc::quota_exhausted);
    }
}

TEST_CASE("rate: a stream waits, loses nothing, and goes on as fast as it may") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse}) {
        Node node;
        ports::QuotaTerms terms;
        terms.events_per_second = 10;
        node.limit(terms);
        Wanted wanted;
        wanted.format = format;
        auto peer = node.connect(wanted);
        node.quiet();
        node.append(40);
        for (int i = 0; i < 50; ++i) node.turn();
        peer->read();
        CHECK(peer->events().empty());
        for (std::uint64_t given = 10; given <= 40; given += 10) {
            node.books->tokens = 10;
            node.await("what the tokens are for", [&] {
                peer->read();
                return peer->events().size() == given;
            });
            for (int i = 0; i < 50; ++i) node.turn();
            peer->read();
            CHECK(peer->events().size() == given);
        }
        CHECK(numbers(*peer) == range(0, 40));
        CHECK_FALSE(peer->close_code);
    }
}

TEST_CASE("quota: a soft one lets all through and says when it is passed; a contract without limits has no purse") {
    Node node;
    ports::QuotaTerms terms;
    terms.quotas = {{QuotaMetric::events, QuotaPeriod::day, QuotaKind::soft, 10}};
    node.limit(terms);
    Wanted wanted;
    wanted.format = WireFormat::sse;
    auto peer = node.connect(wanted);
    node.quiet();
    for (int i = 0; i < 15; ++i) {
        node.append(1);
        node.quiet();
    }
    node.await("the last event and the last warning", [&] {
        peer->read();
        return peer->events().size() == 15 && peer->quota_warnings.size() == 2;
    });
    CHECK(peer->quota_warnings[0]["percent"] == 80);
    CHECK(peer->quota_warnings[1]["percent"] == 100);
    CHECK(peer->quota_warnings[1]["kind"] == "soft");
    CHECK_FALSE(peer->close_code);
    node.limit({});
    CHECK(node.quotas->purse(node.configuration.contracts[0]) == nullptr);
    node.append(5);
    await_event(node, *peer, 19);
    CHECK(peer->quota_warnings.size() == 2);
}

TEST_CASE("quota: while the books cannot be reached, what is held is used up and a hard quota stops there") {
    Node node;
    node.limit(hard(1000));
    Wanted wanted;
    auto peer = node.connect(wanted);
    node.quiet();
    node.append(10);
    await_served(node, "some", [&] {
        peer->read();
        return peer->events().size() == 10;
    });
    node.books->reachable = false;
    node.append(500);
    for (int i = 0; i < 200; ++i) {
        node.clock->advance_ms(1);
        node.turn();
    }
    peer->read();
    const auto held = peer->events().size();
    CHECK(held < 510);
    CHECK_FALSE(peer->close_code);
    node.books->reachable = true;
    await_served(node, "all of it", [&] {
        peer->read();
        return peer->events().size() == 510;
    });
    CHECK(numbers(*peer) == range(0, 510));
}
