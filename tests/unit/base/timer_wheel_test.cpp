#include "base/timer_wheel.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

using licet::TimerWheel;

namespace {

struct Timer : TimerWheel::Entry {
    int number = 0;
};

}  // namespace

TEST_CASE("timers come due at their tick, near and far") {
    constexpr std::uint64_t kStart = 1'000'003;
    TimerWheel wheel(kStart);
    const std::vector<std::uint64_t> after{1, 2, 63, 64, 65, 127, 4'095, 4'096, 4'097, 262'143, 262'144, 300'000};
    std::vector<Timer> timers(after.size());
    for (std::size_t i = 0; i < after.size(); ++i) wheel.set(timers[i], kStart + after[i]);
    std::size_t fired = 0;
    for (std::uint64_t now = kStart + 1; now <= kStart + 300'000; ++now)
        wheel.advance(now, [&](TimerWheel::Entry& entry) {
            CHECK(&entry == &timers[fired]);
            CHECK(now == kStart + after[fired]);
            CHECK_FALSE(entry.set());
            ++fired;
        });
    CHECK(fired == after.size());
}

TEST_CASE("what lies further ahead than the wheel reaches waits as long as it should") {
    TimerWheel wheel(5);
    Timer far;
    constexpr std::uint64_t kDue = 5 + (std::uint64_t{1} << 24) + 77;
    wheel.set(far, kDue);
    int fired = 0;
    wheel.advance(kDue - 1, [&](TimerWheel::Entry&) { ++fired; });
    CHECK(fired == 0);
    wheel.advance(kDue, [&](TimerWheel::Entry&) { ++fired; });
    CHECK(fired == 1);
}

TEST_CASE("setting again moves it, cancelling and dying take it out") {
    TimerWheel wheel(0);
    Timer moved, cancelled;
    auto dead = std::make_unique<Timer>();
    wheel.set(moved, 10);
    wheel.set(cancelled, 10);
    wheel.set(*dead, 10);
    wheel.set(moved, 90);
    CHECK(cancelled.set());
    cancelled.cancel();
    CHECK_FALSE(cancelled.set());
    dead.reset();
    std::vector<std::uint64_t> fired;
    for (std::uint64_t now = 1; now <= 100; ++now) wheel.advance(now, [&](TimerWheel::Entry& entry) { fired.push_back(entry.due()); });
    CHECK(fired == std::vector<std::uint64_t>{90});
}

TEST_CASE("the past is the next tick, also from within") {
    TimerWheel wheel(50);
    Timer late, again;
    wheel.set(late, 3);
    int turns = 0;
    wheel.advance(51, [&](TimerWheel::Entry&) {
        ++turns;
        wheel.set(again, 51);  // this tick is under way
    });
    CHECK(turns == 1);
    wheel.advance(52, [&](TimerWheel::Entry& entry) { CHECK(&entry == &again); });
    CHECK_FALSE(again.set());
}

TEST_CASE("one that comes due may take its neighbours out") {
    TimerWheel wheel(0);
    std::vector<std::unique_ptr<Timer>> timers;
    for (int i = 0; i < 4; ++i) {
        timers.push_back(std::make_unique<Timer>());
        timers.back()->number = i;
        wheel.set(*timers.back(), 7);
    }
    int fired = 0;
    wheel.advance(7, [&](TimerWheel::Entry& entry) {
        const int self = static_cast<Timer&>(entry).number;
        ++fired;
        for (int i = 0; i < 4; ++i)
            if (i != self) timers[static_cast<std::size_t>(i)].reset();
    });
    CHECK(fired == 1);
}

TEST_CASE("random timers fire as an ordered map would have them") {
    std::mt19937_64 random(20'261'121);
    TimerWheel wheel(0);
    std::vector<Timer> timers(200);
    std::map<int, std::uint64_t> expected;
    for (int i = 0; i < 200; ++i) timers[static_cast<std::size_t>(i)].number = i;
    std::uint64_t now = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto& timer = timers[random() % timers.size()];
        const auto what = random() % 10;
        if (what == 0) {
            timer.cancel();
            expected.erase(timer.number);
        } else if (what < 8) {
            const auto due = now + random() % (std::uint64_t{1} << (random() % 16));
            wheel.set(timer, due);
            expected[timer.number] = std::max(due, now + 1);
        } else {
            const auto to = now + random() % 200;
            std::uint64_t last = 0;
            wheel.advance(to, [&](TimerWheel::Entry& entry) {
                const int number = static_cast<Timer&>(entry).number;
                REQUIRE(expected.contains(number));
                CHECK(expected[number] == entry.due());
                CHECK(entry.due() <= to);
                CHECK(entry.due() >= last);
                last = entry.due();
                expected.erase(number);
            });
            now = to;
            for (const auto& [number, due] : expected) REQUIRE(due > now);
        }
    }
}
