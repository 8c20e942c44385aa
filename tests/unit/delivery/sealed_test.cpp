// Events encrypted at rest: delivered as ever where the key can be had, waited for where it cannot, withheld where it is destroyed.
#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

struct Sealing : Node {
    explicit Sealing(std::string transform = "cryptoHash") {
        sealing = true;
        duty = std::move(transform);
        permit(false, 2);
        rebuild();
        apply_all(false);
    }
    void erase(const std::string& who) {
        REQUIRE(key_store->erase(subject_key(who), {}).ok());
        subject_keys->forget(subject_keys->erased().value());
        apply_subject(who);
    }
    std::unique_ptr<Peer> stream(StartAt start, std::string cursor = {}) {
        Wanted wanted;
        wanted.start = start;
        wanted.cursor = std::move(cursor);
        return connect(wanted);
    }
};

}  // namespace

TEST_CASE("sealed: a key that left memory is fetched, and nothing is missed or told twice") {
    Sealing node;
    auto live = node.stream(StartAt::latest);
    node.append(2, "ada");
    await_event(node, *live, 1);
    // Between the encryption of the next event and its delivery the key leaves memory.
    node.before_append = [&] { node.forget("ada"); };
    node.append(2, "ada");
    await_event(node, *live, 3);
    node.before_append = {};
    node.append(1, "bob");
    await_event(node, *live, 4);
    CHECK(numbers(*live) == range(0, 5));
    CHECK_FALSE(live->ended());
    node.forget("ada");
    auto replay = node.stream(StartAt::earliest);
    await_event(node, *replay, 4);
    CHECK(numbers(*replay) == range(0, 5));
}

TEST_CASE("sealed: while keys cannot be reached a stream ends and resumes; a page is refused") {
    Sealing node;
    auto live = node.stream(StartAt::latest);
    node.append(1, "ada");
    await_event(node, *live, 0);
    node.before_append = [&] {
        node.forget("ada");
        node.key_store->reachable = false;
    };
    node.append(2, "ada");
    await_end(node, *live);
    CHECK(numbers(*live) == range(0, 1));
    CHECK(live->close_code == 1013);
    Wanted page;
    page.format = WireFormat::ndjson;
    page.start = StartAt::earliest;
    auto refused = node.connect(page);
    node.await("the refusal", [&] { return !node.handed.empty(); });
    REQUIRE(node.handed.back().error);
    CHECK(node.handed.back().error->code == Errc::unavailable);
    node.key_store->reachable = true;
    auto resumed = node.stream(StartAt::cursor, live->last_cursor());
    await_event(node, *resumed, 2);
    CHECK(numbers(*resumed) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("sealed: what is queued of an erased subject is not written, nor found by any cursor") {
    Sealing node;
    Wanted narrow;
    narrow.send_buffer = 4096;
    auto slow = node.connect(narrow);
    node.quiet();
    node.append(4, "bob", 6000);  // the kernel does not take them all
    node.append(3, "ada");
    node.append(2, "bob");
    node.quiet();
    node.erase("ada");
    await_event(node, *slow, 8);
    CHECK(numbers(*slow) == std::vector<std::uint64_t>{0, 1, 2, 3, 7, 8});
    node.append(1, "ada");  // under a new key
    await_event(node, *slow, 9);
    for (const auto& cursor : {cursor_at(node, 0), cursor_at(node, 5)}) {
        auto replay = node.stream(StartAt::cursor, cursor);
        await_event(node, *replay, 9);
        for (const auto n : numbers(*replay)) CHECK((n < 4 || n > 6));
    }
}

TEST_CASE("sealed: an erased subject's events go on where nothing of a value is seen") {
    Sealing node("replaceWithInfoType");
    node.append(2, "ada");
    node.erase("ada");
    node.append(1, "bob");
    auto replay = node.stream(StartAt::earliest);
    await_event(node, *replay, 2);
    CHECK(numbers(*replay) == range(0, 3));
    CHECK(replay->plain().find("[EMAIL_ADDRESS]") != std::string::npos);
    CHECK(replay->plain().find("someone@example.org") == std::string::npos);
}
