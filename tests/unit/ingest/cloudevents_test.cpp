#include <doctest/doctest.h>

#include "base/limits.h"
#include "tests/unit/ingest/fixture.h"

using namespace ingest_test;

namespace {

const std::string kEvent = R"({"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}})";

// One structured event with `members` added; the rejection it must meet.
Error refusal(Bench& bench, const std::string& body) {
    const auto prepared = bench.structured(body);
    REQUIRE(prepared.ok());
    CHECK(prepared->items.empty());
    REQUIRE(prepared->rejections.size() == 1);
    return prepared->rejections[0].error;
}
std::string with(const std::string& members) { return R"({"specversion":"1.0","id":"1","source":"/s","type":"t",)" + members + "}"; }

}  // namespace

TEST_CASE("a structured event keeps its attributes, their JSON types, and its data byte for byte") {
    Bench bench;
    const auto prepared =
        bench.structured(R"( { "specversion" : "1.0", "zeta": true, "id":"A\u00e9", "source":"/s", "type":"t", "time":"2026-11-02T10:00:00.5+01:00",
        "sequence": 12, "traceparent":"00-1", "subject":"x\"y", "nothing": null, "datacontenttype":"application/json",
        "data" : { "n" : 1.50e+3, "user" : "192.0.2.1", "list":[1, "two" ] } } )");
    REQUIRE(prepared.ok());
    REQUIRE(prepared->rejections.empty());
    CHECK(prepared->received == 1);
    CHECK(prepared->indexes == std::vector<std::size_t>{0});
    const auto e = stored(prepared);
    CHECK(e.envelope() ==
          "{\"specversion\":\"1.0\",\"id\":\"A\u00e9\",\"source\":\"/"
          "s\",\"type\":\"t\",\"subject\":\"x\\\"y\",\"time\":\"2026-11-02T10:00:00.5+01:00\","
          "\"datacontenttype\":\"application/json\",\"license\":\"CC0-1.0\",\"sequence\":12,\"traceparent\":\"00-1\",\"zeta\":true");
    CHECK(e.data() == R"({"n":1.50e+3,"user":"192.0.2.1","list":[1,"two"]})");
    CHECK(e.data_kind() == event::DataKind::json);
    CHECK(format_rfc3339(e.time()) == "2026-11-02T09:00:00.500Z");
    CHECK(e.license() == "CC0-1.0");
    CHECK(e.subject() == digest_of<SubjectKey>("owner|192.0.2.1"));
    REQUIRE(e.span_count() == 2);
    CHECK(e.data().substr(e.span(0).value_begin, e.span(0).value_end - e.span(0).value_begin) == "\"192.0.2.1\"");
    CHECK(e.span(0).detected == event::InfoType::ip_address);
    CHECK(e.data().substr(e.span(1).value_begin, e.span(1).value_end - e.span(1).value_begin) == "\"two\"");
}

TEST_CASE("the data subject never reaches the envelope, whoever names it") {
    Bench bench;
    const auto by_mapping = bench.structured(with(R"("datasubject":"someone","data":{"user":"192.0.2.1"})"));
    CHECK(stored(by_mapping).envelope().find("192.0.2.1") == std::string_view::npos);
    CHECK(stored(by_mapping).envelope().find("someone") == std::string_view::npos);
    // The mapping's rule found nothing: the producer's own word restricts and so it counts; the text is not kept.
    const auto not_an_ip = bench.structured(with(R"("datasubject":"someone","data":{"user":"Jane"})"));
    CHECK_FALSE(stored(not_an_ip).subject().none());
    CHECK(stored(not_an_ip).envelope().find("someone") == std::string_view::npos);
}

