// IntervalSet against a plain set of offsets, over random operations.
#include "metering/interval_set.h"

#include <doctest/doctest.h>

#include <bitset>
#include <random>

#include "metering/contract_meter.h"

using namespace licet;
using metering::IntervalSet;
using metering::OffsetRange;

namespace {

constexpr Offset kSpace = 96;
using Model = std::bitset<kSpace>;

void require_equal(const IntervalSet& set, const Model& model) {
    REQUIRE(set.total() == model.count());
    Offset runs = 0, tail = 0;
    for (Offset i = 0; i < kSpace; ++i) {
        REQUIRE(set.contains(i) == model[i]);
        if (model[i]) {
            if (i == 0 || !model[i - 1]) ++runs;
            tail = i + 1;
        }
        Offset end = i;
        while (end < kSpace && model[end]) ++end;
        REQUIRE(set.covered_until(i) == end);
    }
    REQUIRE(set.ranges() == runs);  // what touches is merged
    REQUIRE(set.tail() == tail);
}

void require_missing(const IntervalSet& set, const Model& model, Offset from, Offset to) {
    std::vector<OffsetRange> missing;
    set.missing(from, to, missing);
    Model found;
    Offset last = 0;
    for (const auto& m : missing) {
        REQUIRE(m.from < m.to);
        REQUIRE((found.none() || m.from > last));  // ascending, not touching
        last = m.to;
        for (Offset i = m.from; i < m.to; ++i) found.set(i);
    }
    for (Offset i = 0; i < kSpace; ++i) REQUIRE(found[i] == (i >= from && i < to && !model[i]));
}

}  // namespace

TEST_CASE("an interval set behaves like a set of offsets") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        IntervalSet set;
        Model model;
        for (int step = 0; step < 150; ++step) {
            Offset from = random() % kSpace, to = random() % (kSpace + 1);
            if (random() % 4 != 0) to = std::min<Offset>(kSpace, from + random() % 8);
            const bool add = random() % 5 < 3;
            add ? set.add(from, to) : set.remove(from, to);
            for (Offset i = from; i < to; ++i) model.set(i, add);
            require_equal(set, model);
            require_missing(set, model, random() % kSpace, random() % (kSpace + 1));
        }
    }
}

TEST_CASE("touching ranges merge, empty ones are nothing") {
    IntervalSet set;
    set.add(5, 5);
    set.add(9, 3);
    CHECK(set.ranges() == 0);
    CHECK(set.tail() == 0);
    set.add(0, 10);
    set.add(20, 30);
    set.add(10, 20);
    CHECK(set.ranges() == 1);
    CHECK(set.covered_until(0) == 30);
    set.remove(15, 15);
    CHECK(set.ranges() == 1);
    set.remove(15, 16);
    CHECK(set.ranges() == 2);
    CHECK(set.covered_until(15) == 15);
}
