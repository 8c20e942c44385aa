// Streams: where they begin, what they carry, where they end, and what passes between frames.
#include "base/limits.h"
#include "server/stream/delivery/deflate.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

std::string masked(unsigned char head, const std::string& payload) {
    return std::string{static_cast<char>(head), static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0} + payload;
}

const WireFormat kStreams[] = {WireFormat::websocket_json, WireFormat::websocket_protobuf, WireFormat::sse};

}  // namespace

TEST_CASE("a live stream carries what comes, in order, redacted, each event with the cursor after it") {
    for (const auto format : kStreams)
        for (const bool records : {false, true}) {
            Node node;
            node.append(3);
            Wanted wanted;
            wanted.format = format;
            wanted.records = records;
            auto peer = node.connect(wanted);
            node.quiet();
            for (int i = 0; i < 5; ++i) node.append(1 + static_cast<std::size_t>(i));
            await_event(node, *peer, 17);
            CHECK(numbers(*peer) == range(3, 18));
            for (const auto& e : peer->events()) CHECK(e.cursor == cursor_at(node, e.n + 1));
            CHECK(peer->plain().find("someone@") == std::string::npos);
            CHECK(peer->plain().find("[EMAIL_ADDRESS]") != std::string::npos);
            CHECK(peer->plain().find("datasubject") == std::string::npos);
            CHECK(peer->head().starts_with(format == WireFormat::sse ? "HTTP/1.1 200" : "HTTP/1.1 101"));
            if (format == WireFormat::sse) CHECK(peer->plain().find("retry: " + std::to_string(limits::sse_retry_ms)) != std::string::npos);
            if (format != WireFormat::sse) CHECK(peer->head().find("\r\nSec-WebSocket-Accept: accept\r\n") != std::string::npos);
        }
}

TEST_CASE("a stream begins at the earliest event, after a cursor, or at a time") {
    Node node;
    node.append(10);
    node.clock->advance_ms(5000);
    const UtcMillis later = node.clock->utc_now();
    node.append(10);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    auto all = node.connect(wanted);
    await_event(node, *all, 19);
    CHECK(numbers(*all) == range(0, 20));
    for (const auto format : kStreams)
        for (const std::size_t i : {0u, 7u, 18u}) {
            wanted.format = format;
            wanted.start = StartAt::cursor;
            wanted.cursor = all->events()[i].cursor;
            auto rest = node.connect(wanted);
            await_event(node, *rest, 19);
            CHECK(numbers(*rest) == range(i + 1, 20));
        }
    wanted.cursor = all->events().back().cursor;
    auto none = node.connect(wanted);
    node.quiet();
    none->read();
    CHECK(none->events().empty());
    node.append(1);
    await_event(node, *none, 20);
    CHECK(numbers(*none) == range(20, 21));
    wanted.start = StartAt::since;
    wanted.since = later;
    auto since = node.connect(wanted);
    await_event(node, *since, 20);
    CHECK(numbers(*since) == range(10, 21));
    wanted.since = {later.value + 1};
    auto future = node.connect(wanted);
    node.quiet();
    node.append(1);
    await_event(node, *future, 21);
    CHECK(numbers(*future) == range(21, 22));
}

TEST_CASE("a cursor of another product, of another log, past the end or no longer kept is refused before anything is written") {
    Node node;
    node.append(10);
    node.log->drop_below(4);
    const auto refused = [&](std::string cursor) {
        Wanted wanted;
        wanted.start = StartAt::cursor;
        wanted.cursor = std::move(cursor);
        auto peer = node.connect(wanted);
        node.await("a refusal", [&] { return !node.handed.empty(); });
        const auto handed = std::move(node.handed.back());
        node.handed.clear();
        REQUIRE(handed.connection);
        REQUIRE(handed.error);
        CHECK(peer->written() == 0);
        return handed.error->code;
    };
    const auto sealed = [&](ProductNo product, StreamEpoch epoch, Offset next) {
        std::string out(stream::kCursorText, '\0');
        REQUIRE(stream::seal_cursor(*node.siv, {product, {0}, epoch, next}, out.data()));
        return out;
    };
    CHECK(refused("nonsense") == Errc::invalid_cursor);
    CHECK(refused(sealed({8}, {1}, 5)) == Errc::invalid_cursor);
    CHECK(refused(sealed(kProduct, {2}, 5)) == Errc::gone);
    CHECK(refused(sealed(kProduct, {1}, 3)) == Errc::gone);
    CHECK(refused(sealed(kProduct, {1}, 11)) == Errc::invalid_cursor);
    auto forged = sealed(kProduct, {1}, 5);
    forged[3] = forged[3] == 'A' ? 'B' : 'A';
    CHECK(refused(forged) == Errc::invalid_cursor);
    CHECK(node.journal->of({1}, ports::UsageKind::intent).empty());
}

