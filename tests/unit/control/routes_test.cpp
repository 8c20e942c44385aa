// The matcher takes one spelling of a path, and the table gives each role what is its own.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "server/control/routes.h"
#include "server/stream/edge/route_table.h"

using namespace licet;
using control::match;

TEST_CASE("routes: a path and method find their route and parameters") {
    const auto found = match("PUT", "/v1/admin/regions/eu");
    REQUIRE(found.route != nullptr);
    CHECK(found.route->path == "/v1/admin/regions/{name}");
    CHECK(found.path.at("name") == "eu");
    const auto version = match("POST", "/v1/admin/policies/research/versions/12/activate");
    REQUIRE(version.route != nullptr);
    CHECK(version.path.at("name") == "research");
    CHECK(version.path.at("version") == "12");
    const auto literal = match("POST", "/v1/admin/consents/query");
    REQUIRE(literal.route != nullptr);
    CHECK(literal.path.empty());
}

TEST_CASE("routes: another method is told which there are") {
    const auto found = match("DELETE", "/v1/admin/regions/eu");
    CHECK(found.route == nullptr);
    CHECK(found.allow == "GET, PUT");
    CHECK(match("get", "/v1/admin/regions").route == nullptr);
    CHECK(match("GET", "/v1/admin/nothing").allow.empty());
}

TEST_CASE("routes: no other spelling of a path is taken") {
    for (const char* path : {"",
                             "/",
                             "v1/admin/regions",
                             "xv1/admin/regions",
                             "//v1/admin/regions",
                             "/v1//admin/regions",
                             "/v1/admin/regions/",
                             "/v1/admin/regions//",
                             "/v1/admin//regions",
                             "/v1/%61dmin/regions",
                             "/V1/admin/regions",
                             "/v1/admin/regions/eu/x",
                             "/v1/admin/./regions",
                             "/v1/admin/x/../regions",
                             "/v1/admin",
                             "/admin/regions",
                             "/v1/admin/regions/%",
                             "/v1/admin/regions/%zz",
                             "/v1/admin/clients/x/revoke/",
                             "/v1/admin/clients//revoke"}) {
        CAPTURE(path);
        const auto found = match("GET", path);
        CHECK(found.route == nullptr);
        CHECK(found.allow.empty());
    }
    // Thousands of slashes cost nothing.
    CHECK(match("GET", std::string(1'000'000, '/')).route == nullptr);
}

TEST_CASE("routes: templates are unambiguous and roles are known") {
    const std::set<std::string_view> known{"admin", "policy", "dpo", "finance", "auditor", "producer", "app", "subject", "any"};
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& route : control::routes()) {
        CHECK(seen.emplace(route.method, route.path).second);
        for (const auto role : route.roles) CHECK(known.contains(role));
        CHECK(match(route.method, route.path).route == &route);
        // Only the document about the API itself is for everybody.
        CHECK(route.roles.empty() == (route.path == "/v1/openapi.json"));
    }
}

TEST_CASE("routes: admin may do everything but read finance and audit; only admins change what others own, and policy admins licences too") {
    for (const auto& route : control::routes()) {
        CAPTURE(route.path);
        if (route.roles.empty()) continue;
        if (route.path.starts_with("/v1/me/")) {  // nobody's but the person's
            CHECK(route.roles == std::vector<std::string_view>{control::kSubjectRole});
            continue;
        }
        if (route.path.starts_with("/v1/statements")) {  // of the party's own contracts
            CHECK(route.roles == std::vector<std::string_view>{control::kAnyRole});
            continue;
        }
        const bool admin = std::find(route.roles.begin(), route.roles.end(), "admin") != route.roles.end();
        CHECK(admin == (!route.path.starts_with("/v1/finance/") && route.path != "/v1/admin/audit" && route.path != "/v1/admin/audit/checkpoint" &&
                        route.path != "/v1/admin/audit/proof"));
        if (route.method != "PUT" || route.path.starts_with("/v1/admin/policies") || route.path.starts_with("/v1/admin/consents/")) continue;
        if (route.path.starts_with("/v1/admin/licences/")) {  // what a licence says is read by those who write policies
            CHECK(route.roles == std::vector<std::string_view>{"admin", "policy"});
            continue;
        }
        CHECK(route.roles == std::vector<std::string_view>{"admin"});
    }
}

TEST_CASE("edge routes: HEAD goes where GET goes, other methods are told which there are") {
    const std::vector<std::string> events{"v1", "products", "news", "events"};
    const auto got = stream::match_edge("GET", events), head = stream::match_edge("HEAD", events), posted = stream::match_edge("POST", events);
    REQUIRE(got.route != nullptr);
    CHECK(got.product == "news");
    CHECK(head.route == got.route);
    REQUIRE(posted.route != nullptr);
    CHECK(posted.route->use == stream::EdgeUse::publish);
    const auto deleted = stream::match_edge("DELETE", events);
    CHECK(deleted.route == nullptr);
    CHECK(deleted.path == "/v1/products/{product}/events");
    CHECK(deleted.allow == "GET, HEAD, POST, OPTIONS");
    CHECK(stream::match_edge("GET", std::vector<std::string>{"v1", "products", "news"}).path.empty());
    CHECK(stream::match_edge("GET", std::vector<std::string>{"v1", "products", "news", "events", "x"}).path.empty());
    CHECK_FALSE(stream::for_control(std::vector<std::string>{"v1"}));
    CHECK_FALSE(stream::for_control(std::vector<std::string>{"v1", "products"}));
}
