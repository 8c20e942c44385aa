// Changes of what may be sent: from their acknowledgement on, no byte of a frame they forbid goes to the kernel, and nobody else loses anything.
#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

// A stream of `records` or not whose kernel buffer is full: what follows is inside a frame or waits on the tape.
std::unique_ptr<Peer> narrow(Node& node, WireFormat format, bool records) {
    Wanted wanted;
    wanted.format = format;
    wanted.records = records;
    wanted.send_buffer = 4096;
    auto peer = node.connect(wanted);
    node.quiet();
    return peer;
}

template <class Each>
void each_kind(Each each) {
    for (const auto format : {WireFormat::websocket_json, WireFormat::websocket_protobuf, WireFormat::sse})
        for (const bool records : {false, true}) each(format, records);
}

}  // namespace

TEST_CASE("a withdrawal keeps back what is queued, and others' events go on") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        node.consent("ada", true);
        node.consent("bob", true);
        auto slow = narrow(node, format, records);
        node.append(4, "bob", 6000);  // the kernel does not take them all
        node.append(3, "ada", 100);
        node.append(3, "bob", 100);
        node.quiet();
        std::uint64_t written = 0;
        node.withdraw("ada", [&] { written = slow->written(); });
        await_event(node, *slow, 9);
        CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 2, 3, 7, 8, 9});
        CHECK_FALSE(slow->ended());
        // The kernel had not taken the first ones.
        CHECK(slow->events()[3].end > written);
        node.append(1, "ada");
        node.append(1, "bob");
        await_event(node, *slow, 11);
        CHECK(slow->events().size() == 8);
    });
}

TEST_CASE("caught inside a frame that names who withdrew, a stream ends, and resumes without it") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        node.consent("ada", true);
        auto slow = narrow(node, format, records);
        node.append(1);
        node.append(1, "ada", 300'000);
        node.append(2);
        node.quiet();
        std::uint64_t written = 0;
        node.withdraw("ada", [&] { written = slow->written(); });
        CHECK(written > 4096);
        await_end(node, *slow);
        CHECK(slow->written() == written);  // not one byte more
        if (!records) CHECK(numbers(*slow) == range(0, 1));
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::cursor;
        wanted.cursor = slow->events().empty() ? cursor_at(node, 0) : slow->last_cursor();
        auto again = node.connect(wanted);
        await_event(node, *again, 3);
        auto both = numbers(*slow);
        for (const auto n : numbers(*again)) both.push_back(n);
        CHECK(both == std::vector<std::uint64_t>{0, 2, 3});
        node.await("the journal", [&] { return node.journal->delivered({1}).events == 3; });
    });
}

TEST_CASE("a record that holds a frame of who withdrew is not finished, even when the frame under way is another's") {
    Node node;
    node.consent("ada", true);
    auto slow = narrow(node, WireFormat::websocket_json, true);
    // Small frames: one record of 16 KiB holds many.
    for (int i = 0; i < 40; ++i) {
        node.append(1, "", 900);
        node.append(1, "ada", 10);
    }
    node.quiet();
    std::uint64_t written = 0;
    node.withdraw("ada", [&] { written = slow->written(); });
    await_end(node, *slow);
    CHECK(slow->written() == written);
}

TEST_CASE("a withdrawal during a catch-up, between reading the log and deciding, counts") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        node.consent("ada", true);
        for (int i = 0; i < 10; ++i) {
            node.append(1, "ada");
            node.append(1);
        }
        Wanted wanted;
        wanted.format = format;
        wanted.records = records;
        wanted.start = StartAt::earliest;
        node.log->hold_reads(true);
        auto peer = node.connect(wanted);
        node.turn();
        node.withdraw("ada");
        node.log->hold_reads(false);
        await_event(node, *peer, 19);
        CHECK(peer->events().size() == 10);
        for (const auto& e : peer->events()) CHECK(e.who.empty());
    });
}

TEST_CASE("who joins after a withdrawal is not given the tape from before") {
    Node node;
    node.consent("ada", true);
    Wanted wanted;
    auto first = node.connect(wanted);
    node.quiet();
    node.append(3, "ada");
    node.append(1);
    await_event(node, *first, 3);
    CHECK(first->events().size() == 4);
    node.withdraw("ada");
    wanted.start = StartAt::earliest;
    wanted.contract = 2;
    auto second = node.connect(wanted);
    await_event(node, *second, 3);
    CHECK(numbers(*second) == range(3, 4));
    node.append(1);
    await_event(node, *first, 4);
    await_event(node, *second, 4);
    CHECK(first->events().size() == 5);
}

