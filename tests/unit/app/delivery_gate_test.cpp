// Delivery opens only under a lease, with a catalog read after it was held; and closes at once with it.
#include "server/app/delivery_gate.h"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

using namespace licet;

namespace {

// A catalog that answers, fails, or does not answer, and a data plane that notes what it is told.
struct Stage {
    std::mutex mutex;
    std::condition_variable changed;
    bool fails = false, blocked = false;
    int reads = 0;
    std::vector<bool> told;
    app::DeliveryGate gate{[this] { return refresh(); },
                           [this](bool on) {
                               const std::lock_guard lock(mutex);
                               told.push_back(on);
                               changed.notify_all();
                           }};

    ~Stage() {
        set(blocked, false);
        gate.stop();
    }
    Status refresh() {
        std::unique_lock lock(mutex);
        ++reads;
        changed.notify_all();
        changed.wait(lock, [&] { return !blocked; });
        return fails ? Status(Errc::unavailable, "away") : success();
    }
    void set(bool& flag, bool value) {
        const std::lock_guard lock(mutex);
        flag = value;
        changed.notify_all();
    }
    template <class Condition>
    [[nodiscard]] bool await(Condition&& condition) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::seconds(20), condition);
    }
    [[nodiscard]] bool await_reads(int most) {
        return await([&] { return reads >= most; });
    }
};

}  // namespace

TEST_CASE("delivery gate: opens after a read under the lease, closes with it") {
    Stage s;
    CHECK_FALSE(s.gate.open());
    s.gate.lease(true);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{true}; }));
    CHECK(s.gate.open());
    s.gate.lease(false);
    CHECK_FALSE(s.gate.open());
    CHECK(s.told == std::vector<bool>{true, false});
    s.gate.lease(true);
    REQUIRE(s.await([&] { return s.told.size() == 3; }));
    CHECK(s.reads == 2);
}

TEST_CASE("delivery gate: a catalog that is away is asked again until it answers") {
    Stage s;
    s.set(s.fails, true);
    s.gate.lease(true);
    REQUIRE(s.await_reads(3));
    CHECK_FALSE(s.gate.open());
    CHECK(s.told.empty());
    s.set(s.fails, false);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{true}; }));
}

TEST_CASE("delivery gate: what was read under a lease that ended since opens nothing") {
    Stage s;
    s.set(s.blocked, true);
    s.gate.lease(true);
    REQUIRE(s.await_reads(1));
    s.gate.lease(false);  // does not wait for the catalog
    s.gate.lease(true);   // held again, but the read under way began before
    CHECK(s.told == std::vector<bool>{false});
    s.set(s.blocked, false);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{false, true}; }));
    CHECK(s.reads == 2);
}

TEST_CASE("delivery gate: stops while it waits for the catalog") {
    Stage s;
    s.set(s.fails, true);
    s.gate.lease(true);
    REQUIRE(s.await_reads(1));
    s.gate.stop();
    CHECK_FALSE(s.gate.open());
}
