// Bodies mean one thing or are refused, with a pointer to what was wrong.
#include "server/control/body.h"

#include <doctest/doctest.h>

#include "base/limits.h"

using namespace licet;
using control::is_media_type;
using control::parse_body;

namespace {

std::string mistake(std::string_view text, Errc code = Errc::invalid_document) {
    const auto read = parse_body(text);
    if (read) return "none";
    CHECK(read.error().code == code);
    return read.error().pointer;
}
std::string nested(std::size_t depth) {
    std::string out;
    for (std::size_t i = 0; i < depth; ++i) out += i % 2 == 0 ? "{\"a\":" : "[";
    out += "1";
    for (std::size_t i = depth; i-- > 0;) out += i % 2 == 0 ? "}" : "]";
    return out;
}

}  // namespace

TEST_CASE("body: what it says is read") {
    const auto read = parse_body(R"({"a":[1,{"b":"x","c":null}],"d":{"b":"y"}})");
    REQUIRE(read);
    CHECK(read->dump() == R"({"a":[1,{"b":"x","c":null}],"d":{"b":"y"}})");
    CHECK(parse_body("1"));
    CHECK(parse_body("[]"));
}

TEST_CASE("body: a member given twice is refused where it is") {
    CHECK(mistake(R"({"a":1,"b":2,"a":3})") == "/a");
    CHECK(mistake(R"({"a":1,"\u0061":3})") == "/a");
    CHECK(mistake(R"({"x":[{"a":1},{"b":{"a":1,"c":[],"a":2}}]})") == "/x/1/b/a");
    CHECK(mistake(R"({"x/y~":{"a":1,"a":2}})") == "/x~1y~0/a");
    CHECK(mistake(R"([{"a":1},{"a":2}])") == "none");
    CHECK(mistake(R"({"a":{"a":{"a":1}}})") == "none");
    CHECK(mistake("{\"k\":{\"" + std::string(10'000, 'k') + "\":{\"a\":1,\"a\":2}}}") == "/k");
}

TEST_CASE("body: U+0000 is refused, in values and names") {
    CHECK(mistake(R"({"a":["x","y\u0000"]})") == "/a/1");
    CHECK(mistake(R"({"a":{"b\u0000":1}})").starts_with("/a/b"));
}

TEST_CASE("body: nesting has a limit and costs nothing beyond it") {
    CHECK(mistake(nested(limits::control_json_depth_max)) == "none");
    CHECK(mistake(nested(limits::control_json_depth_max + 1)).starts_with("/a/0/a/0"));
    CHECK(mistake(std::string(1'000'000, '[')).starts_with("/0/0"));
    std::string wide = "[";
    for (int i = 0; i < 1000; ++i) wide += "[[]],";
    CHECK(mistake(wide + "[]]") == "none");
}

TEST_CASE("body: text that is not JSON is refused with place and reason") {
    CHECK(mistake(R"({"a":1,"b":[1,}]})", Errc::invalid_json) == "/b/1");
    CHECK(mistake("", Errc::invalid_json).empty());
    CHECK(mistake("{} {}", Errc::invalid_json).empty());
    CHECK(mistake("{\"a\":\"\xff\"}", Errc::invalid_json) == "/a");
    CHECK(mistake(R"({"a":"\ud800"})", Errc::invalid_json) == "/a");
    const auto read = parse_body(R"({"a":tru})", "/3");
    REQUIRE_FALSE(read);
    CHECK(read.error().pointer == "/3/a");
    CHECK(read.error().detail.find("at byte") != std::string::npos);
    // A number no value can hold.
    CHECK(mistake(R"({"a":1e999})", Errc::invalid_json).empty());
}

TEST_CASE("body: media types are compared whole, without case or parameters") {
    CHECK(is_media_type("application/json", "application/json"));
    CHECK(is_media_type("Application/JSON ; charset=utf-8", "application/json"));
    for (const char* other : {"", "application/jsonx", "application/json-patch+json", "text/json", "application", ";application/json"})
        CHECK_FALSE(is_media_type(other, "application/json"));
}
