#include "metering/contract_meter.h"

#include <doctest/doctest.h>

#include "base/limits.h"

using namespace licet;
using namespace licet::metering;

namespace {

constexpr Offset kLease = limits::intent_lease_offsets;

IntervalSet set_of(Offset from, Offset to) {
    IntervalSet set;
    set.add(from, to);
    return set;
}
std::vector<OffsetRange> deliver(ContractMeter& meter, Offset from, Offset to) {
    std::vector<OffsetRange> fresh;
    meter.delivered(from, to, fresh);
    return fresh;
}

}  // namespace

TEST_CASE("nothing may be sent before its intent is durable") {
    ContractMeter meter{{}};
    CHECK(meter.sendable_until(0, 10) == 0);
    const auto asked = meter.intent_needed(0);
    REQUIRE(asked);
    CHECK(*asked == OffsetRange{0, kLease});
    CHECK(meter.sendable_until(0, 10) == 0);          // asked for is not durable
    CHECK_FALSE(meter.intent_needed(0).has_value());  // nor asked for twice
    meter.intent_durable(*asked);
    CHECK(meter.sendable_until(0, 10) == 10);
    CHECK(meter.sendable_until(0, 2 * kLease) == kLease);
    CHECK(meter.sendable_until(kLease, 2 * kLease) == kLease);
}

TEST_CASE("the next lease is asked for when half of one is left") {
    ContractMeter meter{{}};
    meter.intent_durable(*meter.intent_needed(0));
    CHECK_FALSE(meter.intent_needed(kLease / 2 - 1));
    const auto next = meter.intent_needed(kLease / 2);
    REQUIRE(next);
    CHECK(*next == OffsetRange{kLease, 2 * kLease});
    CHECK_FALSE(meter.intent_needed(kLease / 2));
    meter.intent_failed(*next);
    CHECK(meter.intent_needed(kLease / 2) == next);
}

TEST_CASE("an offset is billed once, whoever delivers it again") {
    ContractMeter meter{set_of(10, 20)};
    meter.intent_durable({0, 100});
    CHECK(deliver(meter, 0, 5) == std::vector<OffsetRange>{{0, 5}});
    CHECK(deliver(meter, 0, 5).empty());
    CHECK(deliver(meter, 3, 25) == std::vector<OffsetRange>{{5, 10}, {20, 25}});
    CHECK(deliver(meter, 0, 25).empty());
    CHECK(meter.billed().total() == 25);
}

TEST_CASE("a replay of what is billed needs no intent, what follows does") {
    ContractMeter meter{set_of(0, 50)};
    CHECK(meter.sendable_until(0, 80) == 50);
    CHECK(meter.sendable_until(50, 80) == 50);
    const auto asked = meter.intent_needed(0);
    REQUIRE(asked);
    CHECK(asked->from == 50);
    meter.intent_durable(*asked);
    CHECK(meter.sendable_until(0, 80) == 80);  // across billed and intended
}

TEST_CASE("a meter that was abandoned sends nothing and names what it did not use") {
    ContractMeter meter{set_of(0, 10)};
    meter.intent_durable({10, 100});
    const auto pending = meter.intent_needed(90);
    REQUIRE(pending);
    deliver(meter, 10, 30);
    deliver(meter, 40, 50);
    CHECK(meter.abandon() == std::vector<OffsetRange>{{30, 40}, {50, pending->to}});
    CHECK(meter.sendable_until(0, 60) == 0);
    meter.intent_durable(*pending);  // arrives late
    CHECK(meter.sendable_until(100, 110) == 100);
    CHECK_FALSE(meter.intent_needed(30));
}
