#include "metering/decimal.h"

#include <doctest/doctest.h>

#include <string>

#include "metering/currency.h"

using namespace licet::metering;

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

TEST_CASE("sums past 38 digits are none") {
    const auto most = *Decimal::parse("999999999999999999999999.99999999999999"), least = *Decimal::parse("0.00000000000001");
    CHECK_FALSE(most.plus(least));
    CHECK_FALSE(most.plus(most));
    CHECK_FALSE(Decimal::parse("-999999999999999999999999.99999999999999")->plus(*Decimal::parse("-0.00000000000001")));
    CHECK(most.plus(*Decimal::parse("-0.00000000000001"))->text(14) == "999999999999999999999999.99999999999998");
    CHECK(Decimal::parse("0.1")->plus(*Decimal::parse("0.2")) == Decimal::parse("0.3"));
}

TEST_CASE("texts of decimals") {
    for (const char* same : {"0", "1", "-1", "0.5", "-0.00000000000001", "120.05", "100"}) CHECK(Decimal::parse(same)->shortest() == same);
    CHECK(Decimal::parse("1.500")->shortest() == "1.5");
    CHECK(Decimal::parse("-0")->shortest() == "0");
    CHECK(Decimal::parse("-0.00000000000001")->units() == "-1");
    CHECK(Decimal::parse("12")->units() == "1200000000000000");
    CHECK(Decimal{}.units() == "0");
}

TEST_CASE("currencies: those in use that have a minor unit, by code") {
    for (const char* code : {"", "EU", "eur", "EURO", "UR ", "D E", " EU", "XXX", "XAU", "XDR", "XTS", "HRK", "BGN", "ANG", "SLL", "ZWL"}) {
        CAPTURE(code);
        CHECK_FALSE(currency_exponent(code));
    }
    for (const auto& [code, exponent] :
         {std::pair{"EUR", 2}, {"USD", 2}, {"GBP", 2}, {"AED", 2}, {"ZWG", 2}, {"XCG", 2}, {"MRU", 2}, {"HUF", 2}, {"JPY", 0}, {"KRW", 0}, {"ISK", 0},
          {"CLP", 0},          {"UGX", 0}, {"XAF", 0}, {"UYI", 0}, {"BHD", 3}, {"KWD", 3}, {"TND", 3}, {"IQD", 3}, {"CLF", 4}, {"UYW", 4}}) {
        CAPTURE(code);
        CHECK(currency_exponent(code) == exponent);
    }
    const auto all = currencies();
    CHECK(all.size() == 165);
    for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].code < all[i].code);
    for (const auto& c : all) CHECK(currency_exponent(c.code) == c.exponent);
}