TEST_CASE("what the mapping says of governing attributes wins; other attributes are only filled in") {
    Bench bench;
    const auto prepared = bench.structured(with(R"("license":"MIT","jurisdiction":"US","data":{"country":"DE","at":"2026-01-01T00:00:00Z"})"));
    const auto e = stored(prepared);
    CHECK(e.license() == "CC0-1.0");
    CHECK(e.jurisdiction() == "DE");
    CHECK(e.source() == "/s");
    CHECK(format_rfc3339(e.time()) == "2026-01-01T00:00:00.000Z");
    // The data names no country: the producer's own is gone too, not trusted.
    CHECK(stored(bench.structured(with(R"("jurisdiction":"US","data":{})"))).jurisdiction().empty());
    CHECK(stored(bench.structured(with(R"("jurisdiction":"US","data_base64":"AA==")"))).jurisdiction().empty());
    // Where the mapping has no residency for it, the event's own still binds it.
    CHECK(stored(bench.structured(with(R"("residency":"eu","data":{"country":"DE"})"))).residency() == "eu");
    // An attribute given as null or empty is one it lacks.
    CHECK(stored(bench.structured(with(R"("time":null,"data":{"at":"2026-01-01T00:00:00Z"})"))).time().value > 1'000'000);
    CHECK(stored(bench.structured(with(R"("data":1)"))).time() == UtcMillis{1'000'000});
}

TEST_CASE("each defect of a structured event has its code and pointer") {
    Bench bench;
    struct Case {
        std::string body;
        Errc code;
        std::string pointer;
    };
    const std::string longest(limits::event_attribute_max_bytes, 'x'), longer = longest + "x";
    const std::vector<Case> cases{
        {R"([])", Errc::invalid_event, ""},
        {R"("x")", Errc::invalid_event, ""},
        {R"({"id":"1","source":"/s","type":"t"})", Errc::invalid_event, "/specversion"},
        {R"({"specversion":"0.3","id":"1","source":"/s","type":"t"})", Errc::invalid_event, "/specversion"},
        {R"({"specversion":1,"id":"1","source":"/s","type":"t"})", Errc::invalid_event, "/specversion"},
        {with(R"("specversion":"1.0")"), Errc::invalid_event, "/specversion"},
        {R"({"specversion":"1.0","id":7,"source":"/s","type":"t"})", Errc::invalid_event, "/id"},
        {with(R"("id":"2")"), Errc::invalid_event, "/id"},
        {with(R"("i\u0064":"2")"), Errc::invalid_event, "/id"},
        {with(R"("Upper":"x")"), Errc::invalid_event, "/Upper"},
        {with(R"("a/b~c":"x")"), Errc::invalid_event, "/a~1b~0c"},
        {with(R"("abcdefghijklmnopqrstu":"x")"), Errc::invalid_event, "/abcdefghijklmnopqrstu"},
        {with("\"" + std::string(65, 'a') + "\":1"), Errc::invalid_event, ""},
        {with(R"("":"x")"), Errc::invalid_event, "/"},
        {with(R"("cursor":"x")"), Errc::invalid_event, "/cursor"},
        {with(R"("ext":{})"), Errc::invalid_event, "/ext"},
        {with(R"("ext":[])"), Errc::invalid_event, "/ext"},
        {with(R"("ext":1.5)"), Errc::invalid_event, "/ext"},
        {with(R"("ext":2147483648)"), Errc::invalid_event, "/ext"},
        {with(R"("ext":1e400)"), Errc::invalid_event, "/ext"},
        {with(R"("ext":"a\u0000b")"), Errc::invalid_event, "/ext"},
        {with(R"("ext":"a\u009fb")"), Errc::invalid_event, "/ext"},
        {with("\"ext\":\"" + longer + "\""), Errc::invalid_event, "/ext"},
        {with(R"("time":"yesterday")"), Errc::invalid_event, "/time"},
        {with(R"("expirytime":"2026-13-01T00:00:00Z")"), Errc::invalid_event, "/expirytime"},
        {with(R"("data":1,"data":2)"), Errc::duplicate_governed_key, "/data"},
        {with(R"("data":1,"data_base64":"AA==")"), Errc::invalid_event, "/data_base64"},
        {with(R"("data_base64":"AA==","data":1)"), Errc::invalid_event, "/data"},
        {with(R"("data_base64":"A")"), Errc::invalid_event, "/data_base64"},
        {with(R"("data_base64":"AB==")"), Errc::invalid_event, "/data_base64"},
        {with(R"("data_base64":"A-_=")"), Errc::invalid_event, "/data_base64"},
        {with(R"("data_base64":7)"), Errc::invalid_event, "/data_base64"},
        {with(R"("data":{"user":1,"user":2})"), Errc::duplicate_governed_key, "/data/user"},
        {with(R"("data":{"home":"Not a region"})"), Errc::invalid_event, "/residency"},
        {with(R"("data":{"a":[1,]})"), Errc::invalid_json, "/data/a/1"},
        {R"({"specversion":"1.0")", Errc::invalid_json, "/specversion"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.body.substr(0, 200));
        const auto error = refusal(bench, c.body);
        CHECK(error.code == c.code);
        CHECK(error.pointer == c.pointer);
        CHECK_FALSE(error.detail.empty());
    }
    CHECK(bench.structured(with("\"ext\":\"" + longest + "\""))->items.size() == 1);
    // What the mapping can fill in is not missed.
    CHECK(stored(bench.structured(R"({"specversion":"1.0","id":"","source":null,"type":"t","data":1})")).id() == hash_text("1"));
}

