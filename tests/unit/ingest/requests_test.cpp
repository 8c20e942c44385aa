#include <doctest/doctest.h>

#include "base/limits.h"
#include "tests/unit/ingest/fixture.h"

using namespace ingest_test;

TEST_CASE("plain JSON of any type becomes an event through the mapping") {
    Bench bench;
    for (const std::string text : {"null", "true", "false", "0", "-1.5E+10", "1e400", "123456789012345678901234567890", "\"\"", "\"\\ud834\\udd1e\"",
                                   "[]", "{}", "[1,[2,{\"a\":null}]]", "{\"a\":1,\"a\":2}", "\"\x7f\""}) {
        CAPTURE(text);
        const auto prepared = bench.plain(" \r\n\t" + text + " ");
        REQUIRE(prepared.ok());
        REQUIRE(prepared->items.size() == 1);
        const auto e = stored(prepared);
        CHECK(e.data() == text);
        CHECK(e.id() == hash_text(text));
        CHECK(prepared->items[0].identity == digest_of<EventIdentity>("7|urn:example:feed|" + hash_text(text)));
        CHECK(e.source() == "urn:example:feed");
        CHECK(e.time() == UtcMillis{1'000'000});
    }
}

TEST_CASE("every way to break JSON is refused with a pointer into the data") {
    Bench bench;
    struct Case {
        std::string text, pointer;
    };
    const std::vector<Case> cases{{"", "/data"},
                                  {" ", "/data"},
                                  {"nul", "/data"},
                                  {"NaN", "/data"},
                                  {"01", "/data"},
                                  {"1.", "/data"},
                                  {"'a'", "/data"},
                                  {"[1,]", "/data/1"},
                                  {"{\"a\":{\"b\":01}}", "/data/a/b"},
                                  {"{\"a\":1,}", "/data"},
                                  {"{\"a\":1}x", "/data"},
                                  {"\"\xff\"", "/data"},
                                  {"{\"k\":\"\xed\xa0\x80\"}", "/data/k"},
                                  {"[\"\\ud800\"]", "/data/0"},
                                  {"[\"\\udc00\"]", "/data/0"},
                                  {"[\"\\uD800\\u0041\"]", "/data/0"},
                                  {"\"a\nb\"", "/data"},
                                  {std::string("\"a\0b\"", 5), "/data"},
                                  {std::string("1\0", 2), "/data"},
                                  {"\xef\xbb\xbf{}", "/data"},
                                  {"\xef\xbb\xbf", "/data"},
                                  {"/**/1", "/data"}};
    for (const auto& c : cases) {
        CAPTURE(c.text);
        const auto prepared = bench.plain(c.text);
        REQUIRE(prepared.ok());
        CHECK(prepared->items.empty());
        REQUIRE(prepared->rejections.size() == 1);
        CHECK(prepared->rejections[0].error.code == Errc::invalid_json);
        CHECK(prepared->rejections[0].error.pointer.starts_with(c.pointer));
    }
}

TEST_CASE("depth is bounded, and costs no stack") {
    Bench bench;
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(bench.plain(nested(1024))->items.size() == 1);
    CHECK(bench.plain(nested(1025))->rejections.size() == 1);
    CHECK(bench.plain(std::string(1'000'000, '['))->rejections.size() == 1);
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    CHECK(bench.plain(objects)->rejections[0].error.code == Errc::invalid_json);
}

TEST_CASE("a bad line spoils neither its neighbours nor their numbers") {
    Bench bench;
    const auto prepared = bench.lines("{\"n\":0}\n\n{\"n\":2}\r\n{bad}\n   \t\n[5]\n\"\xff\"\n{\"at\":\"never\"}\n{\"user\":1,\"user\":2}\n9");
    REQUIRE(prepared.ok());
    CHECK(prepared->received == 8);
    CHECK(prepared->indexes == std::vector<std::size_t>{0, 2, 5, 9});
    CHECK(stored(prepared, 0).data() == "{\"n\":0}");
    CHECK(stored(prepared, 1).data() == "{\"n\":2}");
    CHECK(stored(prepared, 2).data() == "[5]");
    CHECK(stored(prepared, 3).data() == "9");
    std::vector<std::tuple<std::size_t, Errc, std::string>> told;
    for (const auto& r : prepared->rejections) told.emplace_back(r.index, r.error.code, r.error.pointer);
    CHECK(told == std::vector<std::tuple<std::size_t, Errc, std::string>>{{3, Errc::invalid_json, "/data"},
                                                                          {6, Errc::invalid_json, "/data"},
                                                                          {7, Errc::invalid_event, "/time"},
                                                                          {8, Errc::duplicate_governed_key, "/data/user"}});
    const auto nothing = bench.lines("\n\r\n  \n");
    REQUIRE(nothing.ok());
    CHECK(nothing->received == 0);
    CHECK(bench.lines("")->received == 0);
}

