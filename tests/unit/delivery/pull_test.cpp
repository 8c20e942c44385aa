// Pull pages: what is on them, how long they wait, and what makes them be gathered anew.
#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

Wanted page(std::size_t limit, int wait_ms = 0) {
    Wanted wanted;
    wanted.format = WireFormat::ndjson;
    wanted.start = StartAt::earliest;
    wanted.limit = limit;
    wanted.wait_ms = wait_ms;
    return wanted;
}
void await_page(Node& node, Peer& peer, int pages) {
    node.await("a page", [&] {
        peer.read();
        return peer.pages >= pages && !node.handed.empty();
    });
}

}  // namespace

TEST_CASE("pages follow each other on one connection, without gap or repetition") {
    for (const auto format : {WireFormat::ndjson, WireFormat::batch_json, WireFormat::batch_protobuf}) {
        Node node;
        node.append(25);
        auto wanted = page(10);
        wanted.format = format;
        auto peer = node.connect(wanted);
        for (int pages = 1; pages <= 4; ++pages) {
            await_page(node, *peer, pages);
            CHECK_FALSE(node.handed.back().error);
            CHECK(peer->events().size() == std::min<std::size_t>(static_cast<std::size_t>(pages) * 10, 25));
            wanted.start = StartAt::cursor;
            wanted.cursor = peer->page_cursor;
            if (pages < 4) node.pull_again(wanted);
        }
        for (std::size_t i = 0; i < 25; ++i) CHECK(peer->events()[i].n == i);
        node.quiet();
        node.await("the journal", [&] { return node.journal->delivered({1}).events == 25; });
    }
}

