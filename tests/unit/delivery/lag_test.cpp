// What a contract has done about a stream that falls behind by its own slowness: it waits, is closed, or is sent the latest of each partition key.
#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

using Then = ports::LagLimits::Then;

constexpr std::size_t kBig = 30'000;

// At the head, having read the only event there is.
std::unique_ptr<Peer> at_head(Node& node, const Wanted& wanted) {
    auto peer = node.connect(wanted);
    node.quiet();
    const auto n = node.append(1);
    await_event(node, *peer, n);
    return peer;
}

Wanted slow_one(WireFormat format = WireFormat::websocket_json, bool records = false) {
    Wanted wanted;
    wanted.format = format;
    wanted.records = records;
    wanted.send_buffer = 4096;
    return wanted;
}

void closed_where_it_was(Node& node, Wanted wanted, Peer& slow, std::uint64_t last) {
    await_end(node, slow);
    CHECK(slow.close_code == 4408);
    CHECK(slow.close_cursor == slow.last_cursor());
    CHECK(slow.events().back().n < last);
    wanted.start = StartAt::cursor;
    wanted.cursor = slow.close_cursor;
    auto again = node.connect(wanted);
    await_event(node, *again, last);
    CHECK(numbers(*again) == range(slow.events().back().n + 1, last + 1));
}

}  // namespace

TEST_CASE("lag: a stream more events behind than its contract allows is closed with 4408 and its cursor, at most so many are not") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse})
        for (const bool records : {false, true}) {
            Node node;
            node.limit_lag({0, 20, 0, Then::close});
            const auto wanted = slow_one(format, records);
            auto slow = at_head(node, wanted);
            node.append(20, "", kBig);
            node.quiet();
            node.await_look();
            node.await_look();
            CHECK(node.metrics->at("licet_stream_sessions").value == 1);
            node.append(1, "", kBig);
            node.quiet();
            node.await_look();
            closed_where_it_was(node, wanted, *slow, 21);
        }
}

TEST_CASE("lag: bytes not yet written") {
    Node node;
    node.limit_lag({10 * kBig, 0, 0, Then::close});
    auto slow = at_head(node, slow_one());
    node.append(9, "", kBig);
    node.quiet();
    node.await_look();
    node.await_look();
    CHECK(node.metrics->at("licet_stream_sessions").value == 1);
    node.append(3, "", kBig);
    node.quiet();
    node.await_look();
    closed_where_it_was(node, slow_one(), *slow, 12);
}

TEST_CASE("lag: who is overrun by the live tape is past any limit of bytes, and no tick is waited for") {
    Node node;
    node.limit_lag({limits::tape_max_bytes, 0, 0, Then::close});
    auto slow = at_head(node, slow_one());
    for (std::size_t i = 0; i < 10; ++i) {
        node.append(40, "", kBig);
        node.turn();
    }
    closed_where_it_was(node, slow_one(), *slow, 400);
}

