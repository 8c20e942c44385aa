// What is billed is what was received: once per contract and offset, whatever reconnects, replays or fails, and never without an intent before it.
#include "base/limits.h"
#include "server/stream/delivery/meters.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;
using Mode = MemoryJournal::Mode;
using Sum = MemoryJournal::Sum;

namespace {

Sum received(const std::vector<const Peer*>& peers) {
    std::map<std::uint64_t, std::uint64_t> bytes;
    for (const auto* peer : peers)
        for (const auto& e : peer->events()) bytes[e.n] = e.data_bytes;
    Sum out;
    for (const auto& [n, size] : bytes) {
        ++out.events;
        out.bytes += size;
    }
    return out;
}
void await_journal(Node& node, std::uint32_t contract, Sum sum) {
    node.await("the journal", [&] { return node.journal->delivered({contract}).events >= sum.events; });
    CHECK(node.journal->delivered({contract}) == sum);
}
ports::UsageOf usage_of(std::uint32_t contract) { return {{contract}, kProduct, {0}, {1}}; }

}  // namespace

TEST_CASE("meters are loaded once, by whoever comes first, and an unreachable ledger is no meter") {
    int loads = 0;
    bool reachable = false;
    stream::Meters meters([&](const ports::UsageOf&) -> Result<ports::UsageRanges> {
        ++loads;
        if (!reachable) return Error{Errc::unavailable, "test", {}};
        ports::UsageRanges ranges;
        ranges.billed.add(0, 10);
        ranges.suspense.add(10, 20);
        return ranges;
    });
    CHECK_FALSE(meters.known(usage_of(1)));
    CHECK_FALSE(meters.get(usage_of(1)).ok());
    CHECK_FALSE(meters.known(usage_of(1)));
    reachable = true;
    const auto first = *meters.get(usage_of(1));
    CHECK(meters.known(usage_of(1)) == first);
    CHECK(*meters.get(usage_of(1)) == first);
    CHECK(*meters.get(usage_of(2)) != first);
    CHECK(loads == 3);
    first->with([](stream::Meter& m) {
        CHECK(m.meter.billed().covered_until(0) == 10);
        CHECK(m.suspense.total() == 10);
    });
    // Stopping in order: what was intended and not delivered, once.
    const auto range = first->with([](stream::Meter& m) { return m.meter.intent_needed(10).value(); });
    first->with([&](stream::Meter& m) {
        m.meter.intent_durable(range);
        std::vector<metering::OffsetRange> fresh;
        m.meter.delivered(10, 15, fresh);
    });
    const auto aborted = meters.abandon({5});
    REQUIRE(aborted.size() == 1);
    CHECK(aborted[0].kind == ports::UsageKind::aborted);
    CHECK(aborted[0].from == 15);
    CHECK(aborted[0].to == range.to);
    CHECK(meters.abandon({5}).empty());
    first->with([](stream::Meter& m) { CHECK_FALSE(m.meter.intent_needed(15)); });
}

TEST_CASE("a contract pays once for what all its subscribers receive, on all shards; another pays for itself") {
    Node node(2);
    Wanted wanted;
    auto a = node.connect(wanted);
    wanted.shard = 1;
    wanted.format = WireFormat::sse;
    auto b = node.connect(wanted);
    wanted.contract = 2;
    auto other = node.connect(wanted);
    node.quiet();
    for (int i = 0; i < 20; ++i) {
        node.append(3, i % 4 == 0 ? "unasked" : "");
        node.turn();
    }
    await_event(node, *a, 59);
    await_event(node, *b, 59);
    await_event(node, *other, 59);
    CHECK(received({a.get()}).events == 45);
    CHECK(received({a.get()}) == received({a.get(), b.get()}));
    await_journal(node, 1, received({a.get(), b.get()}));
    await_journal(node, 2, received({other.get()}));
    wanted.contract = 1;
    wanted.start = StartAt::earliest;
    for (const auto format : {WireFormat::websocket_json, WireFormat::ndjson}) {
        wanted.format = format;
        auto replay = node.connect(wanted);
        await_event(node, *replay, 59);
        CHECK(received({replay.get()}).events == 45);
    }
    node.clock->advance_ms(limits::delivered_record_interval_ms);
    node.await_tick();
    await_journal(node, 1, received({a.get()}));
    CHECK(node.journal->delivered({3}) == Sum{});
}