TEST_CASE("`until` ends a stream at the first event accepted then, or when the time has come") {
    for (const auto format : kStreams) {
        Node node;
        node.append(4);
        node.clock->advance_ms(1000);
        const UtcMillis until = node.clock->utc_now();
        node.append(4);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        wanted.until = until;
        auto past = node.connect(wanted);
        await_end(node, *past);
        CHECK(numbers(*past) == range(0, 4));
        CHECK(past->close_code == 1000);
        CHECK(next_of(node, past->close_cursor) == 4);

        wanted.start = StartAt::latest;
        wanted.until = {node.clock->utc_now().value + 5000};
        auto future = node.connect(wanted);
        node.quiet();
        node.append(2);
        await_event(node, *future, 9);
        node.clock->advance_ms(5000);
        node.append(3);
        await_end(node, *future);
        CHECK(numbers(*future) == range(8, 10));
        CHECK(future->close_code == 1000);

        wanted.until = {node.clock->utc_now().value + 5000};
        auto quiet = node.connect(wanted);
        node.quiet();
        // What was accepted before may still be on its way to the disk.
        node.log->unsettled_since = wanted.until.value - 1;
        node.clock->advance_ms(6000);
        node.await_look();
        quiet->read();
        CHECK_FALSE(quiet->ended());
        node.log->unsettled_since = INT64_MAX;
        node.await_look();
        await_end(node, *quiet);
        CHECK(quiet->close_code == 1000);
        CHECK(quiet->events().empty());
    }
}

TEST_CASE("control frames are answered between events; what is no ack and nonsense end the stream") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    peer->send(masked(0x89, "are you there"));
    node.await("a pong", [&] {
        peer->read();
        return peer->plain().find("are you there") != std::string::npos;
    });
    node.append(1);
    await_event(node, *peer, 0);
    peer->send(masked(0x88, "\x03\xe8"));
    await_end(node, *peer);
    CHECK(peer->close_code == 1000);
    const auto ack = [](const std::string& cursor) { return masked(0x81, R"({"ack":")" + cursor + R"("})"); };
    for (const auto& [bytes, code] : {std::pair{masked(0x81, "hi"), 1003},
                                      {masked(0x82, R"({"ack":")" + cursor_at(node, 1) + R"("})"), 1003},
                                      {masked(0x81, R"({"ack":1})"), 1003},
                                      {masked(0x81, R"({"ack":"x","more":1})"), 1003},
                                      {ack("nothing of ours"), 1003},
                                      {ack(cursor_at(node, 2)), 1003},  // not sent yet
                                      {masked(0x81, "\xff"), 1007},
                                      {masked(0xc1, "hi"), 1002},
                                      {masked(0x83, ""), 1002},
                                      {masked(0x88, "\x03\xe8\xff"), 1007}}) {
        auto bad = node.connect({});
        node.quiet();
        bad->send(bytes);
        await_end(node, *bad);
        CHECK(bad->close_code == code);
        CHECK(next_of(node, bad->close_cursor) == 1);
    }
    CHECK(node.metrics->at("licet_stream_sessions").value == 0);
}

