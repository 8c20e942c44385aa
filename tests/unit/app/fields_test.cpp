// Request bodies are read strictly, and the first mistake is named.
#include "server/app/fields.h"

#include <doctest/doctest.h>

using namespace licet;
using app::Fields;
using nlohmann::json;

namespace {

template <class Use>
std::string mistake(const json& body, Use&& use, std::string at = {}) {
    Fields fields(body, std::move(at));
    use(fields);
    const auto error = fields.finish();
    if (!error) return "none";
    CHECK(error->code == Errc::invalid_document);
    CHECK_FALSE(fields.ok());
    return error->pointer;
}

}  // namespace

TEST_CASE("fields: texts are there, strings, bounded, and without control characters") {
    const auto text = [](Fields& f) { (void)f.text("a", 5); };
    CHECK(mistake({{"a", "12345"}}, text) == "none");
    CHECK(mistake({{"a", "123456"}}, text) == "/a");
    CHECK(mistake({{"a", ""}}, text) == "/a");
    CHECK(mistake({{"a", nullptr}}, text) == "/a");
    CHECK(mistake({{"a", 1}}, text) == "/a");
    CHECK(mistake({{"a", "x\ny"}}, text) == "/a");
    CHECK(mistake({{"a", std::string("x\0y", 3)}}, text) == "/a");
    CHECK(mistake(json::object(), text) == "/a");
    const auto optional = [](Fields& f) { (void)f.optional_text("a", 5); };
    for (const json& body : {json::object(), json{{"a", nullptr}}, json{{"a", ""}}}) CHECK(mistake(body, optional) == "none");
    CHECK(mistake({{"a", json::array()}}, optional) == "/a");
}

TEST_CASE("fields: slugs, lists, times and objects") {
    CHECK(mistake({{"a", "x-1"}}, [](Fields& f) { CHECK(f.slug("a") == "x-1"); }) == "none");
    for (const char* bad : {"", "-x", "X", "a b", "a/b", "\xc3\xa4"}) CHECK(mistake({{"a", bad}}, [](Fields& f) { (void)f.slug("a"); }) == "/a");
    CHECK(mistake({{"a", std::string(65, 'a')}}, [](Fields& f) { (void)f.optional_slug("a"); }) == "/a");
    const auto list = [](Fields& f) { (void)f.texts("a", 2); };
    CHECK(mistake({{"a", {"x", "y"}}}, list) == "none");
    CHECK(mistake(json::object(), list) == "none");
    CHECK(mistake({{"a", {"x", "y", "z"}}}, list) == "/a");
    CHECK(mistake({{"a", json::array({"x", 1})}}, list) == "/a/1");
    CHECK(mistake({{"a", json::array({"", "x"})}}, list) == "/a/0");
    CHECK(mistake({{"a", "x"}}, list) == "/a");
    const auto time = [](Fields& f) { (void)f.time("a"); };
    CHECK(mistake({{"a", "2026-11-21T08:00:00Z"}}, time) == "none");
    for (const char* bad : {"2026-11-21", "yesterday", "2026-13-01T00:00:00Z"}) CHECK(mistake({{"a", bad}}, time) == "/a");
    const auto object = [](Fields& f) { (void)f.object("a"); };
    CHECK(mistake({{"a", json::object()}}, object) == "none");
    CHECK(mistake({{"a", json::array()}}, object) == "/a");
}

TEST_CASE("fields: what nobody asked for is refused, the first mistake is the one named") {
    const auto ask = [](Fields& f) { (void)f.text("a"), (void)f.text("b"); };
    CHECK(mistake({{"a", "1"}, {"b", "2"}}, ask) == "none");
    CHECK(mistake({{"a", "1"}, {"b", "2"}, {"c", "3"}}, ask) == "/c");
    CHECK(mistake({{"c", "3"}}, ask) == "/a");
    CHECK(mistake({{"a", "1"}, {"b", "2"}, {"x/y~z", 0}}, ask) == "/x~1y~0z");
    CHECK(mistake({{"a", "1"}, {"b", "2"}, {"c", 0}}, ask, "/3") == "/3/c");
    CHECK(mistake({{"b", "2"}}, ask, "/3") == "/3/a");
    CHECK(mistake({{"a", "1"}, {"b", "2"}, {std::string(100'000, 'k'), 0}}, ask, "/3") == "/3");
    for (const json& body : {json::array(), json("text"), json(nullptr), json(1)}) CHECK(mistake(body, ask, "/7") == "/7");
}