TEST_CASE("what the ledger holds as billed is not billed again") {
    ports::UsageRanges ranges;
    ranges.billed.add(0, 7);
    Node node(1, ranges);
    node.append(10);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    auto peer = node.connect(wanted);
    await_event(node, *peer, 9);
    CHECK(peer->events().size() == 10);
    await_journal(node, 1, {3, received({peer.get()}).bytes / 10 * 3});
}

TEST_CASE("a frame of which the peer did not get all is not billed; it is when it is sent again") {
    for (const bool records : {false, true}) {
        Node node;
        Wanted wanted;
        wanted.records = records;
        wanted.send_buffer = 4096;
        auto peer = node.connect(wanted);
        node.quiet();
        node.append(1);
        await_event(node, *peer, 0);
        node.append(1, "", 100'000);
        node.quiet();
        peer->read(20'000);
        node.quiet();
        const auto cursor = peer->last_cursor();
        while (peer->read() > 0) {
        }
        peer->close();
        node.await("it to be forgotten", [&] { return node.metrics->at("licet_stream_sessions").value == 0; });
        node.await_tick();
        await_journal(node, 1, received({peer.get()}));
        CHECK(received({peer.get()}).events == 1);
        wanted.start = StartAt::cursor;
        wanted.cursor = cursor;
        auto again = node.connect(wanted);
        await_event(node, *again, 1);
        await_journal(node, 1, received({peer.get(), again.get()}));
    }
}

TEST_CASE("nothing leaves before its intent is durable") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::websocket_protobuf, WireFormat::sse, WireFormat::ndjson}) {
        Node node;
        node.append(3);
        node.journal->set(Mode::held);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        auto peer = node.connect(wanted);
        node.await("an intent", [&] { return !node.journal->of({1}, ports::UsageKind::intent).empty(); });
        node.quiet();
        peer->read();
        CHECK(peer->events().empty());
        REQUIRE(node.journal->of({1}, ports::UsageKind::intent).size() == 1);
        CHECK(node.journal->of({1}, ports::UsageKind::intent)[0].from == 0);
        node.append(1);
        node.quiet();
        CHECK(node.journal->of({1}, ports::UsageKind::intent).size() == 1);  // one lease covers both
        node.journal->set(Mode::at_once);
        await_event(node, *peer, 2);
        if (format != WireFormat::ndjson) await_event(node, *peer, 3);
        await_journal(node, 1, received({peer.get()}));
    }
}

TEST_CASE("a journal that refuses stops delivery, on every shard that asks; it goes on when the journal does") {
    {
        Node node(2);
        node.journal->set(Mode::refusing);
        Wanted wanted;
        auto a = node.connect(wanted);
        wanted.shard = 1;
        wanted.format = WireFormat::sse;
        auto b = node.connect(wanted);
        node.quiet();
        node.append(3);
        node.quiet();
        node.await_tick();
        node.append(1);
        node.quiet();
        a->read();
        b->read();
        CHECK(a->events().empty());
        CHECK(b->events().empty());
        CHECK_FALSE(a->ended());
        CHECK(node.journal->delivered({1}) == Sum{});
        wanted.contract = 2;
        auto refused = node.connect(wanted);
        node.await("a refusal", [&] { return !node.handed.empty(); });
        CHECK(node.handed[0].error->code == Errc::journal_full);
        node.journal->set(Mode::at_once);
        await_event(node, *a, 3);
        await_event(node, *b, 3);
        CHECK(numbers(*a) == range(0, 4));
        await_journal(node, 1, received({a.get(), b.get()}));
    }
}