TEST_CASE("lag: the age of what comes next, without the time in which the node delivered to nobody") {
    Node node;
    node.limit_lag({0, 0, 30'000, Then::close});
    auto slow = at_head(node, slow_one());
    node.append(5, "", kBig);
    node.quiet();
    node.await_tick();
    node.clock->advance_ms(29'000);
    node.await_tick();
    node.await_tick();
    slow->read(10'000);  // else it would be stalled
    node.quiet();
    node.delivery->set_delivering(false);
    node.await_tick();
    node.clock->advance_ms(25'000);
    node.await_tick();
    node.delivery->set_delivering(true);
    node.await_tick();
    slow->read(10'000);
    node.quiet();
    node.clock->advance_ms(30'000);
    node.await_tick();
    node.await_tick();
    CHECK(node.metrics->at("licet_stream_sessions").value == 1);
    node.clock->advance_ms(1'000);
    node.await_tick();
    closed_where_it_was(node, slow_one(), *slow, 5);
}

TEST_CASE("lag: whose peer does not read at all is reset") {
    Node node;
    node.limit_lag({0, 1, 0, Then::close});
    auto slow = at_head(node, slow_one());
    node.append(5, "", kBig);
    node.quiet();
    node.await_tick();
    CHECK(node.metrics->at("licet_stream_sessions").value == 1);
    node.clock->advance_ms(limits::stalled_write_timeout_ms + 1);
    node.await("it to be cut off", [&] { return node.metrics->at("licet_stream_sessions").value == 0; });
    await_end(node, *slow);
    CHECK_FALSE(slow->close_code);
}

TEST_CASE("lag: a replay is exempt until it has been at the head; without limits, or told to wait, a stream goes on") {
    Node node;
    node.limit_lag({1, 1, 1000, Then::close});
    node.append(100, "", kBig);
    auto wanted = slow_one();
    wanted.start = StartAt::earliest;
    auto replay = node.connect(wanted);
    for (int i = 0; i < 3; ++i) {
        replay->read(kBig);
        node.quiet();
        node.clock->advance_ms(5'000);
        node.await_tick();
    }
    await_event(node, *replay, 99);
    CHECK(replay->events().size() == 100);
    node.quiet();
    node.append(10, "", kBig);
    node.quiet();
    node.await_look();
    await_end(node, *replay);
    CHECK(replay->close_code == 4408);

    node.limit_lag({1, 1, 1000, Then::wait});
    auto patient = at_head(node, slow_one());
    node.append(10, "", kBig);
    node.quiet();
    node.await_look();
    node.await_look();
    await_event(node, *patient, 120);
    CHECK(numbers(*patient) == range(110, 121));
}

namespace {

// What was appended, by offset: its key.
struct Keyed {
    Node& node;
    std::vector<std::string> keys{};
    void append(const std::string& key, std::size_t padding = kBig) {
        node.partition_key = key;
        REQUIRE(node.append(1, "", padding) == keys.size());
        keys.push_back(key);
    }
    // In order, nothing lost but what a later event of its key stands for, and that is said.
    void check(const std::vector<Event>& got) const {
        std::set<std::uint64_t> have;
        std::map<std::string, std::uint64_t> last;
        std::uint64_t left_out = 0;
        for (const auto& e : got) {
            CHECK((have.empty() || e.n > *have.rbegin()));
            have.insert(e.n);
            left_out += e.conflated;
            if (!keys[e.n].empty()) last[keys[e.n]] = e.n;
        }
        for (std::uint64_t n = 0; n < keys.size(); ++n) {
            if (have.contains(n)) continue;
            CHECK_FALSE(keys[n].empty());
            CHECK(last[keys[n]] > n);
        }
        CHECK(got.size() + left_out == keys.size());
    }
};

}  // namespace

TEST_CASE("lag: conflated, a stream is sent the latest of each key and all that has none, says what that stands for, and is billed for what it got") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::websocket_json_deflate, WireFormat::sse})
        for (const bool records : {false, true}) {
            Node node;
            node.limit_lag({0, 50, 0, Then::conflate});
            Keyed log{node};
            auto slow = node.connect(slow_one(format, records));
            node.quiet();
            log.append("");
            await_event(node, *slow, 0);
            for (int i = 0; i < 400; ++i) {
                log.append(i % 10 == 9 ? "" : "key " + std::to_string(i * i % 7));
                if (i % 20 == 0) node.turn();
            }
            node.quiet();
            node.await_tick();
            await_event(node, *slow, 400);
            CHECK(slow->events().size() < 150);
            log.check(slow->events());
            // At the head again, it is a stream like any other.
            node.quiet();
            const auto so_far = slow->events().size();
            for (int i = 0; i < 5; ++i) log.append("key 1", 0);
            await_event(node, *slow, 405);
            CHECK(slow->events().size() == so_far + 5);
            log.check(slow->events());
            MemoryJournal::Sum received;
            for (const auto& e : slow->events()) {
                ++received.events;
                received.bytes += e.data_bytes;
            }
            node.await("the journal", [&] { return node.journal->delivered({1}).events >= received.events; });
            CHECK(node.journal->delivered({1}) == received);
        }
}

TEST_CASE("lag: a conflated stream that breaks off anywhere goes on by its cursor without repeating or losing the latest of a key") {
    for (std::size_t stop = 1; stop < 12; ++stop) {
        Node node;
        node.limit_lag({0, 10, 0, Then::conflate});
        Keyed log{node};
        auto wanted = slow_one();
        auto slow = node.connect(wanted);
        node.quiet();
        log.append("");
        await_event(node, *slow, 0);
        for (int i = 0; i < 60; ++i) log.append(i % 6 == 5 ? "" : std::string(1, static_cast<char>('a' + i % 4)));
        node.quiet();
        node.await_tick();
        node.await("some events", [&] {
            slow->read(kBig);
            return slow->events().size() > stop;
        });
        auto got = slow->events();
        wanted.start = StartAt::cursor;
        wanted.cursor = got.back().cursor;
        slow.reset();
        auto again = node.connect(wanted);
        await_event(node, *again, 60);
        got.insert(got.end(), again->events().begin(), again->events().end());
        std::map<std::string, std::uint64_t> last;
        for (std::size_t i = 0; i < got.size(); ++i) {
            CHECK((i == 0 || got[i].n > got[i - 1].n));
            last[log.keys[got[i].n]] = got[i].n;
        }
        std::size_t without = 0;
        for (const auto& e : got) without += log.keys[e.n].empty();
        CHECK(without == static_cast<std::size_t>(std::count(log.keys.begin(), log.keys.end(), "")));
        for (std::uint64_t n = 0; n < log.keys.size(); ++n) CHECK(last[log.keys[n]] >= n);
    }
}

TEST_CASE("lag: more keys than a pass holds are sent in several, each whole") {
    Node node;
    node.limit_lag({0, 100, 0, Then::conflate});
    Keyed log{node};
    auto slow = node.connect(slow_one());
    node.quiet();
    log.append("");
    await_event(node, *slow, 0);
    for (std::size_t i = 0; i < 2 * limits::conflation_keys_max + 100; ++i) {
        log.append("key " + std::to_string(i), i == 0 ? kBig : 1000);
        if (i % 100 == 0) node.turn();
    }
    node.quiet();
    node.await_tick();
    await_event(node, *slow, log.keys.size() - 1);
    CHECK(slow->events().size() == log.keys.size());
    log.check(slow->events());
}

TEST_CASE("lag: when the latest of a key is withheld after all, the one before it is sent") {
    Node node;
    for (const char* who : {"ada", "bob"}) node.consent(who, true);
    node.limit_lag({0, 2, 0, Then::conflate});
    auto slow = at_head(node, slow_one());
    node.append(2, "", 100'000);  // 1, 2
    node.partition_key = "k";
    node.append(1, "bob");  // 3
    node.append(1, "ada");  // 4, instead of 3
    node.quiet();
    node.await_tick();
    node.await("the first to be through", [&] {
        slow->read(10'000);
        return slow->events().size() == 2;
    });
    node.quiet();
    node.withdraw("ada");
    node.partition_key = "";
    node.append(1);  // 5
    await_event(node, *slow, 5);
    CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 2, 3, 5});
}
