// One slow or greedy view never delays another: told by what is written, and read, before the other has its turn, not by time.
#include <condition_variable>
#include <mutex>

#include "base/limits.h"
#include "server/stream/delivery/readers.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;
using stream::Readers;

TEST_CASE("fairness: between an event and its live subscriber, those who replay get no more than two have in their turn") {
    Node node;
    node.configuration.contracts[2].purposes = {"dpv:AcademicResearch"};  // a view of its own
    node.rebuild();
    node.apply_all(false);
    for (int i = 0; i < 40; ++i) node.append(500, "", 100);
    std::vector<std::unique_ptr<Peer>> greedy;
    Wanted wanted;
    wanted.start = StartAt::earliest;
    for (int i = 0; i < 40; ++i) greedy.push_back(node.connect(wanted));
    wanted.start = StartAt::latest;
    wanted.contract = 3;
    auto quiet = node.connect(wanted);
    node.quiet();
    const auto taken = [&] {
        std::uint64_t sum = 0;
        for (const auto& peer : greedy) sum += peer->written();
        return sum;
    };
    std::uint64_t most = 0, all = 0;
    for (int round = 0; round < 30; ++round) {
        node.quiet();  // they wait for room
        const auto full = taken();
        for (auto& peer : greedy) peer->read();
        const auto n = node.append(1);
        const auto before = quiet->written();
        for (int handlers = 0; quiet->written() == before; ++handlers) {  // one at a time
            REQUIRE(handlers < 100'000);
            node.ios.front()->restart();
            node.ios.front()->poll_one();
        }
        const auto meanwhile = taken() - full;
        most = std::max(most, meanwhile);
        all += meanwhile;
        await_event(node, *quiet, n);
        node.quiet();
        if (round < 10) CHECK(taken() > full + 20 * meanwhile);  // there was far more to write
    }
    CHECK(most <= 2 * (limits::catch_up_slice_max_bytes + 4096));
    for (auto& peer : greedy) await_event(node, *peer, 20'029);
    for (auto& peer : greedy) CHECK(numbers(*peer) == range(0, 20'030));
}

TEST_CASE("fairness: a batch that takes long to decide is decided in turns: another view has its first events before all of it is") {
    Node node;
    node.configuration.contracts[2].purposes = {"dpv:AcademicResearch"};  // a view of its own
    node.rebuild();
    node.apply_all(false);
    Wanted wanted;
    auto one = node.connect(wanted);
    wanted.contract = 3;
    auto other = node.connect(wanted);
    node.quiet();
    auto& decided = node.metrics->at("licet_decisions_total", {{"outcome", "delivered"}});
    const double before = decided.value;
    const auto one_before = one->written(), other_before = other->written();
    const std::size_t turn = limits::catch_up_slice_max_events;
    const auto last = node.append(20 * turn) + 20 * turn - 1;
    for (int handlers = 0; one->written() == one_before || other->written() == other_before; ++handlers) {
        REQUIRE(handlers < 100'000);
        node.ios.front()->restart();
        node.ios.front()->poll_one();
    }
    CHECK(decided.value - before <= static_cast<double>(4 * turn));  // two views, and one turn more of each meanwhile
    await_event(node, *one, last);
    await_event(node, *other, last);
    CHECK(numbers(*one) == range(0, last + 1));
    CHECK(numbers(*other) == range(0, last + 1));
    CHECK(decided.value - before == static_cast<double>(2 * 20 * turn));  // nobody had to read the log
}

namespace {

// One reader, held until let go; what ran is noted.
struct Held {
    Held() {
        REQUIRE(readers.submit(nullptr, [this] {
            std::unique_lock lock(mutex);
            holds = true;
            changed.notify_all();
            changed.wait(lock, [&] { return go; });
        }));
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return holds; });  // who came later may else be taken first
    }
    void note(const std::string& what) {
        const std::lock_guard lock(mutex);
        ran.push_back(what);
        changed.notify_all();
    }
    void let_go() {
        const std::lock_guard lock(mutex);
        go = true;
        changed.notify_all();
    }
    std::vector<std::string> await(std::size_t n) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return ran.size() >= n; });
        return ran;
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool holds = false, go = false;
    std::vector<std::string> ran;
    Readers readers{1};
};

}  // namespace

TEST_CASE("fairness: views read the log in turn, however much one asks for") {
    Held held;
    int a = 0, b = 0;
    for (int i = 0; i < 100; ++i) REQUIRE(held.readers.submit(&a, Readers::Pool::streams, 1, [&](const Readers::Held&) { held.note("a"); }));
    for (int i = 0; i < 3; ++i) REQUIRE(held.readers.submit(&b, Readers::Pool::streams, 1, [&](const Readers::Held&) { held.note("b"); }));
    held.let_go();
    const auto ran = held.await(103);
    CHECK(std::vector(ran.begin(), ran.begin() + 7) == std::vector<std::string>{"a", "b", "a", "b", "a", "b", "a"});
}

TEST_CASE("fairness: what is read for streams is bounded; who waits for bytes waits in order, and nobody else by it") {
    Held held;
    int a = 0, b = 0;
    std::vector<Readers::Held> kept;
    const auto all = limits::catch_up_in_flight_max_bytes;
    kept.push_back(held.readers.try_hold(Readers::Pool::streams, all - 10));
    REQUIRE(kept.back());
    CHECK_FALSE(held.readers.try_hold(Readers::Pool::streams, 11));
    const auto asks = [&](const void* of, std::size_t bytes, const char* name) {
        REQUIRE(held.readers.submit(of, Readers::Pool::streams, bytes, [&held, &kept, name](const Readers::Held& one) {
            kept.push_back(one);
            held.note(name);
        }));
    };
    asks(&a, 11, "large");
    asks(&b, 1, "small");
    CHECK(held.readers.short_of(Readers::Pool::streams));
    CHECK_FALSE(held.readers.short_of(Readers::Pool::pages));
    CHECK_FALSE(held.readers.try_hold(Readers::Pool::streams, 1));  // others wait
    REQUIRE(held.readers.submit(&a, [&] { held.note("plain"); }));
    REQUIRE(held.readers.submit(&a, Readers::Pool::pages, 1, [&](const Readers::Held&) { held.note("page"); }));
    held.let_go();
    auto ran = held.await(2);
    std::sort(ran.begin(), ran.end());
    CHECK(ran == std::vector<std::string>{"page", "plain"});
    kept[0].reset();
    ran = held.await(4);
    CHECK(std::vector(ran.begin() + 2, ran.end()) == std::vector<std::string>{"large", "small"});
    kept.clear();
    CHECK_FALSE(held.readers.short_of(Readers::Pool::streams));
}
