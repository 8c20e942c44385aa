// Delivery opens only under a lease, with a catalog read after it was held; and closes at once with it.
#include "server/app/delivery_gate.h"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

using namespace licet;

namespace {

using namespace std::chrono_literals;

class TestFence final : public ports::Fence {
  public:
    void set(ports::FenceTime at) noexcept override { stands = at; }
    void lift() noexcept override { stands.reset(); }
    std::optional<ports::FenceTime> stands;
};

// A catalog that answers, fails, or does not answer, and a data plane that notes what it is told.
struct Stage {
    std::mutex mutex;
    std::condition_variable changed;
    bool fails = false, blocked = false;
    int reads = 0;
    std::vector<bool> told;
    std::vector<std::function<void()>> closing;  // what to call when the data plane has closed
    std::shared_ptr<TestFence> fence = std::make_shared<TestFence>();
    app::DeliveryGate gate{[this] { return refresh(); },
                           [this](bool on, std::function<void()> done) {
                               const std::lock_guard lock(mutex);
                               told.push_back(on);
                               if (!on) closing.push_back(std::move(done));
                               changed.notify_all();
                           },
                           fence};

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
    s.gate.lease(1s);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{true}; }));
    CHECK(s.gate.open());
    s.gate.lease(std::nullopt);
    CHECK_FALSE(s.gate.open());
    CHECK(s.told == std::vector<bool>{true, false});
    s.gate.lease(1s);
    REQUIRE(s.await([&] { return s.told.size() == 3; }));
    CHECK(s.reads == 2);
}

TEST_CASE("delivery gate: a catalog that is away is asked again until it answers") {
    Stage s;
    s.set(s.fails, true);
    s.gate.lease(1s);
    REQUIRE(s.await_reads(3));
    CHECK_FALSE(s.gate.open());
    CHECK(s.told.empty());
    s.set(s.fails, false);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{true}; }));
}

TEST_CASE("delivery gate: what was read under a lease that ended since opens nothing") {
    Stage s;
    s.set(s.blocked, true);
    s.gate.lease(1s);
    REQUIRE(s.await_reads(1));
    s.gate.lease(std::nullopt);  // does not wait for the catalog
    s.gate.lease(1s);            // held again, but the read under way began before
    CHECK(s.told == std::vector<bool>{false});
    s.set(s.blocked, false);
    REQUIRE(s.await([&] { return s.told == std::vector<bool>{false, true}; }));
    CHECK(s.reads == 2);
}

TEST_CASE("delivery gate: stops while it waits for the catalog") {
    Stage s;
    s.set(s.fails, true);
    s.gate.lease(1s);
    REQUIRE(s.await_reads(1));
    s.gate.stop();
    CHECK_FALSE(s.gate.open());
}

TEST_CASE("delivery gate: the fence stands where the lease was last said to reach, until all have closed") {
    Stage s;
    s.gate.lease(1s);
    CHECK(s.fence->stands == 1s);
    REQUIRE(s.await([&] { return s.told.size() == 1; }));
    s.gate.lease(2s);  // renewed: nothing else changes
    CHECK(s.fence->stands == 2s);
    CHECK(s.told.size() == 1);
    s.gate.lease(std::nullopt);
    CHECK(s.fence->stands == 2s);
    s.closing.at(0)();
    CHECK_FALSE(s.fence->stands.has_value());
}

TEST_CASE("delivery gate: what closed late lifts the fence of no later lease") {
    Stage s;
    s.gate.lease(1s);
    REQUIRE(s.await([&] { return s.told.size() == 1; }));
    s.gate.lease(std::nullopt);
    s.gate.lease(3s);
    s.closing.at(0)();
    CHECK(s.fence->stands == 3s);
    REQUIRE(s.await([&] { return s.told.size() == 3; }));  // opened again
    s.gate.lease(std::nullopt);
    s.closing.at(0)();  // of the first time: the data plane was opened since, and has not heard the second close
    CHECK(s.fence->stands == 3s);
    s.closing.at(1)();
    CHECK_FALSE(s.fence->stands.has_value());
}

TEST_CASE("delivery gate: once nothing of the node writes, renewals set no fence") {
    Stage s;
    s.gate.lease(1s);
    s.gate.stop();
    s.gate.lift();
    CHECK_FALSE(s.fence->stands.has_value());
    s.gate.lease(2s);
    CHECK_FALSE(s.fence->stands.has_value());
}
