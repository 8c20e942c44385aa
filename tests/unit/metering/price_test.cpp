// Prices: models, tiers and their bounds, what is included, discount, minimum, cap, proration, and what no price may do.
#include "metering/price.h"

#include <doctest/doctest.h>

#include <random>

using namespace licet;
using namespace licet::metering;

namespace {

Decimal dec(const char* text) { return *Decimal::parse(text); }

std::string amount(const char* currency, const char* per_event, const char* per_mb, std::uint64_t events, std::uint64_t bytes) {
    const Quantity part{events, bytes, 0};
    const auto rated = rate(flat_price(currency, dec(per_event), dec(per_mb)), {&part, 1}, {}, true);
    return rated ? rated->total.text(*currency_exponent(currency)) : "none";
}

Charge flat(Metric metric, const char* unit_price, const char* included = "0") {
    return {metric, ChargeModel::flat, dec(included), {{std::nullopt, dec(unit_price), {}}}, {}, {}};
}
Charge tiers(ChargeModel model, std::vector<Tier> list, const char* included = "0") {
    return {Metric::events, model, dec(included), std::move(list), {}, {}};
}
Charge package(const char* size, const char* price) { return {Metric::events, ChargeModel::package, {}, {}, dec(size), dec(price)}; }

Price price(std::vector<Charge> charges) { return {"EUR", std::move(charges), {}, std::nullopt, std::nullopt}; }

Rated rated(const Price& of, std::vector<Quantity> parts, Share share = {}, bool due = true) {
    auto made = rate(of, parts, share, due);
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().detail));
    return *std::move(made);
}
std::string cost(const Price& of, std::uint64_t events, Share share = {}) { return rated(of, {{events, 0, 0}}, share).total.text(2); }

const std::vector<Tier> kTiers{{dec("100"), dec("1"), dec("5")}, {dec("200"), dec("0.5"), dec("7")}, {std::nullopt, dec("0.1"), dec("0")}};

}  // namespace