TEST_CASE("where compression was agreed on the same events come, compressed once for all, and messages from the subscriber may be") {
    Node node;
    Wanted wanted;
    wanted.format = WireFormat::websocket_json_deflate;
    auto first = node.connect(wanted), second = node.connect(wanted);
    auto plain = node.connect({});
    node.quiet();
    for (int i = 0; i < 5; ++i) node.append(3);
    for (auto* peer : {&first, &second, &plain}) {
        await_event(node, **peer, 14);
        CHECK(numbers(**peer) == range(0, 15));
    }
    CHECK(first->head().find("\r\nSec-WebSocket-Extensions: agreed") != std::string::npos);
    CHECK(plain->head().find("Extensions") == std::string::npos);
    CHECK(first->compressed == 15);
    CHECK(first->plain() == second->plain());
    CHECK(first->written() < plain->written());
    CHECK(first->events().back().data_bytes == plain->events().back().data_bytes);
    std::string packed;
    REQUIRE(stream::Deflater().compress(R"({"ack":")" + cursor_at(node, 3) + R"("                                              })", packed));
    first->send(masked(0xc1, packed) + masked(0x89, "still there"));
    node.await("a pong", [&] {
        first->read();
        return first->plain().find("still there") != std::string::npos;
    });
}

TEST_CASE("a peer that goes away is forgotten") {
    Node node;
    for (const auto format : kStreams) {
        Wanted wanted;
        wanted.format = format;
        auto closed = node.connect(wanted), half = node.connect(wanted);
        node.quiet();
        CHECK(node.metrics->at("licet_stream_sessions").value == 2);
        closed->close();
        half->half_close();
        node.await("both forgotten", [&] { return node.metrics->at("licet_stream_sessions").value == 0; });
    }
}

TEST_CASE("a quiet stream has a heartbeat") {
    Node node;
    Wanted wanted;
    auto websocket = node.connect(wanted);
    wanted.format = WireFormat::sse;
    auto sse = node.connect(wanted);
    node.quiet();
    node.clock->advance_ms(limits::heartbeat_interval_ms);
    node.await("heartbeats", [&] {
        websocket->read();
        sse->read();
        return websocket->pings == 1 && sse->pings == 1;
    });
    node.append(1);
    await_event(node, *websocket, 0);
    await_event(node, *sse, 0);
}

TEST_CASE("HEAD of a stream is its head alone") {
    Node node;
    Wanted wanted;
    wanted.format = WireFormat::sse;
    wanted.start = StartAt::earliest;
    wanted.head_only = true;
    node.append(2);
    auto peer = node.connect(wanted);
    await_end(node, *peer);
    CHECK(peer->plain().ends_with("\r\n\r\n"));
    CHECK(node.journal->of({1}, ports::UsageKind::intent).empty());
}

TEST_CASE("who lags behind the tape goes on from the log, and comes back to it") {
    for (const auto format : kStreams)
        for (const bool records : {false, true}) {
            Node node;
            Wanted wanted;
            wanted.format = format;
            wanted.records = records;
            wanted.send_buffer = 8192;
            auto slow = node.connect(wanted);
            wanted.send_buffer = 0;
            auto fast = node.connect(wanted);
            node.quiet();
            // More than a tape holds, and the slow one inside a frame.
            const std::size_t events = 2 * limits::tape_max_bytes / 60'000;
            for (std::size_t i = 0; i < events; ++i) {
                node.append(1, "", 60'000);
                node.turn();
                fast->read();
            }
            CHECK(slow->written() < 100'000);
            await_event(node, *fast, events - 1);
            await_event(node, *slow, events - 1);
            CHECK(numbers(*fast) == range(0, events));
            CHECK(numbers(*slow) == range(0, events));
            node.append(2);
            await_event(node, *slow, events + 1);
            CHECK(numbers(*slow) == range(0, events + 2));
            node.await("the journal", [&] { return node.journal->delivered({1}).events == events + 2; });
        }
}

TEST_CASE("events that come while the log is read are not lost at the seam") {
    for (const std::size_t meanwhile : {0u, 1u, 5u}) {
        Node node(2);
        node.append(50, "", 1000);
        Wanted wanted;
        wanted.start = StartAt::earliest;
        node.log->hold_reads(true);
        auto late = node.connect(wanted);
        wanted.start = StartAt::latest;
        wanted.shard = 1;
        auto live = node.connect(wanted);
        node.turn();
        node.append(meanwhile);
        node.turn();
        node.log->hold_reads(false);
        node.append(meanwhile);
        node.append(1);
        await_event(node, *late, 50 + 2 * meanwhile);
        await_event(node, *live, 50 + 2 * meanwhile);
        CHECK(numbers(*late) == range(0, 51 + 2 * meanwhile));
        CHECK(numbers(*live) == range(50, 51 + 2 * meanwhile));
    }
}