TEST_CASE("what was delivered when the journal began to refuse is noted once it accepts again, before anything more leaves") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *peer, 0);
    await_journal(node, 1, received({peer.get()}));
    node.journal->set(Mode::refusing);
    node.append(5);
    await_event(node, *peer, 5);  // the lease allows it
    node.await("a refusal", [&] { return node.journal->refused > 0; });
    node.append(1);
    node.quiet();
    peer->read();
    CHECK(peer->events().size() == 6);  // no more
    CHECK(node.journal->delivered({1}).events == 1);
    // Nobody may say that all of this time is in the ledger: it is not even in the journal.
    const UtcMillis later{INT64_MAX - 1};
    CHECK(node.journal->complete_before(later) != later);
    node.journal->set(Mode::at_once);
    await_event(node, *peer, 6);
    await_journal(node, 1, received({peer.get()}));
    node.await("nothing held back", [&] { return node.journal->complete_before(later) == later; });
}

TEST_CASE("an orderly stop leaves no intent open: what was not delivered is aborted") {
    Node node(2);
    Wanted wanted;
    auto a = node.connect(wanted);
    wanted.shard = 1;
    auto b = node.connect(wanted);
    wanted.contract = 2;
    auto c = node.connect(wanted);
    node.quiet();
    node.append(5);
    node.append(2, "unasked");
    node.append(1);
    await_event(node, *a, 7);
    await_event(node, *b, 7);
    await_event(node, *c, 7);
    node.append(3, "unasked");
    node.quiet();
    node.drain();
    for (const std::uint32_t contract : {1u, 2u}) {
        metering::IntervalSet open;
        for (const auto& r : node.journal->of({contract}, ports::UsageKind::intent)) open.add(r.from, r.to);
        for (const auto& r : node.journal->of({contract}, ports::UsageKind::delivered)) open.remove(r.from, r.to);
        CHECK(open.total() > 0);
        for (const auto& r : node.journal->of({contract}, ports::UsageKind::aborted)) open.remove(r.from, r.to);
        CHECK(open.total() == 0);
        CHECK(node.journal->delivered({contract}).events == 6);
    }
}

TEST_CASE("a long stream renews its lease and never stops for it") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    const std::size_t batches = 2 * limits::intent_lease_offsets / 1000 + 1;
    for (std::size_t i = 0; i < batches; ++i) {
        node.append(1000, "unasked");
        if (i % 10 == 0) node.append(1);
        node.turn();
        peer->read();
    }
    node.append(1);
    const auto last = batches * 1000 + (batches + 9) / 10;
    await_event(node, *peer, last);
    await_journal(node, 1, received({peer.get()}));
    CHECK(node.journal->of({1}, ports::UsageKind::intent).size() >= 2);
}

TEST_CASE("suspense below a subscriber's cursor was received and is billed; above it is delivered again and billed then") {
    ports::UsageRanges ranges;
    ranges.billed.add(0, 4);
    ranges.suspense.add(4, 12);
    ranges.suspense.add(14, 16);
    for (const auto format : {WireFormat::websocket_json, WireFormat::ndjson}) {
        Node node(1, ranges);
        node.append(8);
        node.append(2, "unasked");
        node.append(10);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::cursor;
        wanted.cursor = cursor_at(node, 9);
        auto peer = node.connect(wanted);
        await_event(node, *peer, 19);
        CHECK(peer->events().front().n == 10);
        // 4..7 settled, 8 and 9 withheld, the rest delivered.
        await_journal(node, 1, {4 + 10, received({peer.get()}).bytes + 4 * (received({peer.get()}).bytes / 10 - 1)});
    }
    // From the beginning there is nothing to be known: all of it is delivered again.
    Node node(1, ranges);
    node.append(20);
    Wanted wanted;
    wanted.start = StartAt::earliest;
    auto peer = node.connect(wanted);
    await_event(node, *peer, 19);
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 16; });
}

