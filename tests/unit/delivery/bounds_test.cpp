// Bounds: how far a subscriber may fall behind, how long a node may keep it waiting, and what it is told then.
#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

TEST_CASE("a subscriber that takes no byte for too long is cut off, and resumes by its cursor") {
    for (const bool records : {false, true}) {
        Node node;
        Wanted wanted;
        wanted.records = records;
        wanted.send_buffer = 4096;
        auto peer = node.connect(wanted);
        node.quiet();
        node.append(1);
        await_event(node, *peer, 0);
        node.append(2, "", 50'000);
        node.quiet();
        node.clock->advance_ms(limits::stalled_write_timeout_ms);
        node.await_tick();
        CHECK(node.metrics->at("licet_stream_sessions").value == 1);
        const auto written = peer->written();
        node.clock->advance_ms(1000);  // each is looked at once a second
        node.await("it to be cut off", [&] { return node.metrics->at("licet_stream_sessions").value == 0; });
        await_end(node, *peer);
        CHECK(peer->written() == written);
        wanted.start = StartAt::cursor;
        wanted.cursor = peer->last_cursor();
        auto again = node.connect(wanted);
        await_event(node, *again, 2);
        CHECK(numbers(*again) == range(1, 3));
    }
}

TEST_CASE("a subscriber slower than the stream for too long is closed with 4408 and its cursor, and misses nothing by it") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse})
        for (const bool records : {false, true}) {
            Node node;
            Wanted wanted;
            wanted.format = format;
            wanted.records = records;
            wanted.send_buffer = 4096;
            auto slow = node.connect(wanted);
            node.quiet();
            node.append(1);
            await_event(node, *slow, 0);
            node.append(600, "", 30'000);
            node.quiet();
            // It takes bytes all the time, so it is not stalled; it is never at the head.
            const int step = limits::stalled_write_timeout_ms / 2;
            for (int ms = 0; ms <= limits::subscriber_lag_max_ms && !slow->close_code; ms += step) {
                slow->read(40'000);
                node.quiet();
                node.clock->advance_ms(step);
            }
            CHECK_FALSE(slow->close_code);
            node.await_tick();  // one may find it waiting for the log
            node.await_tick();
            await_end(node, *slow);
            CHECK(slow->close_code == 4408);
            CHECK(slow->close_cursor == slow->last_cursor());
            CHECK(slow->events().size() < 60);
            wanted.start = StartAt::cursor;
            wanted.cursor = slow->close_cursor;
            auto again = node.connect(wanted);
            await_event(node, *again, 600);
            CHECK(slow->events().size() + again->events().size() == 601);
        }
}

TEST_CASE("a replay may take its time: it was never at the head") {
    Node node;
    node.append(600, "", 30'000);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    wanted.send_buffer = 4096;
    auto slow = node.connect(wanted);
    node.quiet();
    const int step = limits::stalled_write_timeout_ms / 2;
    for (int ms = 0; ms <= 2 * limits::subscriber_lag_max_ms; ms += step) {
        slow->read(20'000);
        node.quiet();
        node.clock->advance_ms(step);
    }
    node.await_tick();
    CHECK_FALSE(slow->close_code);
    await_event(node, *slow, 599);
    CHECK(slow->events().size() == 600);
}

TEST_CASE("a WebSocket that gives no sign after a ping is ended; a pong, or anything else, is one") {
    Node node;
    auto silent = node.connect({}), alive = node.connect({});
    node.quiet();
    for (int pings = 1; pings <= 4 && !silent->ended(); ++pings) {
        node.clock->advance_ms(limits::heartbeat_interval_ms);
        node.await("a ping", [&] {
            silent->read();
            alive->read();
            return alive->pings == pings;
        });
        alive->send("\x8a\x80\x01\x02\x03\x04");
        node.quiet();
    }
    await_end(node, *silent);
    CHECK(silent->pings == 3);
    CHECK_FALSE(silent->close_code);
    CHECK_FALSE(alive->ended());
}

TEST_CASE("a subscriber overtaken by retention is told so with 4410 and where it was") {
    Node node;
    Wanted wanted;
    wanted.send_buffer = 4096;
    auto slow = node.connect(wanted);
    node.quiet();
    const std::size_t events = 2 * limits::tape_max_bytes / 100'000;
    for (std::size_t i = 0; i < events; ++i) {
        node.append(1, "", 100'000);
        node.turn();
    }
    node.log->drop_below(events - 2);
    await_end(node, *slow);
    CHECK(slow->close_code == 4410);
    CHECK(slow->close_cursor == slow->last_cursor());
    wanted.start = StartAt::cursor;
    wanted.cursor = slow->close_cursor;
    auto again = node.connect(wanted);
    node.await("a refusal", [&] { return !node.handed.empty(); });
    CHECK(node.handed[0].error->code == Errc::gone);
}

TEST_CASE("a log that cannot be read ends a catch-up with 1011, and nobody else's stream") {
    Node node;
    node.append(2);
    auto live = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *live, 2);
    node.log->fail_reads = true;
    Wanted wanted;
    wanted.start = StartAt::earliest;
    auto replay = node.connect(wanted);
    await_end(node, *replay);
    CHECK(replay->close_code == 1011);
    CHECK(next_of(node, replay->close_cursor) == 0);
    node.append(1);
    await_event(node, *live, 3);
}

TEST_CASE("who comes before a node has its first lease waits for it") {
    Node node;
    node.delivery->set_delivering(false);
    const auto n = node.append(1);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    wanted.open = false;
    auto peer = node.connect(wanted);
    node.quiet();
    CHECK(node.handed.empty());
    CHECK(peer->written() == 0);
    node.delivery->set_delivering(true);
    await_event(node, *peer, n);
    CHECK(node.handed.empty());

    Node other;
    other.delivery->set_delivering(false);
    auto in_vain = other.connect({});
    other.await("a refusal", [&] { return !other.handed.empty(); });
    CHECK(other.handed[0].error->code == Errc::unavailable);
}

TEST_CASE("a node that may not deliver writes no event until it may, refuses who comes, and lets go after a while") {
    Node node;
    Wanted wanted;
    auto websocket = node.connect(wanted);
    wanted.format = WireFormat::sse;
    auto sse = node.connect(wanted);
    node.quiet();
    node.delivery->set_delivering(false);
    node.append(3);
    node.quiet();
    websocket->read();
    sse->read();
    CHECK(websocket->events().empty());
    CHECK(sse->events().empty());
    wanted.contract = 2;
    auto refused = node.connect(wanted);
    node.await("a refusal", [&] { return !node.handed.empty(); });
    CHECK(node.handed[0].error->code == Errc::unavailable);
    // A pause that ends in time is no loss.
    node.await_tick();
    node.clock->advance_ms(limits::delivery_pause_max_ms);
    node.await_tick();
    node.delivery->set_delivering(true);
    await_event(node, *websocket, 2);
    await_event(node, *sse, 2);
    node.await_tick();
    node.delivery->set_delivering(false);
    node.append(1);
    node.quiet();
    node.await_tick();
    node.clock->advance_ms(limits::delivery_pause_max_ms + 1);
    await_end(node, *websocket);
    await_end(node, *sse);
    CHECK(websocket->close_code == 1013);
    CHECK(next_of(node, websocket->close_cursor) == 3);
    CHECK(sse->close_code == 1013);
    CHECK(sse->close_cursor == sse->last_cursor());
    CHECK(websocket->events().size() == 3);
}

TEST_CASE("a flood of pings that cannot be answered ends the stream") {
    Node node;
    Wanted wanted;
    wanted.send_buffer = 4096;
    auto peer = node.connect(wanted);
    node.quiet();
    node.append(1, "", 100'000);
    node.quiet();
    std::string flood;
    for (int i = 0; i < 100; ++i) flood += "\x89\xfd" + std::string(4, '\0') + std::string(125, 'p');
    for (std::size_t sent = 0; sent < 2 * limits::client_message_max_bytes; sent += flood.size()) {
        peer->send(flood);
        node.quiet();
        if (node.metrics->at("licet_stream_sessions").value == 0) break;
    }
    CHECK(node.metrics->at("licet_stream_sessions").value == 0);
}
