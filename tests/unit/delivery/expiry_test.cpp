// What time alone takes away: looked at before every write, whatever was encoded when. And what stops every write at once: the lease and its gate.
#include "base/limits.h"
#include "server/stream/delivery/tape.h"
#include "server/stream/delivery/write_gate.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;
using stream::Tape;
using stream::WriteGate;

namespace {

template <class Each>
void each_kind(Each each) {
    for (const auto format : {WireFormat::websocket_json, WireFormat::websocket_protobuf, WireFormat::sse})
        for (const bool records : {false, true}) each(format, records);
}

std::unique_ptr<Peer> narrow(Node& node, WireFormat format, bool records, std::int64_t authorised_until = 4'000'000'000'000) {
    Wanted wanted;
    wanted.format = format;
    wanted.records = records;
    wanted.send_buffer = 4096;
    wanted.authorised_until = {authorised_until};
    auto peer = node.connect(wanted);
    node.quiet();
    return peer;
}

}  // namespace

TEST_CASE("tape: a deadline holds for its frame alone, and is found by one comparison per chunk") {
    Tape tape(0);
    tape.append_event(0, "aaaa", 1, 0);
    CHECK(tape.piece(0, 4).deadline == Tape::kNever);
    tape.append_event(1, "bbbb", 1, 0, 2000);
    tape.append_event(2, "cccc", 1, 0, 1000);
    tape.append_event(3, "dddd", 1, 0);
    CHECK(tape.piece(0, 16).deadline == 1000);
    CHECK(tape.fresh_until(0, 16, 999) == 16);
    CHECK(tape.fresh_until(0, 16, 1000) == 8);
    CHECK(tape.fresh_until(0, 8, 1000) == 8);
    CHECK(tape.fresh_until(0, 9, 1000) == 8);
    CHECK(tape.fresh_until(0, 16, 2000) == 4);
    CHECK(tape.fresh_until(4, 16, 2000) == 4);
    CHECK(tape.fresh_until(6, 16, 2000) == 6);  // inside of it
    CHECK(tape.fresh_until(12, 16, 5000) == 16);
    // A part keeps the deadlines of what it takes, the rest of a frame too.
    Tape part(1, true);
    part.append_part(tape, 6, 12);
    CHECK(part.piece(0, 6).deadline == 1000);
    CHECK(part.fresh_until(0, 6, 1000) == 2);
    CHECK(part.fresh_until(0, 6, 2000) == 0);
    // What is trimmed is forgotten.
    Tape big(0);
    const std::string frame(limits::tape_chunk_bytes, 'x');
    big.append_event(0, frame, 1, 0, 1000);
    big.append_event(1, frame, 1, 0);
    big.trim(frame.size());
    CHECK(big.fresh_until(big.start(), big.end(), 5000) == big.end());
    CHECK(big.piece(big.start(), big.end()).deadline == Tape::kNever);
}

TEST_CASE("write gate: a lease that lapsed or a closing stops shards that were not told, and only a later opening lets them") {
    const auto clock = std::make_shared<ManualClock>();
    const auto lease = std::make_shared<ports::Lease>();
    WriteGate gate(lease, clock);
    CHECK_FALSE(gate.open(0));
    lease->until_ns = clock->mono_ns + 1000;
    CHECK(gate.open(0));
    clock->mono_ns += 1000;
    CHECK_FALSE(gate.open(0));
    // Held again, but closed in between: what the shard has may be stale.
    gate.close();
    lease->until_ns = clock->mono_ns + 1000;
    CHECK_FALSE(gate.open(0));
    CHECK(gate.open(gate.closings()));
    const auto told = gate.closings();
    gate.close();
    CHECK_FALSE(gate.open(told));
    lease->until_ns = ports::Lease::kAlways;
    CHECK(gate.open(gate.closings()));
}

TEST_CASE("write gate: consents that end stop every write until a change that knows of them was applied") {
    WriteGate gate(nullptr, std::make_shared<ManualClock>());
    CHECK(gate.open(0));
    CHECK(gate.consents_hold({1'000'000}));
    gate.limit(5000);
    gate.limit(6000);  // later than known: no effect
    CHECK(gate.consents_hold({4999}));
    CHECK_FALSE(gate.consents_hold({5000}));
    const auto first = gate.begin_change(), second = gate.begin_change();
    gate.end_change(first, 9000);  // overtaken by another
    CHECK_FALSE(gate.consents_hold({5000}));
    gate.end_change(second, 9000);
    CHECK(gate.consents_hold({8999}));
    CHECK_FALSE(gate.consents_hold({9000}));
    const auto third = gate.begin_change();
    gate.limit(7000);  // a consent came that ends earlier
    gate.end_change(third, WriteGate::kNever);
    CHECK_FALSE(gate.consents_hold({7000}));
}