TEST_CASE("an ack of what came before the stream settles suspense as a resume does; one of the stream itself says nothing of what it skipped") {
    ports::UsageRanges ranges;
    ranges.suspense.add(0, 5);
    ranges.suspense.add(6, 9);
    Node node(1, ranges);
    node.append(10);
    auto peer = node.connect({});
    node.quiet();
    const auto ack = [&](Offset next) {
        const std::string text = R"({"ack":")" + cursor_at(node, next) + R"("})";
        peer->send(std::string{'\x81', static_cast<char>(0x80 | text.size()), 0, 0, 0, 0} + text);
    };
    node.append(2);
    await_event(node, *peer, 11);
    ack(12);  // it came in from 10 on, and received nothing before
    ack(3);
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 5; });  // 0..2 by the ack, 10 and 11
    ack(2);
    ack(8);  // the stretch it is of: what lies below 6 somebody else may have been sent
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 7; });
    ack(12);
    ack(9);
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 8; });
    CHECK_FALSE(peer->close_code);
}

TEST_CASE("suspense that cannot be counted refuses the start and stays suspense") {
    ports::UsageRanges ranges;
    ranges.suspense.add(0, 9);
    Node node(1, ranges);
    node.append(10);
    node.log->fail_reads = true;
    Wanted wanted;
    wanted.start = StartAt::cursor;
    wanted.cursor = cursor_at(node, 8);
    auto peer = node.connect(wanted);
    node.await("a refusal", [&] { return !node.handed.empty(); });
    CHECK(node.handed[0].error->code == Errc::corrupt);
    CHECK(peer->written() == 0);
    node.log->fail_reads = false;
    auto again = node.connect(wanted);
    await_event(node, *again, 9);
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 10; });
}

TEST_CASE("after a disk error of the journal nothing more leaves, lease or not, and who comes is told why") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *peer, 0);
    await_journal(node, 1, received({peer.get()}));
    node.journal->set(Mode::failing);
    Wanted other;
    other.contract = 2;
    other.start = StartAt::earliest;
    auto second = node.connect(other);  // needs an intent: so the node learns of it
    node.quiet();
    node.append(1);
    node.quiet();
    node.journal->set(Mode::at_once);  // as if there were room again: the chain has a hole
    for (int i = 0; i < 3; ++i) {
        node.append(1);
        node.quiet();
        node.await_tick();
    }
    peer->read();
    second->read();
    CHECK(peer->events().size() == 1);
    CHECK(second->events().empty());
    auto third = node.connect({});
    node.await("a refusal", [&] { return !node.handed.empty(); });
    CHECK(node.handed[0].error->code == Errc::journal_full);
    node.clock->advance_ms(limits::delivery_pause_max_ms + 2'000);
    node.await("the streams to end", [&] {
        peer->read();
        second->read();
        return peer->ended() && second->ended();
    });
    CHECK(peer->close_code == 1013);
}

TEST_CASE("what a partner says it received is journaled: the cursor it comes back with, and acks; each once, behind what was delivered") {
    Node node;
    node.append(10);
    Wanted wanted;
    wanted.start = StartAt::cursor;
    wanted.cursor = cursor_at(node, 4);
    auto peer = node.connect(wanted);
    await_event(node, *peer, 9);
    const auto ack = [&](Offset next) {
        const std::string text = R"({"ack":")" + cursor_at(node, next) + R"("})";
        peer->send(std::string{'\x81', static_cast<char>(0x80 | text.size()), 0, 0, 0, 0} + text);
    };
    ack(7);
    ack(6);
    ack(9);
    const auto ranges = [&] {
        metering::IntervalSet out;
        for (const auto& r : node.journal->of({1}, ports::UsageKind::acked)) out.add(r.from, r.to);
        return out.all();
    };
    node.await("the acks", [&] {
        node.await_look();
        return ranges() == std::map<Offset, Offset>{{4, 9}};
    });
    const auto cursors = node.journal->of({1}, ports::UsageKind::acked);
    CHECK(
        std::any_of(cursors.begin(), cursors.end(), [](const auto& r) { return r.from == 4 && r.to == 4; }));  // it says nothing of what came before
    const auto records = node.journal->of({1}, ports::UsageKind::acked).size();
    ack(9);
    auto again = node.connect(wanted);
    await_event(node, *again, 9);
    node.await_look();
    node.await_look();
    CHECK(node.journal->of({1}, ports::UsageKind::acked).size() == records);
    CHECK(node.journal->delivered({1}).events == 6);
}