TEST_CASE("a page of one CloudEvent is an event, or no content") {
    Node node;
    node.append(1);
    auto wanted = page(1);
    wanted.format = WireFormat::one_protobuf;
    auto peer = node.connect(wanted);
    await_page(node, *peer, 1);
    CHECK(peer->head().starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/cloudevents+protobuf\r\nContent-Length: "));
    CHECK(peer->events().size() == 1);
    CHECK(peer->page_cursor == peer->last_cursor());
    wanted.start = StartAt::cursor;
    wanted.cursor = peer->page_cursor;
    node.pull_again(wanted);
    await_page(node, *peer, 2);
    CHECK(peer->plain().find("HTTP/1.1 204 No Content\r\n") != std::string::npos);
    CHECK(next_of(node, peer->page_cursor) == next_of(node, wanted.cursor));
    CHECK(peer->events().size() == 1);
    node.append(1);
    node.pull_again(wanted);
    await_page(node, *peer, 3);
    CHECK(peer->events().back().n == 1);
}

TEST_CASE("an empty page waits for its first event, and no longer than it was told") {
    Node node;
    auto peer = node.connect(page(10, 60'000));
    node.quiet();
    CHECK(node.handed.empty());
    node.append(2);
    await_page(node, *peer, 1);
    CHECK(peer->events().size() == 2);

    auto wanted = page(10, 30);
    wanted.start = StartAt::latest;
    node.pull_again(wanted);
    node.quiet();
    node.clock->advance_ms(30);
    await_page(node, *peer, 2);
    CHECK(peer->events().size() == 2);
    CHECK_FALSE(node.handed.back().error);

    // What is withheld ends no wait, and the cursor passes over it.
    wanted.wait_ms = 60'000;
    node.pull_again(wanted);
    node.quiet();
    node.append(3, "unasked");
    node.quiet();
    CHECK(node.handed.empty());
    node.append(1);
    await_page(node, *peer, 3);
    CHECK(peer->events().size() == 3);
    CHECK(peer->events().back().n == 5);
    CHECK(peer->page_cursor == peer->last_cursor());
}

TEST_CASE("a page ends at its bytes, at `until`, and is empty before the log's end is there") {
    Node node;
    node.append(20, "", 900'000);
    auto peer = node.connect(page(1000));
    await_page(node, *peer, 1);
    CHECK(peer->events().size() >= limits::pull_page_max_bytes / 1'000'000);
    CHECK(peer->events().size() <= limits::pull_page_max_bytes / 900'000 + 1);

    Node other;
    other.append(3);
    other.clock->advance_ms(1000);
    const auto until = other.clock->utc_now();
    other.append(3);
    auto wanted = page(1000, 60'000);
    wanted.until = until;
    auto early = other.connect(wanted);
    await_page(other, *early, 1);
    CHECK(early->events().size() == 3);
    wanted.start = StartAt::cursor;
    wanted.cursor = early->page_cursor;
    other.pull_again(wanted);  // nothing can come any more
    await_page(other, *early, 2);
    CHECK(early->events().size() == 3);

    wanted.start = StartAt::latest;
    wanted.until = {other.clock->utc_now().value + 2000};
    other.pull_again(wanted);
    other.quiet();
    CHECK(other.handed.empty());
    other.clock->advance_ms(2000);
    await_page(other, *early, 3);
}

TEST_CASE("HEAD of a page is its head alone, and nothing is billed") {
    Node node;
    node.append(3);
    auto wanted = page(10);
    wanted.head_only = true;
    auto peer = node.connect(wanted);
    node.await("the head", [&] {
        peer->read();
        return !node.handed.empty();
    });
    CHECK(peer->plain().ends_with("\r\n\r\n"));
    CHECK(peer->head().find("Content-Length: 0") == std::string::npos);
    CHECK(node.journal->of({1}, ports::UsageKind::intent).empty());
}

TEST_CASE("a withdrawal while a page is gathered leaves nobody on it who withdrew; while it is written, the page ends") {
    Node node;
    node.consent("ada", true);
    node.append(5, "ada");
    node.append(5);
    // Decided, and held back by its intent.
    node.journal->set(MemoryJournal::Mode::held);
    auto peer = node.connect(page(100));
    node.await("an intent", [&] { return !node.journal->of({1}, ports::UsageKind::intent).empty(); });
    CHECK(peer->written() == 0);
    node.withdraw("ada");
    node.journal->set(MemoryJournal::Mode::at_once);
    await_page(node, *peer, 1);
    CHECK(peer->events().size() == 5);
    for (const auto& e : peer->events()) CHECK(e.who.empty());

    Node half;
    half.consent("ada", true);
    half.append(5, "", 3000);
    half.append(5, "ada", 3000);
    auto wanted = page(100);
    wanted.send_buffer = 4096;
    auto slow = half.connect(wanted);
    half.await("the page to begin", [&] { return slow->written() > 0; });
    half.quiet();
    std::uint64_t written = 0;
    half.withdraw("ada", [&] { written = slow->written(); });
    half.await("the end", [&] {
        slow->read();
        return slow->ended();
    });
    CHECK(slow->pages == 0);
    for (const auto& e : slow->events()) CHECK((e.who.empty() || e.end <= written));
    CHECK(slow->written() == written);
}

TEST_CASE("a page waiting on a node that drains, or that may not deliver, is refused and keeps its connection") {
    Node node;
    auto peer = node.connect(page(10, 60'000));
    node.quiet();
    node.drain();
    REQUIRE(node.handed.size() == 1);
    REQUIRE(node.handed[0].error);
    CHECK(node.handed[0].error->code == Errc::draining);
    CHECK(node.handed[0].connection);
    CHECK(peer->written() == 0);

    Node paused;
    paused.append(3);
    auto waiting = paused.connect(page(10));
    paused.delivery->set_delivering(false);
    paused.quiet();
    CHECK(waiting->written() == 0);
    paused.clock->advance_ms(1);
    paused.await_tick();
    paused.clock->advance_ms(limits::delivery_pause_max_ms + 1);
    paused.await("a refusal", [&] { return !paused.handed.empty(); });
    REQUIRE(paused.handed[0].error);
    CHECK(paused.handed[0].error->code == Errc::unavailable);
    CHECK(waiting->written() == 0);
}