TEST_CASE("an event past its expirytime is not written, however long it was ready; what is around it is") {
    each_kind([](WireFormat format, bool records) {
        CAPTURE(records);
        Node node;
        auto slow = narrow(node, format, records);
        node.append(2, "", 40'000);  // more than the kernel takes
        node.expiry = node.clock->utc_now().value + 300;
        node.append(2);
        node.expiry = 0;
        node.append(2);
        node.quiet();
        node.clock->advance_ms(300);
        await_event(node, *slow, 5);
        CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 4, 5});
        CHECK_FALSE(slow->ended());
        // Back on the live tape, which still holds them: nobody who joins there is given them either.
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        wanted.contract = 2;
        auto late = node.connect(wanted);
        await_event(node, *late, 5);
        CHECK(numbers(*late) == std::vector<std::uint64_t>{0, 1, 4, 5});
        node.append(1);
        await_event(node, *slow, 6);
        await_event(node, *late, 6);
    });
}

TEST_CASE("an event in time is written; one that expires at its millisecond is not") {
    Node node;
    auto peer = node.connect({});
    node.expiry = node.clock->utc_now().value + 1;
    node.append(1);
    node.expiry = node.clock->utc_now().value;
    node.append(1);
    node.expiry = 0;
    node.append(1);
    await_event(node, *peer, 2);
    CHECK(numbers(*peer) == std::vector<std::uint64_t>{0, 2});
}

TEST_CASE("caught inside an event when it expires, a stream ends and resumes without it") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        auto slow = narrow(node, format, records);
        node.append(1);
        node.expiry = node.clock->utc_now().value + 300;
        node.append(1, "", 300'000);
        node.expiry = 0;
        node.append(1);
        node.quiet();
        node.clock->advance_ms(300);
        const auto written = slow->written();
        CHECK(written > 4096);
        await_end(node, *slow);
        CHECK(slow->written() == written);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::cursor;
        wanted.cursor = slow->events().empty() ? cursor_at(node, 0) : slow->last_cursor();
        auto again = node.connect(wanted);
        await_event(node, *again, 2);
        auto both = numbers(*slow);
        for (const auto n : numbers(*again)) both.push_back(n);
        CHECK(both == std::vector<std::uint64_t>{0, 2});
    });
}

TEST_CASE("a page is decided again when one of its events expired before it was written; a part of one is cut off") {
    for (const auto format : {WireFormat::ndjson, WireFormat::batch_json}) {
        Node node;
        node.append(1);
        node.expiry = node.clock->utc_now().value + 300;
        node.append(1);
        node.expiry = 0;
        node.append(1);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        // Gathered, but not written: the node may not deliver.
        node.log->hold_reads(true);
        auto page = node.connect(wanted);
        node.await("a read", [&] {
            node.turn();
            return node.log->reads_started > 0;
        });
        node.delivery->set_delivering(false);
        node.log->hold_reads(false);
        node.await_tick();
        CHECK(page->written() == 0);
        node.clock->advance_ms(300);
        node.delivery->set_delivering(true);
        node.await("the page", [&] {
            page->read();
            return page->pages == 1;
        });
        CHECK(numbers(*page) == std::vector<std::uint64_t>{0, 2});
        // Partly out.
        node.append(1, "", 100'000);
        node.expiry = node.clock->utc_now().value + 300;
        node.append(1, "", 100'000);
        node.expiry = 0;
        wanted.send_buffer = 4096;
        auto cut = node.connect(wanted);
        node.await("some of it", [&] { return cut->written() > 0; });
        node.quiet();
        node.clock->advance_ms(300);
        node.await("the end", [&] {
            cut->read();
            return cut->ended();
        });
        CHECK(cut->pages == 0);
        for (const auto& e : cut->events()) CHECK(e.n != 4);
    }
}

TEST_CASE("a token or contract that ends stops a subscriber in the middle of its bytes, and is told who is not") {
    each_kind([](WireFormat format, bool records) {
        for (const bool token : {true, false}) {
            CAPTURE(token);
            Node node;
            const std::int64_t end = node.clock->utc_now().value + 500;
            if (!token) {
                node.configuration.contracts[0].valid_until = {end};
                node.rebuild();
                node.apply_all(false);
            }
            auto busy = narrow(node, format, records, token ? end : 4'000'000'000'000);
            auto idle = narrow(node, format, records, token ? end : 4'000'000'000'000);
            node.append(1);
            await_event(node, *idle, 0);
            node.append(2, "", 100'000);
            node.quiet();
            const auto before = busy->written();
            node.clock->advance_ms(500);
            await_end(node, *busy);
            CHECK(busy->written() == before);
            CHECK(numbers(*busy).size() <= 1);
            (void)idle->written();
        }
    });
}

TEST_CASE("streams at rest end with their code when token or contract do, and a contract prolonged in time does not") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse}) {
        Node node;
        const std::int64_t now = node.clock->utc_now().value;
        node.configuration.contracts[0].valid_until = {now + 500};
        node.configuration.contracts[1].valid_until = {now + 400};
        node.rebuild();
        node.apply_all(false);
        Wanted wanted;
        wanted.format = format;
        auto contract = node.connect(wanted);
        wanted.contract = 3;
        wanted.authorised_until = {now + 500};
        auto token = node.connect(wanted);
        wanted.contract = 2;
        wanted.authorised_until = {4'000'000'000'000};
        auto prolonged = node.connect(wanted);
        node.quiet();
        node.append(1);
        await_event(node, *prolonged, 0);
        node.configuration.contracts[1].valid_until = {now + 100'000};
        node.rebuild();
        node.apply_all(false);
        node.clock->advance_ms(500);
        node.append(1);  // accepted after the end
        await_end(node, *contract);
        await_end(node, *token);
        CHECK(numbers(*contract) == range(0, 1));
        CHECK(contract->close_code == 1008);
        CHECK(next_of(node, contract->close_cursor) == 1);
        CHECK(token->close_code == 4401);
        await_event(node, *prolonged, 1);
    }
}

TEST_CASE("a page that waits is refused when its token ends") {
    Node node;
    Wanted wanted;
    wanted.format = WireFormat::ndjson;
    wanted.start = StartAt::latest;
    wanted.wait_ms = 30'000;
    wanted.authorised_until = {node.clock->utc_now().value + 500};
    auto page = node.connect(wanted);
    node.quiet();
    CHECK(node.handed.empty());
    node.clock->advance_ms(500);
    node.await("a refusal", [&] { return !node.handed.empty(); });
    REQUIRE(node.handed[0].error);
    CHECK(node.handed[0].error->code == Errc::invalid_token);
    CHECK(page->written() == 0);
}

TEST_CASE("when a consent ends nothing is written until the change was applied, and nothing of that person after") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        node.consent("ada", true);
        const std::int64_t end = node.clock->utc_now().value + 300;
        node.delivery->consents_end_at({end});
        auto slow = narrow(node, format, records);
        node.append(2, "", 40'000);
        node.append(2, "ada");
        node.append(1);
        node.quiet();
        node.clock->advance_ms(300);
        const auto before = slow->written();
        slow->read();
        node.quiet();
        CHECK(slow->written() == before);  // room, but no right known
        node.consent("ada", false);
        node.consents_until = UtcMillis{};
        node.apply_subject("ada");
        await_event(node, *slow, 4);
        CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 4});
    });
}

