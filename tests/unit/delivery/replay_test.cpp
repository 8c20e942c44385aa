// Replay at its two edges: a live tape that moves on under who catches up, and retention that does. Nothing is missed or repeated.
#include <random>

#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

TEST_CASE("replay: a live tape that is trimmed while many catch up leaves no gap and no repetition") {
    Node node;
    std::vector<std::unique_ptr<Peer>> peers;
    Wanted wanted;
    wanted.start = StartAt::earliest;
    std::mt19937 random(7);
    const std::size_t batches = 3 * limits::tape_max_bytes / (40 * 10'000);
    for (std::size_t i = 0; i < batches; ++i) {
        node.append(40, "", 10'000);
        if (i % 12 == 0) {
            wanted.format = i % 24 == 0 ? WireFormat::websocket_json : WireFormat::sse;
            wanted.send_buffer = random() % 2 == 0 ? 0 : 8192;
            peers.push_back(node.connect(wanted));
        }
        for (auto& peer : peers)
            if (random() % 3 > 0) peer->read(std::size_t{1} << (10 + random() % 10));
        node.turn();
    }
    for (auto& peer : peers) {
        await_event(node, *peer, 40 * batches - 1);
        CHECK(numbers(*peer) == range(0, 40 * batches));
    }
}

TEST_CASE("replay: retention that passes a replay under way ends it with 4410 where it was, and one that begins at what is kept has all of it") {
    for (std::size_t kept : {1, 100, 350}) {
        Node node;
        node.append(400, "", 20'000);
        Wanted wanted;
        wanted.start = StartAt::earliest;
        wanted.send_buffer = 4096;
        auto replay = node.connect(wanted);
        node.quiet();
        replay->read(50'000);
        node.quiet();
        node.log->drop_below(kept);
        auto later = node.connect(wanted);
        await_event(node, *later, 399);
        CHECK(numbers(*later) == range(kept, 400));
        node.await("the replay's end", [&] {
            replay->read();
            return replay->ended() || (!replay->events().empty() && replay->events().back().n == 399);
        });
        const auto got = numbers(*replay);
        CHECK(got == range(0, got.size()));
        if (replay->close_code) {
            CHECK(replay->close_code == 4410);
            CHECK(replay->close_cursor == replay->last_cursor());
            CHECK(got.size() <= kept + 1);
        } else {
            CHECK(got.size() == 400);
        }
        CHECK(bool(replay->close_code) == (got.size() < 400));
    }
}
