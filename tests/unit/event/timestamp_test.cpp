// Seconds and nanoseconds from RFC 3339 and back, and what media types are JSON.
#include "event/timestamp.h"

#include <doctest/doctest.h>

#include "event/media_type.h"

using namespace licet::event;

TEST_CASE("timestamps keep what a millisecond loses") {
    CHECK(parse_timestamp("2026-01-02T03:04:05Z") == Timestamp{1767323045, 0});
    CHECK(parse_timestamp("2026-01-02T05:04:05.123456789+02:00") == Timestamp{1767323045, 123456789});
    CHECK(parse_timestamp("2026-01-02T03:04:05.1234567899Z") == Timestamp{1767323045, 123456789});
    CHECK(parse_timestamp("1969-12-31T23:59:59.25Z") == Timestamp{-1, 250000000});
    CHECK(parse_timestamp("0001-01-01T00:00:00Z") == Timestamp{-62135596800, 0});
    CHECK(parse_timestamp("2016-12-31T23:59:60.5Z") == Timestamp{1483228799, 999000000});
    CHECK_FALSE(parse_timestamp("2026-01-02"));
    CHECK_FALSE(parse_timestamp("0001-01-01T00:00:00+01:00"));
}

TEST_CASE("timestamps are written with the digits they need") {
    CHECK(format_timestamp({1767323045, 0}) == "2026-01-02T03:04:05Z");
    CHECK(format_timestamp({1767323045, 678000000}) == "2026-01-02T03:04:05.678Z");
    CHECK(format_timestamp({1767323045, 120000000}) == "2026-01-02T03:04:05.120Z");
    CHECK(format_timestamp({1767323045, 1000}) == "2026-01-02T03:04:05.000001Z");
    CHECK(format_timestamp({-1, 1}) == "1969-12-31T23:59:59.000000001Z");
    CHECK(format_timestamp({253402300799, 999999999}) == "9999-12-31T23:59:59.999999999Z");
    CHECK_FALSE(format_timestamp({253402300800, 0}));
    CHECK_FALSE(format_timestamp({-62135596801, 0}));
    CHECK_FALSE(format_timestamp({0, -1}));
    CHECK_FALSE(format_timestamp({0, 1000000000}));
}

TEST_CASE("JSON is told by subtype or suffix") {
    for (const auto* type :
         {"application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/vnd.a+json", "text/json", "application/json ;x=y"})
        CHECK(is_json_media_type(type));
    for (const auto* type : {"", "text/plain", "application/jsonl", "application/x-json", "json", "text/plain; a=/json", "application/json+xml"})
        CHECK_FALSE(is_json_media_type(type));
}
