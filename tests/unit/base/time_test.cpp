#include "base/time.h"

#include <doctest/doctest.h>

using namespace licet;

TEST_CASE("HTTP's own form of a moment") {
    CHECK(format_http_date({784'111'777'000}) == "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110
    CHECK(format_http_date({784'111'777'999}) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(format_http_date(parse_rfc3339("2024-02-29T23:59:59.999Z").value()) == "Thu, 29 Feb 2024 23:59:59 GMT");
    CHECK(format_http_date({0}) == "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_CASE("RFC 3339: offsets, fractions and the leap second") {
    const auto at = [](const char* text) { return parse_rfc3339(text).value_or(UtcMillis{-1}).value; };
    CHECK(at("1970-01-01T00:00:00Z") == 0);
    CHECK(at("1970-01-01T00:00:00.5Z") == 500);
    CHECK(at("1970-01-01T00:00:00.123999999999999999999Z") == 123);
    CHECK(at("1970-01-01T01:00:00+01:00") == 0);
    CHECK(at("1969-12-31T23:30:00-00:30") == 0);
    CHECK(at("2016-12-31T23:59:60Z") == 1483228799999);
    CHECK(at("2024-02-29T00:00:00Z") == 1709164800000);
    CHECK(at("2024-02-29t00:00:00z") == 1709164800000);
}

TEST_CASE("RFC 3339: what is malformed or outside the years is refused") {
    for (const char* text : {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
                             "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z",
                             "2024-01-01", "24-01-01T00:00:00Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00Zx", "0000-01-01T00:00:00Z",
                             "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2024-1-01T00:00:00Z"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_rfc3339(text).has_value());
    }
    CHECK(parse_rfc3339("0001-01-01T00:00:00Z").has_value());
    CHECK(parse_rfc3339("9999-12-31T23:59:59.999Z").has_value());
}

TEST_CASE("times are written as they are read") {
    for (const char* text : {"2026-11-21T07:08:09.010Z", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"})
        CHECK(format_rfc3339(parse_rfc3339(text).value()) == text);
    CHECK(parse_date("2026-11-21") == parse_rfc3339("2026-11-21T00:00:00Z"));
    CHECK_FALSE(parse_date("2026-11-21Z").has_value());
}
