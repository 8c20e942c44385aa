// Problem documents: what of an error is a member, and what a header.
#include "server/stream/edge/response.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace licet;
using nlohmann::json;

TEST_CASE("problem: header lines of whoever refused are headers, beside when to come again, and no members") {
    Error error{Errc::quota_exhausted, "the contract's quota is used up", {}};
    const auto headers = json::parse(R"([["RateLimit-Policy", "\"a\";q=1"], ["RateLimit", "\"a\";r=0;t=77"]])");
    error.members = json{{"retryAfter", 77}, {"quotas", json::array()}, {"headers", headers}}.dump();
    const auto response = stream::problem(error, "r-1");
    using Header = std::pair<std::string, std::string>;
    CHECK(response.status == 429);
    for (const auto& header : {Header{"RateLimit-Policy", "\"a\";q=1"}, Header{"RateLimit", "\"a\";r=0;t=77"}, Header{"Retry-After", "77"}})
        CHECK(std::find(response.headers.begin(), response.headers.end(), header) != response.headers.end());
    const auto body = json::parse(response.body);
    CHECK(body["retryAfter"] == 77);
    CHECK_FALSE(body.contains("headers"));
    const auto plain = stream::problem({Errc::too_many_requests, "no", {}}, "r-2");
    CHECK(std::none_of(plain.headers.begin(), plain.headers.end(), [](const Header& h) { return h.first == "RateLimit"; }));
    CHECK(std::find(plain.headers.begin(), plain.headers.end(), Header{"Retry-After", "1"}) != plain.headers.end());
}
