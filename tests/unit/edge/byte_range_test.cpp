#include "server/stream/edge/byte_range.h"

#include <doctest/doctest.h>

using licet::stream::byte_range;
using licet::stream::ByteRange;

TEST_CASE("one range of bytes is a part, what is not to be understood or lies outside asks for the whole") {
    const auto at = [](const char* range, std::uint64_t bytes = 1000, const char* if_range = "") {
        return byte_range(range, if_range, "\"a\"", bytes);
    };
    const ByteRange whole{false, 0, 1000};
    CHECK(at("") == whole);
    CHECK(at("bytes=0-") == ByteRange{true, 0, 1000});
    CHECK(at("bytes=0-0") == ByteRange{true, 0, 1});
    CHECK(at("bytes=10-19") == ByteRange{true, 10, 20});
    CHECK(at("bytes=999-5000") == ByteRange{true, 999, 1000});
    CHECK(at("bytes=-100") == ByteRange{true, 900, 1000});
    CHECK(at("bytes=-5000") == ByteRange{true, 0, 1000});
    CHECK(at("bytes=1000-") == whole);
    CHECK(at("bytes=-0") == whole);
    CHECK(at("bytes=0-", 0) == ByteRange{false, 0, 0});
    CHECK(at("bytes=0-18446744073709551615") == ByteRange{true, 0, 1000});
    for (const char* odd :
         {"bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1-2,4-5", "items=0-1", "bytes=99999999999999999999-", "bytes = 0-1", "bytes=+1-2"})
        CHECK_MESSAGE(at(odd) == whole, odd);
    CHECK(at("bytes=10-19", 1000, "\"a\"") == ByteRange{true, 10, 20});
    CHECK(at("bytes=10-19", 1000, "\"b\"") == whole);
    CHECK(at("bytes=10-19", 1000, "W/\"a\"") == whole);
    CHECK(at("bytes=10-19", 1000, "Sat, 01 Jan 2026 00:00:00 GMT") == whole);
}
