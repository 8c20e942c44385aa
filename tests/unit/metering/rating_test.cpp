// Rating without holding the parts: to the cent what it is with all of them in memory, however little room there is.
#include "metering/rating.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "metering/exact.h"

using namespace licet;
using namespace licet::metering;

namespace {

Decimal dec(const std::string& text) { return *Decimal::parse(text); }

Charge flat(Metric metric, const std::string& unit_price) { return {metric, ChargeModel::flat, {}, {{std::nullopt, dec(unit_price), {}}}, {}, {}}; }

std::vector<Decimal> streamed(const Price& price, const std::vector<Quantity>& parts, Rating::Room room, int* passes = nullptr) {
    Rating rating(price, room);
    for (const auto& part : parts) rating.count(part);
    REQUIRE(rating.rate({}, true).ok());
    for (int pass = 0; !rating.settled(); ++pass) {
        REQUIRE(pass < 40);
        if (passes != nullptr) *passes = pass + 1;
        for (const auto& part : parts) rating.weigh(part);
        rating.weighed();
    }
    // As often as they are asked for.
    std::vector<Decimal> out;
    for (int time = 0; time < 2; ++time) {
        out.clear();
        rating.begin();
        for (const auto& part : parts) out.push_back(rating.amount(part));
    }
    return out;
}

// The same with everything in memory: whole cents, then one each to the largest remainders, of equal ones to earlier parts.
std::vector<Decimal> held(const std::vector<Quantity>& parts, std::uint64_t per_event, std::uint64_t per_byte, const Integer& cents) {
    Integer all = 0, left = cents;
    for (const auto& part : parts) all += Integer(per_event) * part.events + Integer(per_byte) * part.bytes;
    std::vector<Integer> units(parts.size()), rests(parts.size());
    for (std::size_t i = 0; i < parts.size() && all > 0; ++i) {
        divide_qr(Integer((Integer(per_event) * parts[i].events + Integer(per_byte) * parts[i].bytes) * cents), all, units[i], rests[i]);
        left -= units[i];
    }
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rests[a] > rests[b]; });
    for (std::size_t i = 0; all > 0 && Integer(i) < left; ++i) ++units[order[i]];
    std::vector<Decimal> out;
    for (const auto& u : units) out.push_back(*decimal_of(u, 2));
    return out;
}

}  // namespace

TEST_CASE("rating: parts that are gone over come to what parts in memory do, with hardly any room") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        const std::uint64_t events = 1 + random() % 9, bytes = random() % 3;
        // Per event and per byte in tenths of a cent, so that weights are just these numbers.
        Price price{
            "EUR", {flat(Metric::events, "0.00" + std::to_string(events)), flat(Metric::megabytes, std::to_string(1'000 * bytes))}, {}, {}, {}};
        std::vector<Quantity> parts(random() % 300);
        const bool alike = random() % 3 == 0;
        for (auto& part : parts) part = alike ? Quantity{3, 5, 0} : Quantity{random() % 50, random() % 1'000, 0};
        Integer tenths = 0;
        for (const auto& part : parts) tenths += Integer(events) * part.events + Integer(bytes) * part.bytes;
        const auto expected = held(parts, events, bytes, (tenths + 5) / 10);
        CAPTURE(round);
        CHECK(streamed(price, parts, {}) == expected);
        CHECK(streamed(price, parts, {1, 1}) == expected);
        CHECK(streamed(price, parts, {2, 3}) == expected);
        CHECK(streamed(price, parts, {7, 2}) == expected);
    }
}

TEST_CASE("rating: few passes do, whether parts are alike or not") {
    const Price price{"EUR", {flat(Metric::events, "0.0037")}, {}, {}, {}};
    int passes = 0;
    std::vector<Quantity> parts(20'000, Quantity{7, 0, 0});
    (void)streamed(price, parts, {}, &passes);
    CHECK(passes == 1);
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].events = 1 + i * 7919 % 100'003;
    (void)streamed(price, parts, {}, &passes);
    CHECK(passes <= 2);
}

TEST_CASE("rating: nothing to share out is settled at once") {
    const Price price{"EUR", {flat(Metric::events, "0.001")}, {}, {}, {}};
    int passes = 0;
    CHECK(streamed(price, {}, {}, &passes).empty());
    CHECK(streamed(price, {{1, 1, 1}}, {}, &passes) == std::vector<Decimal>{{}});
    CHECK(passes == 0);
}
