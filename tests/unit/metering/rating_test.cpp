#include "metering/rating.h"

#include <doctest/doctest.h>

#include <string>

using namespace licet::metering;

namespace {

std::string amount(const char* currency, const char* per_event, const char* per_mb, std::uint64_t events, std::uint64_t bytes) {
    const auto value = rate({currency, *Decimal::parse(per_event), *Decimal::parse(per_mb)}, events, bytes);
    return value ? value->text(*currency_exponent(currency)) : "none";
}

}  // namespace

TEST_CASE("decimals parse exactly or not at all") {
    for (const char* good : {"0", "12", "0.0005", "-1.5", "0.00000000000001", "999999999999999999999999.99999999999999"}) {
        CAPTURE(good);
        REQUIRE(Decimal::parse(good));
    }
    for (const char* bad :
         {"", "-", ".5", "5.", "+1", "1e3", "1,5", " 1", "1 ", "0x1", "1.2.3", "0.000000000000001", "1000000000000000000000000", "--1"}) {
        CAPTURE(bad);
        CHECK_FALSE(Decimal::parse(bad));
    }
    CHECK(Decimal::parse("1.50")->text(2) == "1.50");
    CHECK(Decimal::parse("-0.05")->text(2) == "-0.05");
    CHECK(Decimal::parse("007")->text(0) == "7");
    CHECK(Decimal::parse("999999999999999999999999.99999999999999")->text(14) == "999999999999999999999999.99999999999999");
}

TEST_CASE("rounding is half away from zero") {
    CHECK(Decimal::parse("0.005")->rounded(2).text(2) == "0.01");
    CHECK(Decimal::parse("0.00499999999999")->rounded(2).text(2) == "0.00");
    CHECK(Decimal::parse("-0.005")->rounded(2).text(2) == "-0.01");
    CHECK(Decimal::parse("2.5")->rounded(0).text(0) == "3");
    CHECK(Decimal::parse("3.5")->rounded(0).text(0) == "4");
    CHECK(Decimal::parse("0.125")->rounded(2).text(2) == "0.13");  // half to even would say 0.12
    CHECK(Decimal::parse("1.23456789012345")->rounded(14).text(14) == "1.23456789012345");
}

TEST_CASE("a line is rounded once, on the sum of both parts") {
    // 0.004 + 0.004: rounded apart they would be 0.00.
    CHECK(amount("EUR", "0.004", "4000", 1, 1) == "0.01");
    CHECK(amount("EUR", "0.001", "0", 5, 0) == "0.01");
    CHECK(amount("EUR", "0.001", "0", 4, 0) == "0.00");
    CHECK(amount("EUR", "0", "1", 0, 4'999) == "0.00");
    CHECK(amount("EUR", "0", "1", 0, 5'000) == "0.01");  // one MB is 1,000,000 bytes
    CHECK(amount("JPY", "0.5", "0", 1, 0) == "1");
    CHECK(amount("KWD", "0.0005", "0", 1, 0) == "0.001");
    CHECK(amount("EUR", "0.0002", "0.15", 39'244, 12'345'678) == "9.70");  // 7.8488 + 1.8518517
}

TEST_CASE("a price per MB of any number of decimals is exact") {
    // Per byte it has 20 decimals; cut to 14 first, the sum would fall short of the half cent.
    CHECK(amount("EUR", "0.00499999999999", "0.01", 1, 1) == "0.01");              // 0.00499999999999 + 0.00000001
    CHECK(amount("EUR", "0.00499999999999", "0.00000000999999", 1, 1) == "0.00");  // + 0.00000000000000999999: just short of a half
    CHECK(amount("EUR", "0.00499999999999", "0.00000001", 1, 1) == "0.01");        // + 0.00000000000001: just a half
}

TEST_CASE("what cannot be rated is no amount, not a wrong one") {
    CHECK(amount("EUR", "1", "0", 1'000'000'000'000, 0) == "1000000000000.00");
    CHECK(amount("EUR", "1000000", "1000000", UINT64_MAX, UINT64_MAX) == "none");
    CHECK_FALSE(rate({"XXX", *Decimal::parse("1"), *Decimal::parse("1")}, 1, 1));
    CHECK_FALSE(Decimal::parse("999999999999999999999999")->times(UINT64_MAX));
    for (const char* code : {"", "EU", "eur", "EURO", "UR ", "D E", " EU"}) CHECK_FALSE(currency_exponent(code));
    CHECK(currency_exponent("USD") == 2);
    CHECK(currency_exponent("JPY") == 0);
    CHECK(currency_exponent("BHD") == 3);
}
