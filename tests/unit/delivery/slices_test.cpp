// What streams that are behind share: each event is decided once for all who are near, whatever they began as; and no decision outlives the rights,
// or the moment, it was made under.
#include <random>

#include "base/limits.h"
#include "base/stream_limits.h"
#include "server/stream/delivery/slices.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;
using stream::Readers;
using stream::Slice;
using stream::Slices;

namespace {

double decisions(Node& node) {
    return node.metrics->at("licet_decisions_total", {{"outcome", "delivered"}}).value +
           node.metrics->at("licet_decisions_total", {{"outcome", "withheld"}}).value;
}

std::shared_ptr<Slice> slice_of(Offset from, Offset to, std::size_t bytes, std::uint64_t subject, std::int64_t deadline = stream::Tape::kNever) {
    auto out = std::make_shared<Slice>(from);
    for (Offset at = from; at < to; ++at) out->tape.append_event(at, std::string(bytes, 'x'), 1, subject, deadline);
    if (subject != 0) out->subjects = {subject};
    out->decided_at = {1000};
    return out;
}

}  // namespace

TEST_CASE("slices: streams that begin at the same place, one near it, and one by one, are decided for once") {
    Node node;
    constexpr std::size_t kEvents = 5000;
    for (std::size_t i = 0; i < kEvents / 100; ++i) node.append(100, "", 100);
    std::vector<std::unique_ptr<Peer>> peers;
    Wanted wanted;
    std::mt19937 random(3);
    for (int i = 0; i < 30; ++i) {
        wanted.start = StartAt::cursor;
        wanted.cursor = cursor_at(node, i < 10 ? 0 : random() % 400);
        wanted.contract = 1 + static_cast<std::uint32_t>(i) % 3;  // the rights are the same
        peers.push_back(node.connect(wanted));
        if (i < 20) continue;
        await_event(node, *peers.back(), kEvents - 1);  // long after the others
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
        await_event(node, *peers[i], kEvents - 1);
        CHECK(numbers(*peers[i]) == range(peers[i]->events().front().n, kEvents));
    }
    // Who begins between two slices is decided for until the next one.
    CHECK(decisions(node) >= kEvents);
    CHECK(decisions(node) < kEvents + 2 * limits::catch_up_slice_max_events);
}

TEST_CASE("slices: a withdrawal, and a consent, are for every later stream; what others were sent before is billed as it was sent") {
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse, WireFormat::websocket_protobuf, WireFormat::websocket_json_deflate}) {
        Node node;
        node.consent("ann", true);
        for (int i = 0; i < 20; ++i) {
            node.append(10, "ann", 50);
            node.append(10, "bob", 50);
        }
        const auto of = [](bool ann, bool bob) {
            std::vector<std::uint64_t> out;
            for (std::uint64_t n = 0; n < 400; ++n)
                if (n / 10 % 2 == 0 ? ann : bob) out.push_back(n);
            return out;
        };
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        const auto replay = [&] {
            auto peer = node.connect(wanted);
            node.quiet();
            const auto last = node.append(1);
            await_event(node, *peer, last);
            auto got = numbers(*peer);
            std::erase_if(got, [](std::uint64_t n) { return n >= 400; });
            return got;
        };
        CHECK(replay() == of(true, false));
        const auto before = decisions(node);
        CHECK(replay() == of(true, false));
        CHECK(decisions(node) < before + 20);  // kept
        node.withdraw("ann");
        CHECK(replay().empty());
        node.consent("bob", true);
        node.apply_subject("bob");
        CHECK(replay() == of(false, true));
        node.consents->set_ready(true);
        node.duty = "redact";
        node.permit(true, 2);
        node.rebuild();
        node.apply_all(false);
        CHECK(replay() == of(false, true));
    }
}

TEST_CASE("slices: a change of rights sends who is at the end of a quiet log to the new live tape, and nobody to the log") {
    Node node;
    node.append(5);
    std::vector<std::unique_ptr<Peer>> peers;
    for (const auto format : {WireFormat::websocket_json, WireFormat::sse, WireFormat::websocket_protobuf}) {
        Wanted wanted;
        wanted.format = format;
        wanted.start = StartAt::earliest;
        peers.push_back(node.connect(wanted));
        await_event(node, *peers.back(), 4);
    }
    const auto reads = node.log->reads_started.load();
    node.duty = "redact";
    node.permit(true, 2);
    node.rebuild();
    node.apply_all(false);
    node.quiet();
    node.apply_all(true);
    node.quiet();
    CHECK(node.log->reads_started == reads);
    const auto last = node.append(1);
    for (auto& peer : peers) {
        await_event(node, *peer, last);
        CHECK(numbers(*peer) == range(0, 6));
    }
}