TEST_CASE("price: a line is rounded once, on the sum of its charges") {
    // 0.004 + 0.004: rounded apart they would be 0.00.
    CHECK(amount("EUR", "0.004", "4000", 1, 1) == "0.01");
    CHECK(amount("EUR", "0.001", "0", 5, 0) == "0.01");
    CHECK(amount("EUR", "0.001", "0", 4, 0) == "0.00");
    CHECK(amount("EUR", "0", "1", 0, 4'999) == "0.00");
    CHECK(amount("EUR", "0", "1", 0, 5'000) == "0.01");  // one MB is 1,000,000 bytes
    CHECK(amount("JPY", "0.5", "0", 1, 0) == "1");
    CHECK(amount("KWD", "0.0005", "0", 1, 0) == "0.001");
    CHECK(amount("CLF", "0.00005", "0", 1, 0) == "0.0001");
    CHECK(amount("EUR", "0.0002", "0.15", 39'244, 12'345'678) == "9.70");  // 7.8488 + 1.8518517
}

TEST_CASE("price: a price per MB of any number of decimals is exact") {
    // Per byte it has 20 decimals; cut to 14 first, the sum would fall short of the half cent.
    CHECK(amount("EUR", "0.00499999999999", "0.01", 1, 1) == "0.01");              // 0.00499999999999 + 0.00000001
    CHECK(amount("EUR", "0.00499999999999", "0.00000000999999", 1, 1) == "0.00");  // + 0.00000000000000999999: just short of a half
    CHECK(amount("EUR", "0.00499999999999", "0.00000001", 1, 1) == "0.01");        // + 0.00000000000001: just a half
}

TEST_CASE("price: what cannot be rated is no amount, not a wrong one") {
    CHECK(amount("EUR", "1", "0", 999'999'999'999'999'999, 0) == "999999999999999999.00");
    CHECK(amount("EUR", "1", "0", 1'000'000'000'000'000'000, 0) == "none");
    CHECK(amount("EUR", "0.99999999999999", "0", UINT64_MAX, 0) == "none");
    CHECK(amount("EUR", "1000000", "1000000", UINT64_MAX, UINT64_MAX) == "none");
    CHECK(amount("EUR", "999999999999999999999999.99999999999999", "0", UINT64_MAX, 0) == "none");
    // Counts whose sum is past 64 bits are still counted.
    CHECK(rated(price({flat(Metric::events, "0.01")}), {{UINT64_MAX, 0, 0}, {UINT64_MAX, 0, 0}}).total.text(2) == "368934881474191032.30");
    const auto refused = rate(price({flat(Metric::events, "1")}), std::vector<Quantity>{{UINT64_MAX, 0, 0}}, {}, true);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().detail == "an amount has more than 18 digits before the point");
    CHECK_FALSE(rate(flat_price("XXX", dec("1"), dec("1")), {}, {}, true).ok());
}

TEST_CASE("price: graduated, at the bounds of its tiers") {
    const auto p = price({tiers(ChargeModel::graduated, kTiers)});
    CHECK(cost(p, 0) == "0.00");  // no unit falls into the first tier: no fee
    CHECK(cost(p, 1) == "6.00");
    CHECK(cost(p, 99) == "104.00");
    CHECK(cost(p, 100) == "105.00");
    CHECK(cost(p, 101) == "112.50");  // + the fee of the second tier + 0.5
    CHECK(cost(p, 200) == "162.00");
    CHECK(cost(p, 201) == "162.10");
    CHECK(cost(p, 1'000) == "242.00");
}

TEST_CASE("price: volume, at the bounds of its tiers") {
    const auto p = price({tiers(ChargeModel::volume, kTiers)});
    CHECK(cost(p, 0) == "0.00");
    CHECK(cost(p, 1) == "6.00");
    CHECK(cost(p, 100) == "105.00");
    CHECK(cost(p, 101) == "57.50");  // all at 0.5, and the fee of that tier only
    CHECK(cost(p, 200) == "107.00");
    CHECK(cost(p, 201) == "20.10");
}

TEST_CASE("price: packages are whole, included units come first") {
    const auto p = price({package("1000", "3")});
    CHECK(cost(p, 0) == "0.00");
    CHECK(cost(p, 1) == "3.00");
    CHECK(cost(p, 1'000) == "3.00");
    CHECK(cost(p, 1'001) == "6.00");
    const auto free = price({flat(Metric::events, "1", "10")});
    CHECK(cost(free, 10) == "0.00");
    CHECK(cost(free, 11) == "1.00");
    // Tiers count from behind what is included.
    const auto tiered = price({tiers(ChargeModel::graduated, kTiers, "50")});
    CHECK(cost(tiered, 50) == "0.00");
    CHECK(cost(tiered, 150) == "105.00");
    CHECK(cost(tiered, 151) == "112.50");
}

TEST_CASE("price: metrics are rated each for itself and summed") {
    const auto p = price({flat(Metric::events, "0.001"), flat(Metric::megabytes, "0.5"), flat(Metric::minutes, "0.02")});
    CHECK(rated(p, {{1'000, 2'000'000, 60}}).total == dec("3.2"));
    CHECK(rated(p, {{0, 0, 60}}).total == dec("1.2"));
    for (const auto metric : {Metric::events, Metric::megabytes, Metric::minutes}) CHECK(parse_metric(metric_name(metric)) == metric);
    for (const auto model : {ChargeModel::flat, ChargeModel::graduated, ChargeModel::volume, ChargeModel::package})
        CHECK(parse_charge_model(charge_model_name(model)) == model);
    CHECK_FALSE(parse_metric("seconds"));
    CHECK_FALSE(parse_charge_model("stairstep"));
}

TEST_CASE("price: discount, minimum and cap are lines of their own, in this order") {
    auto p = price({flat(Metric::events, "1")});
    p.discount_percent = dec("12.5");
    auto made = rated(p, {{3, 0, 0}});
    CHECK(made.usage == dec("3"));
    CHECK(made.discount == dec("-0.38"));  // 0.375, away from zero
    CHECK(made.total == dec("2.62"));
    p.minimum = dec("100");
    p.cap = dec("200");
    CHECK(rated(p, {{3, 0, 0}}).minimum == dec("97.38"));
    CHECK(rated(p, {{3, 0, 0}}).total == dec("100"));
    CHECK(rated(p, {{3, 0, 0}}, {}, false).minimum == Decimal{});  // not owed before the period is over
    CHECK(rated(p, {}).total == dec("100"));
    CHECK(rated(p, {{1'000, 0, 0}}).cap == dec("-675"));
    CHECK(rated(p, {{1'000, 0, 0}}).total == dec("200"));
    CHECK(rated(p, {{150, 0, 0}}).minimum == Decimal{});
    CHECK(rated(p, {{150, 0, 0}}).cap == Decimal{});
    p.discount_percent = dec("100");
    CHECK(rated(p, {{150, 0, 0}}).total == dec("100"));
}

TEST_CASE("price: what is stated per period counts by the days of it") {
    auto p = price({tiers(ChargeModel::graduated, kTiers, "30")});
    p.minimum = dec("31");
    p.cap = dec("100");
    const Share third{10, 30};
    CHECK(rated(p, {{10, 0, 0}}, third).usage == Decimal{});                // 10 of 30 included
    CHECK(rated(p, {{10, 0, 0}}, third).minimum == dec("10.33"));           // 31/3
    CHECK(rated(p, {{43, 0, 0}}, third).usage == dec("34.67"));             // 33 units; the first tier ends at 33 1/3; a third of its fee
    CHECK(rated(p, {{44, 0, 0}}, third).usage == dec("37.67"));             // 33 1/3 + 5/3 + 2/3 x 0.5 + 7/3
    CHECK(rated(p, {{100'000, 0, 0}}, third).total == dec("33.33"));        // 100/3
    CHECK(rated(p, {{1, 0, 0}}, {0, 30}).usage == dec("0.10"));             // a share of nothing: beyond every tier
    CHECK(cost(price({package("10", "3")}), 11, {1, 30}) == "6.00");        // a package is one at any share
    CHECK(cost(price({flat(Metric::events, "1")}), 7, {1, 31}) == "7.00");  // a price per unit, too
}

TEST_CASE("price: any parts sum to what the whole costs, none is negative, and no cent goes to a part that earned none") {
    std::mt19937_64 random(20261121);
    const auto any = [&](std::uint64_t most) { return random() % (most + 1); };
    const auto money = [&](std::uint64_t most) { return dec((std::to_string(any(most)) + "." + std::to_string(any(999'999))).c_str()); };
    for (int round = 0; round < 400; ++round) {
        std::vector<Charge> charges;
        for (auto n = 1 + any(3); n > 0; --n) {
            Charge c{static_cast<Metric>(any(2)), static_cast<ChargeModel>(any(3)), any(1) ? money(50) : Decimal{}, {}, {}, {}};
            if (c.model == ChargeModel::package) {
                c.package_size = money(20), c.package_price = money(3);
                if (c.package_size == Decimal{}) c.package_size = dec("1");
            } else if (c.model == ChargeModel::flat) {
                c.tiers = {{std::nullopt, money(2), {}}};
            } else {
                c.tiers = {{dec("10"), money(2), money(5)}, {dec("200.5"), money(1), money(5)}, {std::nullopt, money(0), {}}};
            }
            charges.push_back(std::move(c));
        }
        auto p = price(std::move(charges));
        if (any(1)) p.discount_percent = money(99);
        if (any(1)) p.minimum = money(500);
        if (any(2) == 0) p.cap = money(700), p.minimum.reset();
        const Share share{static_cast<std::uint32_t>(1 + any(29)), 30};
        std::vector<Quantity> parts(any(40));
        for (auto& part : parts) part = {any(30), any(3'000'000), any(20)};
        if (!parts.empty() && any(1)) parts[0] = {};
        Quantity whole;
        for (const auto& part : parts) whole = {whole.events + part.events, whole.bytes + part.bytes, whole.minutes + part.minutes};
        const auto of_parts = rated(p, parts, share), of_whole = rated(p, {whole}, share);
        CAPTURE(round);
        CHECK(of_parts.total == of_whole.total);
        CHECK(of_parts.usage == of_whole.usage);
        Decimal sum;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            sum += of_parts.parts[i];
            CHECK_FALSE(of_parts.parts[i].negative());
            CHECK(of_parts.parts[i] == of_parts.parts[i].rounded(2));
            const auto& q = parts[i];
            if (q.events == 0 && q.bytes == 0 && q.minutes == 0) CHECK(of_parts.parts[i] == Decimal{});
        }
        if (!parts.empty()) CHECK(sum == of_parts.usage);
        CHECK(of_parts.discount <= Decimal{});
        CHECK(of_parts.minimum >= Decimal{});
        CHECK(of_parts.cap <= Decimal{});
        CHECK_FALSE(of_parts.total.negative());
        if (p.cap) CHECK(of_parts.total <= p.cap->rounded(2));
    }
}

TEST_CASE("price: equal parts differ by a cent at most, the first ones get it") {
    const auto made = rated(price({flat(Metric::events, "0.01")}), {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}}, {});
    CHECK(made.parts == std::vector<Decimal>{dec("0.01"), dec("0.01"), dec("0.01")});
    auto p = price({flat(Metric::events, "0.05", "1")});  // 0.10 for two of three events
    CHECK(rated(p, {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}}).parts == std::vector<Decimal>{dec("0.04"), dec("0.03"), dec("0.03")});
    CHECK(rated(p, {{1, 0, 0}, {2, 0, 0}}).parts == std::vector<Decimal>{dec("0.03"), dec("0.07")});
}