TEST_CASE("a batch takes the good elements and names the bad ones") {
    Bench bench;
    const auto event = [](const std::string& id) { return R"({"specversion":"1.0","id":")" + id + R"(","source":"/s","type":"t","data":[1, 2]})"; };
    const auto prepared = bench.batch(" [ " + event("a") + " , 7, " + event("b") + R"(, {"id":"x"}, )" + event("a") + " ] ");
    REQUIRE(prepared.ok());
    CHECK(prepared->received == 5);
    CHECK(prepared->indexes == std::vector<std::size_t>{0, 2, 4});
    CHECK(stored(prepared, 1).id() == "b");
    CHECK(stored(prepared, 1).data() == "[1,2]");
    // The same event twice in one request is the log's to notice: both carry one identity.
    CHECK(prepared->items[0].identity == prepared->items[2].identity);
    CHECK(prepared->items[0].identity != prepared->items[1].identity);
    REQUIRE(prepared->rejections.size() == 2);
    CHECK(prepared->rejections[0].index == 1);
    CHECK(prepared->rejections[1].index == 3);
    CHECK(bench.batch("[]")->received == 0);

    const auto broken = bench.batch("[" + event("a") + ", {\"id\": 01}]");
    REQUIRE_FALSE(broken.ok());
    CHECK(broken.error().code == Errc::invalid_json);
    CHECK(broken.error().pointer == "/1/id");
    CHECK(bench.batch(event("a")).error().code == Errc::invalid_event);
    CHECK(bench.batch("").error().code == Errc::invalid_json);
    // A number no double holds is a number: neighbours and all are taken.
    CHECK(bench.batch("[" + event("a") + R"(,{"specversion":"1.0","id":"c","source":"/s","type":"t","data":1e999}])")->items.size() == 2);
}

TEST_CASE("an event keeps its identity across requests and parsers") {
    Bench first, second;
    const auto a = first.plain(R"({"n": 1})"), b = first.plain(R"({"n":1})"), c = second.plain("{\"n\"\n:1}"), d = second.plain(R"({"n":2})");
    CHECK(a->items[0].identity == b->items[0].identity);
    CHECK(a->items[0].identity == c->items[0].identity);
    CHECK(a->items[0].identity != d->items[0].identity);
}

TEST_CASE("what is resident elsewhere is refused and told apart") {
    Bench bench;
    const auto prepared = bench.lines("{\"home\":\"eu\"}\n{\"home\":\"us\"}\n{\"home\":\"us\",\"n\":1}\n{}");
    REQUIRE(prepared.ok());
    CHECK(prepared->indexes == std::vector<std::size_t>{0, 3});
    CHECK(prepared->misdirected == 2);
    CHECK(prepared->misdirected_region == "us");
    CHECK(prepared->rejections[0].error.code == Errc::misdirected);
    CHECK(prepared->rejections[0].error.pointer == "/residency");
    // A product bound to a region: its events may repeat that, not contradict it; elsewhere none is taken.
    Bench bound(mapping_document(), "eu");
    CHECK(bound.plain("{}")->items.size() == 1);
    CHECK(bound.plain("{\"home\":\"eu\"}")->items.size() == 1);
    CHECK(bound.plain("{\"home\":\"us\"}")->rejections[0].error.code == Errc::invalid_event);
    Bench elsewhere(mapping_document(), "us");
    CHECK(elsewhere.plain("{}")->misdirected == 1);
    CHECK(elsewhere.plain("{}")->items.empty());
}

TEST_CASE("limits of events and requests") {
    Bench bench;
    const auto text = [](std::size_t bytes) { return "\"" + std::string(bytes - 2, 'x') + "\""; };
    CHECK(bench.plain(text(limits::event_max_bytes))->items.size() == 1);
    const auto too_large = bench.lines("1\n" + text(limits::event_max_bytes + 1) + "\n2");
    REQUIRE(too_large->rejections.size() == 1);
    CHECK(too_large->items.size() == 2);
    CHECK(too_large->rejections[0].error.code == Errc::event_too_large);
    CHECK(bench.plain(text(3 * limits::event_max_bytes))->rejections[0].error.code == Errc::event_too_large);

    std::string lines, array = "[";
    for (std::size_t i = 0; i < limits::ingest_batch_max_events; ++i) {
        lines += "1\n";
        array += R"({"specversion":"1.0","id":")" + std::to_string(i) + R"(","source":"/s","type":"t"},)";
    }
    CHECK(bench.lines(lines)->items.size() == limits::ingest_batch_max_events);
    CHECK(bench.lines(lines + "1").error().code == Errc::body_too_large);
    auto full = array;
    full.back() = ']';
    const auto all = bench.batch(full);
    REQUIRE(all.ok());
    CHECK(all->items.size() == limits::ingest_batch_max_events);
    CHECK(stored(all, 9'999).id() == "9999");
    CHECK(bench.batch(array + "1]").error().code == Errc::body_too_large);
}

TEST_CASE("only the documented media types are read, in whatever case and with parameters") {
    Bench bench;
    CHECK(bench.send("Application/JSON ; charset=utf-8", "{}")->items.size() == 1);
    CHECK(bench.send("application/x-ndjson;x=y", "{}")->items.size() == 1);
    for (const char* type : {"", "text/plain", "application/jsonx", "application/xml", "application/cloudevents", "application/cloudevents+xml"}) {
        CAPTURE(type);
        const auto refused = bench.send(type, "{}");
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == Errc::unsupported_media_type);
    }
}

TEST_CASE("a required attribute that the data lacks refuses the event") {
    auto mapping = mapping_document();
    mapping["attributes"]["jurisdiction"]["required"] = true;
    Bench bench(mapping);
    CHECK(bench.plain(R"({"country":"DE"})")->items.size() == 1);
    for (const char* text : {R"({})", R"({"country":""})", R"({"country":{}})", R"({"country":null})", "7"}) {
        CAPTURE(text);
        const auto prepared = bench.plain(text);
        REQUIRE(prepared->rejections.size() == 1);
        CHECK(prepared->rejections[0].error.pointer == "/jurisdiction");
    }
}

TEST_CASE("a parser that refused goes on as if nothing had been") {
    Bench bench;
    CHECK(bench.batch("[1,").error().code == Errc::invalid_json);
    CHECK(bench.plain("{\"user\":\"192.0.2.1\"}")->items.size() == 1);
    CHECK(bench.plain("{")->rejections.size() == 1);
    CHECK(stored(bench.plain("{}")).span_count() == 0);
    CHECK(stored(bench.plain("{}")).subject().none());
}