TEST_CASE("a node whose lease lapsed writes no byte of an event, also when it was in the middle of one, and goes on only when it was let") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        node.lease->until_ns = node.clock->mono_ns + 1'000'000'000;
        node.consent("ada", true);
        auto slow = narrow(node, format, records);
        node.append(2, "", 40'000);
        node.append(2, "ada");
        node.append(1);
        node.quiet();
        // Stopped for longer than the lease: the shard is the first to run again.
        node.clock->mono_ns += 1'000'000'000;
        const auto before = slow->written();
        slow->read();
        node.quiet();
        CHECK(slow->written() == before);
        // The lease is held again, but the catalog was not read under it.
        node.delivery->set_delivering(false);
        node.lease->until_ns = ports::Lease::kAlways;
        node.quiet();
        CHECK(slow->written() == before);
        node.withdraw("ada");
        node.delivery->set_delivering(true);
        await_event(node, *slow, 4);
        CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 4});
    });
}

TEST_CASE("a lease renewed in time after a late answer lets go on by itself") {
    Node node;
    node.lease->until_ns = node.clock->mono_ns + 1'000'000;
    auto peer = node.connect({});
    node.quiet();
    node.clock->mono_ns += 1'000'000;
    node.append(1);
    node.quiet();
    peer->read();
    CHECK(peer->events().empty());
    node.lease->until_ns = ports::Lease::kAlways;
    await_event(node, *peer, 0);
}

TEST_CASE("a product that moves to another region is served here no longer") {
    Node node;
    auto peer = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *peer, 0);
    node.configuration.products[0].residency = "us";
    node.rebuild();
    node.apply_all(false);
    await_end(node, *peer);
    CHECK(peer->close_code == 1008);
}

TEST_CASE("a condition on the moment is asked again before what was decided under it is written") {
    Node node;
    node.permit(false, 1);
    auto& rule = node.configuration.active_policies[0].document["permission"][0];
    rule["constraint"] =
        json::array({{{"leftOperand", "dateTime"}, {"operator", "lt"}, {"rightOperand", format_rfc3339({node.clock->utc_now().value + 500})}}});
    node.rebuild();
    node.apply_all(false);
    auto slow = narrow(node, WireFormat::websocket_json, false);
    node.append(2, "", 40'000);
    node.quiet();
    slow->read();
    node.append(3);
    node.quiet();
    const auto whole = numbers(*slow).size();
    node.clock->advance_ms(500);
    node.await_tick();
    for (int i = 0; i < 3 && !slow->ended(); ++i) {
        slow->read();
        node.quiet();
    }
    CHECK(numbers(*slow).size() <= whole + 1);  // what the kernel had
    for (const auto n : numbers(*slow)) CHECK(n < 2);
}