TEST_CASE("suspense below what the ledger holds as acknowledged is settled by whoever comes, wherever it begins") {
    ports::UsageRanges ranges;
    ranges.suspense.add(0, 12);
    ranges.acked.add(2, 5);
    ranges.acked.add(8, 9);
    Node node(1, ranges);
    node.append(20);
    auto peer = node.connect({});
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 4; });
    node.append(1);
    await_event(node, *peer, 20);
    node.await("the journal", [&] { return node.journal->delivered({1}).events == 5; });
    metering::IntervalSet delivered;
    for (const auto& r : node.journal->of({1}, ports::UsageKind::delivered)) delivered.add(r.from, r.to);
    CHECK(delivered.all() == std::map<Offset, Offset>{{2, 5}, {8, 9}, {20, 21}});
}

TEST_CASE(
    "replays are free; a contract that pays for them pays where it asks for the past, not for what is sent again on the way or to two of its "
    "streams") {
    const auto replayed = [](Node& node) {
        Sum sum;
        for (const auto& r : node.journal->of({1}, ports::UsageKind::replayed)) {
            sum.events += r.events;
            sum.bytes += r.bytes;
        }
        return sum;
    };
    const auto stream = [](Node& node, StartAt start, Offset cursor, std::uint64_t last, WireFormat format = WireFormat::websocket_json) {
        Wanted wanted;
        wanted.start = start;
        wanted.format = format;
        if (start == StartAt::cursor) wanted.cursor = cursor_at(node, cursor);
        auto peer = node.connect(wanted);
        await_event(node, *peer, last);
        return received({peer.get()});
    };
    for (const bool paid : {false, true}) {
        Node node;
        if (paid) node.bill_replays();
        node.append(6);
        node.append(2, "unasked");
        node.append(2);
        const auto all = stream(node, StartAt::earliest, 0, 9);
        CHECK(all.events == 8);
        stream(node, StartAt::cursor, 5, 9);  // it came back with what it had received: the rest was on its way
        auto two = node.connect({});
        auto other = node.connect({});
        node.append(1);
        await_event(node, *two, 10);
        await_event(node, *other, 10);
        node.await_tick();
        CHECK(replayed(node) == Sum{});
        Sum expected;
        const auto again = [&](const Sum& sum) {
            if (!paid) return;
            expected.events += sum.events;
            expected.bytes += sum.bytes;
        };
        again(stream(node, StartAt::earliest, 0, 10, WireFormat::ndjson));
        // Its slower stream comes back behind what the other one received: a cursor does not say whose it is.
        stream(node, StartAt::cursor, 10, 10);
        stream(node, StartAt::cursor, 2, 10);
        node.await("the replays", [&] {
            node.await_tick();
            return replayed(node).events >= expected.events;
        });
        CHECK(replayed(node) == expected);
        CHECK(node.journal->delivered({1}).events == 9);
        for (const auto& r : node.journal->of({1}, ports::UsageKind::replayed)) CHECK(r.view.value != 0);
        for (const auto& r : node.journal->of({1}, ports::UsageKind::delivered))
            CHECK(r.view == node.journal->of({1}, ports::UsageKind::delivered)[0].view);
    }
}

TEST_CASE("a cursor somebody came back with before a crash settles nothing after it: another stream of the contract may have been far behind") {
    ports::UsageRanges ranges;
    ranges.suspense.add(0, 8);
    Node node(1, ranges);
    node.append(10);
    auto live = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *live, 10);
    await_journal(node, 1, received({live.get()}));
    CHECK(node.journal->delivered({1}).events == 1);
}

TEST_CASE("no record is of two minutes: months end between them") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    for (std::uint64_t n = 0; n < 6; ++n) {
        node.append(1);
        await_event(node, *peer, n);
        node.clock->advance_ms(30'000);
    }
    await_journal(node, 1, received({peer.get()}));
    for (const auto& r : node.journal->of({1}, ports::UsageKind::delivered)) CHECK(r.to - r.from <= 2);
}

