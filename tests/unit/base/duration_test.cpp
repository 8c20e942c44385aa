#include "base/duration.h"

#include <doctest/doctest.h>

using namespace licet;

TEST_CASE("durations") {
    CHECK(parse_duration_ms("PT30S") == 30'000);
    CHECK(parse_duration_ms("PT1M30.5S") == 90'500);
    CHECK(parse_duration_ms("P1DT2H3M4,007S") == 93'784'007);
    CHECK(parse_duration_ms("PT0S") == 0);
    CHECK(parse_duration_ms("P2D") == 172'800'000);
    CHECK(parse_duration_ms("PT9007199254740S") == 9'007'199'254'740'000);
    for (const char* bad : {"",
                            "P",
                            "PT",
                            "30",
                            "30S",
                            "P30S",
                            "PT1D",
                            "P1DT",
                            "P1Y",
                            "P1M",
                            "P1W",
                            "PT1S1M",
                            "PT1S1S",
                            "PT-1S",
                            "-PT1S",
                            "PT+1S",
                            "PT.5S",
                            "PT1.S",
                            "PT1.0001S",
                            "PT1.5M",
                            "pt1s",
                            "PT1S ",
                            "PTT1S",
                            "PT9007199254741S",
                            "PT99999999999999999999S"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_duration_ms(bad));
    }
    CHECK(format_duration_ms(90'500) == "PT90.5S");
    CHECK(format_duration_ms(7) == "PT0.007S");
    CHECK(format_duration_ms(600'000) == "PT600S");
    for (const std::int64_t ms : {0, 1, 10, 999, 1000, 123'456}) CHECK(parse_duration_ms(format_duration_ms(ms)) == ms);
}