TEST_CASE("slices: who joins one in the middle is billed for what it was sent of it") {
    Node node;
    node.consent("ann", true);
    node.append(50, "ann", 50);
    node.append(50, "bob", 50);  // withheld, to begin with
    Wanted wanted;
    wanted.start = StartAt::earliest;
    auto first = node.connect(wanted);
    await_event(node, *first, 49);
    node.quiet();
    node.consent("bob", true);
    node.apply_subject("bob");
    wanted.contract = 2;
    auto second = node.connect(wanted);  // decides it anew, with bob
    await_event(node, *second, 99);
    const auto n = node.append(50, "ann", 50);
    await_event(node, *first, n + 49);
    await_event(node, *second, n + 49);
    CHECK(numbers(*first).size() == 100);
    CHECK(numbers(*second).size() == 150);
    node.await("the journal", [&] { return node.journal->delivered({1}).events >= 100 && node.journal->delivered({2}).events >= 150; });
    CHECK(node.journal->delivered({1}).events == 100);
    CHECK(node.journal->delivered({2}).events == 150);
}

TEST_CASE("slices: nothing is found past the moment it holds to, nor before it was decided") {
    Readers readers(1);
    Slices slices(readers);
    const Slices::Of of{1, WireFormat::sse};
    auto one = slice_of(10, 20, 4, 0);
    one->holds_until = {2000};
    slices.keep(of, one);
    CHECK(slices.find(of, 9, {1500}) == nullptr);
    CHECK(slices.find(of, 20, {1500}) == nullptr);
    CHECK(slices.find({2, WireFormat::sse}, 10, {1500}) == nullptr);
    CHECK(slices.find({1, WireFormat::websocket_json}, 10, {1500}) == nullptr);
    CHECK(slices.find(of, 10, {1500}) == one);
    CHECK(slices.find(of, 19, {1999}) == one);
    CHECK(slices.next_begin(of, 5) == 10);
    CHECK(slices.next_begin(of, 10) == ~Offset{0});
    CHECK(slices.find(of, 19, {2000}) == nullptr);
    CHECK(slices.next_begin(of, 5) == ~Offset{0});  // gone for good
    slices.keep(of, slice_of(10, 20, 4, 0));
    CHECK(slices.find(of, 10, {999}) == nullptr);  // the clock was set back
    slices.keep(of, slice_of(10, 20, 4, 0, 1700));
    CHECK(slices.find(of, 12, {1699}));
    CHECK(slices.find(of, 12, {1700}) == nullptr);  // its frame is past its deadline
}

TEST_CASE("slices: a change of a subject reaches what names it, withheld or not; memory is bounded, and who still holds what is let go is charged") {
    Readers readers(1);
    Slices slices(readers);
    const Slices::Of of{1, WireFormat::sse};
    slices.keep(of, slice_of(0, 10, 4, 77));
    slices.keep(of, slice_of(10, 20, 4, 78));
    slices.forget_subject(77);
    CHECK_FALSE(slices.find(of, 0, {1000}));
    CHECK(slices.find(of, 10, {1000}));
    slices.forget_all();
    CHECK_FALSE(slices.find(of, 10, {1000}));
    constexpr std::size_t kBytes = 1024 * 1024, kAll = limits::catch_up_kept_max_bytes / kBytes;
    auto held = slice_of(0, 1, kBytes, 0);
    slices.keep(of, held);
    for (Offset at = 1; at < kAll + 10; ++at) {
        slices.keep(of, slice_of(at, at + 1, kBytes, 0));
        CHECK(bool(slices.find(of, 5, {1000})) == (at >= 5));  // used again and again
    }
    CHECK(slices.find(of, 5, {1000}));
    CHECK_FALSE(slices.find(of, 0, {1000}));
    CHECK_FALSE(slices.find(of, 6, {1000}));
    CHECK(slices.find(of, kAll + 9, {1000}));
    CHECK_FALSE(readers.try_hold(Readers::Pool::streams, limits::catch_up_in_flight_max_bytes - kBytes + 1));
    held.reset();
    CHECK(readers.try_hold(Readers::Pool::streams, limits::catch_up_in_flight_max_bytes));
}