TEST_CASE("what a cursor proves: its event, and what a stream that began at the last beginning below it was sent, of the stretch it is of") {
    const auto received = [](const ports::UsageRanges& ranges, stream::CursorPosition cursor, Offset kept = 0) {
        stream::Meter m(ranges);
        std::map<Offset, Offset> out;
        while (const auto sure = m.received(cursor, kept)) {
            CHECK(sure->range.from < sure->range.to);
            out[sure->range.from] = sure->range.to;
            m.suspense.remove(sure->range.from, sure->range.to);
        }
        return out;
    };
    using Ranges = std::map<Offset, Offset>;
    ports::UsageRanges ranges;
    ranges.suspense.add(1'000, 65'536);
    const auto at = [](Offset next) { return stream::CursorPosition{kProduct, {0}, {1}, next}; };
    const auto of_reader = [](Offset since, Offset next) { return stream::CursorPosition{kProduct, {0}, {1}, next, since, {1}}; };
    CHECK(received(ranges, at(60'100)) == Ranges{{1'000, 60'100}});  // the contract has one stream
    ranges.begun.add(60'000, 60'001);
    CHECK(received(ranges, at(60'100)) == Ranges{{60'000, 60'100}});  // one stream at the head, another one far behind
    CHECK(received(ranges, at(60'001)) == Ranges{{60'000, 60'001}});
    CHECK(received(ranges, at(60'000)) == Ranges{{1'000, 60'000}});  // so the one behind had come so far
    CHECK(received(ranges, at(1'010)) == Ranges{{1'000, 1'010}});
    CHECK(received(ranges, at(1'010), 1'005) == Ranges{{1'005, 1'010}});
    for (const Offset next : {0u, 1u, 1'000u, 65'537u, 90'000u})
        CHECK(received(ranges, at(next)).empty());  // of another stretch, or of what is billed
    CHECK(received(ranges, at(65'536)) == Ranges{{60'000, 65'536}});
    ranges.begun.add(60'001, 60'003);
    CHECK(received(ranges, at(60'003)) == Ranges{{60'002, 60'003}});
    CHECK(received(ranges, of_reader(2'000, 3'000)) == Ranges{{2'000, 3'000}});  // says itself
    CHECK(received(ranges, of_reader(0, 70'000)) == Ranges{{1'000, 65'536}});
    CHECK(received(ranges, of_reader(60'000, 60'000)).empty());  // it received nothing

    // By the times of the starts that left it.
    ranges.begun = {};
    ranges.suspended = {{1'000, 2'000, {5}}, {2'000, 60'000, {6}}, {64'000, 65'536, {7}}};
    stream::Meter m(ranges);
    const auto next = [&](std::optional<UtcMillis> when) {
        const auto sure = m.received(at(65'000), 0);
        REQUIRE(sure);
        CHECK(sure->at == when);
        m.suspense.remove(sure->range.from, sure->range.to);
        return sure->range;
    };
    CHECK(next(UtcMillis{5}) == metering::OffsetRange{1'000, 2'000});
    CHECK(next(UtcMillis{6}) == metering::OffsetRange{2'000, 60'000});
    CHECK(next(std::nullopt) == metering::OffsetRange{60'000, 64'000});
    CHECK(next(UtcMillis{7}) == metering::OffsetRange{64'000, 65'000});
    CHECK_FALSE(m.received(at(65'000), 0));
}

TEST_CASE("one stream at the head, another far behind that never comes back: the one that does settles its own, on the day it was delivered") {
    ports::UsageRanges ranges;
    ranges.suspense.add(2, 12);
    const UtcMillis died{1'700'000'000'000};
    ranges.suspended = {{2, 12, died}};
    ranges.begun.add(8, 9);
    for (const bool page : {false, true}) {
        Node node(1, ranges);
        node.append(14);
        Wanted wanted;
        wanted.start = StartAt::cursor;
        wanted.cursor = cursor_at(node, 11);
        if (page) wanted.format = WireFormat::ndjson;
        auto peer = node.connect(wanted);
        await_event(node, *peer, 13);
        node.await("the journal", [&] { return node.journal->delivered({1}).events == 6; });  // 8 to 10, and 11 to 13 as they are sent
        for (const auto& r : node.journal->of({1}, ports::UsageKind::delivered)) {
            CHECK(r.from >= 8);
            CHECK((r.at == died) == (r.from == 8));
        }
        // A page's cursor of another contract says nothing of this one.
        if (!page) continue;
        wanted.contract = 2;
        wanted.start = StartAt::earliest;
        wanted.limit = 5;
        auto other = node.connect(wanted);
        await_event(node, *other, 4);
        wanted.contract = 1;
        wanted.limit = 1;
        wanted.start = StartAt::cursor;
        wanted.cursor = stream::seal_reader_cursor(*node.siv, {kProduct, {0}, {1}, 6, 0, {2}});
        auto again = node.connect(wanted);
        await_event(node, *again, 6);
        node.await("the journal", [&] { return node.journal->delivered({1}).events == 7; });
    }
}

TEST_CASE("a stream that begins behind what nobody was billed says so in the journal before its first event leaves; one that follows on does not") {
    Node node;
    node.append(10);
    node.journal->set(Mode::held);
    Wanted wanted;
    wanted.open = false;
    auto live = node.connect(wanted);
    node.quiet();
    node.append(2);
    node.quiet();
    live->read();
    CHECK(live->written() == 0);  // not even the head
    auto begun = node.journal->of({1}, ports::UsageKind::begun);
    REQUIRE(begun.size() == 1);
    CHECK(begun[0].from == 10);
    CHECK(begun[0].to == 10);
    node.journal->set(Mode::at_once);
    await_event(node, *live, 11);
    auto follows = node.connect({});
    node.append(1);
    await_event(node, *follows, 12);
    wanted.open = true;
    wanted.start = StartAt::earliest;
    auto past = node.connect(wanted);
    await_event(node, *past, 12);
    CHECK(node.journal->of({1}, ports::UsageKind::begun).size() == 1);

    // A journal that cannot keep it refuses the stream.
    Node full;
    full.append(3);
    full.journal->set(Mode::refusing);
    Wanted latest;
    latest.open = false;
    auto refused = full.connect(latest);
    full.await("a refusal", [&] { return !full.handed.empty(); });
    CHECK(full.handed[0].error->code == Errc::journal_full);
    CHECK(refused->written() == 0);
}

TEST_CASE("a record that was left unbilled for a part of it is counted anew by the next stream: the rest, if the whole is what it was") {
    ports::UsageRanges ranges;
    ranges.billed.add(0, 8);
    ranges.unbilled = std::make_shared<ports::UnbilledRecords>();
    Node node(1, ranges);
    node.append(4);
    node.append(2, "unasked");
    node.append(6);
    const auto whole = [&] {
        Wanted wanted;
        wanted.start = StartAt::earliest;
        wanted.contract = 2;
        auto peer = node.connect(wanted);
        await_event(node, *peer, 11);
        Sum sum;
        for (const auto& e : peer->events())
            if (e.n < 8) sum.events += 1, sum.bytes += e.data_bytes;
        return sum;
    }();
    ports::UnbilledRecord record;
    record.record = {1, 9, ports::UsageKind::delivered, {1}, kProduct, {0}, {1}, 0, 8, whole.events, whole.bytes, {77}, {5}};
    record.rest.add(1, 3);
    record.rest.add(4, 7);
    auto changed = record;
    changed.record.bytes += 1;
    ranges.unbilled->add(record);
    ranges.unbilled->add(changed);
    auto peer = node.connect({});
    node.await("the journal", [&] { return !node.journal->of({1}, ports::UsageKind::recounted).empty(); });
    const auto moved = node.journal->of({1}, ports::UsageKind::recounted);
    REQUIRE(moved.size() == 2);
    CHECK(moved[0].from == 1);
    CHECK(moved[0].to == 3);
    CHECK(moved[0].events == 2);
    CHECK(moved[0].bytes == whole.bytes / whole.events * 2);
    CHECK(moved[1].events == 1);  // 4 and 5 are withheld
    CHECK(moved[1].at.value == 77);
    CHECK(moved[1].view.value == 5);
    auto again = node.connect({});
    node.quiet();
    CHECK(node.journal->of({1}, ports::UsageKind::recounted).size() == 2);
    CHECK(node.journal->delivered({1}).events == 0);
}