TEST_CASE("a policy change decides again what waits; who is inside a frame ends") {
    each_kind([](WireFormat format, bool records) {
        Node node;
        auto slow = narrow(node, format, records);
        Wanted wanted;
        wanted.format = format;
        wanted.records = records;
        auto idle = node.connect(wanted);
        node.quiet();
        node.append(2, "nobody-asked");  // withheld: needs consent
        node.append(1, "", 200'000);
        node.quiet();
        idle->read();
        node.permit(false, 2);  // needs none
        node.rebuild();
        std::uint64_t written = 0;
        node.apply_all(false, [&] { written = slow->written(); });
        await_end(node, *slow);
        CHECK(slow->written() == written);
        CHECK(slow->events().empty());
        node.append(1, "nobody-asked");
        await_event(node, *idle, 3);
        CHECK(numbers(*idle) == range(2, 4));
    });
}

TEST_CASE("a change of configuration that does not concern a view leaves its streams alone, even inside a frame") {
    Node node;
    auto slow = narrow(node, WireFormat::websocket_json, false);
    node.append(1, "", 200'000);
    node.quiet();
    node.configuration.regions.push_back({"us", "https://example.org"});
    node.rebuild();
    node.apply_all(false);
    await_event(node, *slow, 0);
    // Consents of many: nothing encoded before may be written.
    node.append(1, "", 200'000);
    node.quiet();
    node.apply_all(true);
    await_end(node, *slow);
    CHECK(slow->events().size() == 1);
}

TEST_CASE("revoked tokens and clients, ended contracts and lost rights end streams with their code; new requests are refused") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse}) {
        struct Case {
            const char* what;
            int code;
            Errc refused;
            std::function<void(Node&)> change;
        };
        const Case cases[] = {
            {"client revoked", 4403, Errc::invalid_token, [](Node& n) { n.configuration.clients[0].revoked = true; }},
            {"tokens revoked", 4403, Errc::invalid_token,
             [](Node& n) { n.configuration.clients[0].tokens_valid_from = {n.clock->utc_now().value + 1}; }},
            {"client gone", 4403, Errc::invalid_token, [](Node& n) { n.configuration.clients.erase(n.configuration.clients.begin()); }},
            {"contract suspended", 1008, Errc::no_contract, [](Node& n) { n.configuration.contracts[0].state = ports::ContractState::suspended; }},
            {"contract of another party", 1008, Errc::no_contract, [](Node& n) { n.configuration.contracts[0].party = "party2"; }},
            {"product not on the contract", 1008, Errc::no_contract, [](Node& n) { n.configuration.contracts[0].products.clear(); }},
            {"rights that cannot be compiled", 1008, Errc::internal, [](Node& n) { n.configuration.contracts[0].purposes = {"dpv:NoSuchPurpose"}; }},
        };
        for (const auto& c : cases) {
            CAPTURE(c.what);
            Node node;
            Wanted wanted;
            wanted.format = format;
            auto peer = node.connect(wanted);
            auto full = narrow(node, format, false);
            wanted.contract = 2;
            auto other = node.connect(wanted);
            node.quiet();
            node.append(1);
            await_event(node, *peer, 0);
            full->read();
            node.append(1, "", 100'000);
            node.quiet();
            peer->read();
            c.change(node);
            node.rebuild();
            std::uint64_t written = 0;
            node.apply_all(false, [&] { written = full->written(); });
            await_end(node, *peer);
            CHECK(peer->close_code == c.code);
            CHECK(next_of(node, peer->close_cursor) == 2);
            await_end(node, *full);
            CHECK(full->written() == written);
            node.append(1);
            await_event(node, *other, 2);
            wanted.contract = 1;
            auto refused = node.connect(wanted);
            node.await("a refusal", [&] { return !node.handed.empty(); });
            REQUIRE(node.handed[0].error);
            CHECK(node.handed[0].error->code == c.refused);
        }
    }
}

TEST_CASE("a contract that runs out ends its streams without a change of the configuration") {
    Node node;
    node.configuration.contracts[0].valid_until = {node.clock->utc_now().value + 60'000};
    node.rebuild();
    node.apply_all(false);
    auto peer = node.connect({});
    node.quiet();
    node.append(1);
    await_event(node, *peer, 0);
    node.clock->advance_ms(60'000);
    await_end(node, *peer);
    CHECK(peer->close_code == 1008);
    CHECK(next_of(node, peer->close_cursor) == 1);
}

TEST_CASE("a drain says so at a frame boundary, with the cursor; inside a frame it resets; waiting starts are refused") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse}) {
        Node node;
        node.append(2);
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        auto idle = node.connect(wanted);
        await_event(node, *idle, 1);
        auto full = narrow(node, format, false);
        node.append(1, "withheld");
        node.append(1, "", 100'000);
        node.quiet();
        idle->read();
        // One more waits for the ledger.
        node.hold_ranges = true;
        wanted.contract = 2;
        wanted.open = false;
        auto starting = node.connect(wanted);
        node.await("the ledger asked", [&] { return node.ranges_asked == 2; });
        const auto written = full->written();
        node.drain();
        await_end(node, *idle);
        CHECK(idle->close_code == 1012);
        CHECK(next_of(node, idle->close_cursor) == 4);
        await_end(node, *full);
        CHECK(full->written() == written);
        REQUIRE(node.handed.size() == 1);
        CHECK(node.handed[0].error->code == Errc::draining);
        // The ledger's late answer finds nobody.
        node.hold_ranges = false;
        node.await_tick();
        node.quiet();
        CHECK(starting->written() == 0);
        auto late = node.connect(wanted);
        node.await("a refusal", [&] { return node.handed.size() == 2; });
        CHECK(node.handed[1].error->code == Errc::draining);
    }
}

TEST_CASE("a drain over a time ends streams one after another; who is left goes on receiving") {
    Node node;
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 10; ++i) {
        Wanted wanted;
        wanted.format = i % 2 == 0 ? WireFormat::websocket_json : WireFormat::sse;
        peers.push_back(node.connect(wanted));
    }
    node.append(1);
    for (const auto& peer : peers) await_event(node, *peer, 0);
    bool done = false;
    node.delivery->drain([&] { done = true; }, 10'000);
    const auto ended = [&] {
        for (const auto& peer : peers) peer->read();
        return std::count_if(peers.begin(), peers.end(), [](const auto& peer) { return peer->close_code.has_value(); });
    };
    node.quiet();
    CHECK(ended() == 0);
    node.clock->advance_ms(5'000);
    node.await("half of them", [&] { return ended() == 5; });
    node.append(1);
    node.await("an event for the others", [&] {
        return ended() == 5 &&
               std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return peer->close_code || peer->events().size() == 2; });
    });
    CHECK_FALSE(done);
    Wanted late;
    late.open = false;
    const auto refused = node.connect(late);
    node.await("a refusal", [&] { return node.handed.size() == 1; });
    CHECK(node.handed[0].error->code == Errc::draining);
    node.clock->advance_ms(5'000);
    node.await("the end", [&] { return done && ended() == 10; });
    std::set<std::string> reasons;
    for (const auto& peer : peers) {
        CHECK(peer->close_code == 1012);
        CHECK(next_of(node, peer->close_cursor) == peer->events().size());
        if (!peer->close_reason.empty()) reasons.insert(peer->close_reason.substr(0, peer->close_reason.find("; cursor=")));
    }
    CHECK(reasons.size() == 5);
    CHECK(reasons.begin()->starts_with("this node is restarting; retry="));
}

TEST_CASE("a revocation while a start waits for the ledger, the log or the clock's place in it ends the start") {
    for (const auto start : {StartAt::earliest, StartAt::since}) {
        Node node;
        node.append(2);
        Wanted wanted;
        wanted.start = start;
        wanted.open = false;
        node.hold_ranges = true;
        auto peer = node.connect(wanted);
        node.await("the ledger asked", [&] {
            node.turn();
            return node.ranges_asked == 1;
        });
        node.configuration.clients[0].revoked = true;
        node.rebuild();
        node.apply_all(false);
        REQUIRE(node.handed.size() == 1);
        CHECK(node.handed[0].error->code == Errc::invalid_token);
        node.hold_ranges = false;
        node.await_tick();
        CHECK(peer->written() == 0);
    }
}