TEST_CASE("so many extensions and no more") {
    Bench bench;
    const auto event = [](std::size_t extensions) {
        std::string members;
        for (std::size_t i = 0; i < extensions; ++i) members += "\"e" + std::to_string(i) + "\":\"x\",";
        return with(members + R"("data":{})");
    };
    // The mapping adds the licence.
    CHECK(bench.structured(event(limits::event_extensions_max - 1))->items.size() == 1);
    CHECK(bench.structured(event(limits::event_extensions_max))->items.empty());
}

TEST_CASE("binary data is kept as base64") {
    Bench bench;
    const auto by_member = bench.structured(with(R"("data_base64":"\/+8=")"));
    CHECK(stored(by_member).data() == R"("/+8=")");
    CHECK(stored(by_member).data_kind() == event::DataKind::base64);
    CHECK(stored(bench.structured(with(R"("data_base64":null)"))).data_kind() == event::DataKind::none);
    const std::map<std::string, std::string, std::less<>> headers{{"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}};
    const auto by_body = bench.send("image/png", std::string_view("\xff\x00\x01", 3), headers);
    CHECK(stored(by_body).data() == R"("/wAB")");
    CHECK(envelope(stored(by_body))["datacontenttype"] == "image/png");
    CHECK(stored(bench.send("", "", headers)).data_kind() == event::DataKind::none);
}

TEST_CASE("binary mode: attributes are headers, the body is the data") {
    Bench bench;
    std::map<std::string, std::string, std::less<>> headers{{"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}, {"sequence", "9"}};
    const auto prepared = bench.send("application/vnd.x+json; charset=utf-8", R"({ "user" : "192.0.2.7" })", headers);
    const auto e = stored(prepared);
    CHECK(e.data() == R"({"user":"192.0.2.7"})");
    CHECK(e.span_count() == 1);
    CHECK(envelope(e)["sequence"] == "9");
    CHECK(envelope(e)["datacontenttype"] == "application/vnd.x+json; charset=utf-8");

    const auto refused = [&](std::string_view type, std::string_view body) {
        const auto p = bench.send(type, body, headers);
        REQUIRE(p.ok());
        REQUIRE(p->rejections.size() == 1);
        CHECK(p->received == 1);
        CHECK(p->items.empty());
        return p->rejections[0].error;
    };
    CHECK(refused("application/json", "{\"a\":tru}").pointer == "/data/a");
    headers["datacontenttype"] = "text/plain";
    CHECK(refused("application/json", "{}").pointer == "/datacontenttype");
    headers.erase("datacontenttype");
    headers["data"] = "x";
    CHECK(refused("application/json", "{}").pointer == "/data");
    headers.erase("data");
    headers["subject"] = "\xc3(";
    CHECK(refused("application/json", "{}").pointer == "/subject");
    headers.erase("subject");
    headers["specversion"] = "2.0";
    CHECK(refused("application/json", "{}").pointer == "/specversion");
    // The content type decides the mode (CloudEvents HTTP binding, section 3): ce- headers beside a structured event mean nothing.
    CHECK(bench.send("application/cloudevents+json; charset=utf-8", kEvent, headers)->items.size() == 1);
}
