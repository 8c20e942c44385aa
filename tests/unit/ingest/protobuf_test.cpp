// CloudEvents in protobuf: the same event is the same record however it comes, and what is not of the schema, or is there twice, is refused. Written
// with what protoc makes of the schema; by hand where that writes nothing wrong.
#include <doctest/doctest.h>

#include "base/limits.h"
#include "cloudevents.pb.h"
#include "tests/unit/ingest/fixture.h"

using namespace ingest_test;
using io::cloudevents::v1::CloudEvent;
using io::cloudevents::v1::CloudEventBatch;
using namespace std::string_literals;

namespace {

CloudEvent base_event() {
    CloudEvent e;
    e.set_id("1");
    e.set_source("/s");
    e.set_spec_version("1.0");
    e.set_type("t");
    return e;
}
auto& attribute(CloudEvent& e, const std::string& name) { return (*e.mutable_attributes())[name]; }

Error refusal(const Result<Prepared>& prepared) {
    REQUIRE(prepared.ok());
    CHECK(prepared->items.empty());
    REQUIRE(prepared->rejections.size() == 1);
    return prepared->rejections[0].error;
}

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
}
std::string tag(unsigned number, unsigned wire) { return varint(number << 3 | wire); }
std::string field(unsigned number, const std::string& bytes) { return tag(number, 2) + varint(bytes.size()) + bytes; }
std::string number(unsigned field_number, std::uint64_t value) { return tag(field_number, 0) + varint(value); }
std::string entry(const std::string& name, const std::string& value) { return field(5, field(1, name) + field(2, value)); }
const std::string kHead = field(1, "1") + field(2, "/s") + field(3, "1.0") + field(4, "t");

}  // namespace

TEST_CASE("the same event as JSON and as protobuf is the same record") {
    Bench bench;
    const auto same = [&](const CloudEvent& e, const std::string& members) {
        const auto json = bench.structured(R"({"specversion":"1.0","id":"1","source":"/s","type":"t")" + members + "}");
        const auto protobuf = bench.protobuf(e.SerializeAsString());
        REQUIRE(json.ok());
        REQUIRE(protobuf.ok());
        REQUIRE(json->items.size() == 1);
        REQUIRE(protobuf->items.size() == 1);
        CHECK(protobuf->items[0].record == json->items[0].record);
        CHECK(protobuf->items[0].identity.bytes == json->items[0].identity.bytes);
    };
    auto e = base_event();
    same(e, "");
    attribute(e, "subject").set_ce_string("a\"b\xc3\xa9");
    attribute(e, "time").mutable_ce_timestamp()->set_seconds(1767323045);
    attribute(e, "time").mutable_ce_timestamp()->set_nanos(678000000);
    attribute(e, "datacontenttype").set_ce_string("application/json");
    attribute(e, "dataschema").set_ce_uri("urn:x");
    attribute(e, "seen").set_ce_boolean(false);
    attribute(e, "count").set_ce_integer(-2147483647 - 1);
    attribute(e, "zero").set_ce_integer(0);
    attribute(e, "bytes").set_ce_bytes("\x00\xff"s);
    attribute(e, "ref").set_ce_uri_ref("/r");
    attribute(e, "expirytime").mutable_ce_timestamp()->set_seconds(4102444800);
    attribute(e, "empty").set_ce_string("");
    e.set_text_data(R"( {"user": "192.0.2.1", "list": [1, "two"]} )");
    const std::string attributes =
        R"(,"subject":"a\"bé","time":"2026-01-02T03:04:05.678Z","datacontenttype":"application/json","dataschema":"urn:x","seen":false,)"
        R"("count":-2147483648,"zero":0,"bytes":"AP8=","ref":"/r","expirytime":"2100-01-01T00:00:00Z")";
    same(e, attributes + R"(,"data":{"user":"192.0.2.1","list":[1,"two"]})");
    e.set_binary_data(R"({"user":"192.0.2.1"})");  // JSON is JSON however it is carried
    same(e, attributes + R"(,"data":{"user":"192.0.2.1"})");
    same(e, attributes + R"(,"data_base64":"eyJ1c2VyIjoiMTkyLjAuMi4xIn0=")");

    auto text = base_event();
    text.set_text_data("[1]");  // nothing said: JSON, as in the JSON format
    same(text, R"(,"data":[1])");
    attribute(text, "datacontenttype").set_ce_string("text/plain");
    text.set_text_data("a\nb");
    same(text, R"(,"datacontenttype":"text/plain","data":"a\u000ab")");
    text.set_binary_data("\xff\xef\xbc"s);
    same(text, R"(,"datacontenttype":"text/plain","data_base64":"/++8")");
    auto bytes = base_event();
    bytes.set_binary_data("{}");
    same(bytes, R"(,"data_base64":"e30=")");
}

TEST_CASE("JSON in protobuf is governed") {
    Bench bench;
    auto e = base_event();
    e.set_text_data(R"({"user":"192.0.2.1","country":"DE"})");
    const auto prepared = bench.protobuf(e.SerializeAsString());
    REQUIRE(prepared.ok());
    const auto event = stored(prepared);
    CHECK(event.jurisdiction() == "DE");
    CHECK_FALSE(event.subject().none());
    REQUIRE(event.span_count() == 1);
    e.set_text_data(R"({"user":"192.0.2.1","user":"192.0.2.2"})");
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::duplicate_governed_key);
    e.set_text_data("{\"a\":}");
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::invalid_json);
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).pointer == "/data/a");
    e.set_text_data("no JSON, and nothing says that it is not");
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).pointer == "/data");
}

TEST_CASE("what no event may hold is refused where it is") {
    Bench bench;
    const auto timestamp = [](const std::string& content) { return entry("time", field(7, content)); };
    struct Case {
        std::string added;
        Errc code;
        const char* pointer;
    };
    const Case cases[] = {
        // Not of the schema.
        {field(9, "x"), Errc::invalid_event, ""},
        {number(15, 1), Errc::invalid_event, ""},
        {field(8, ""), Errc::opaque_data, "/proto_data"},
        {entry("a", ""), Errc::invalid_event, "/a"},
        {entry("a", field(8, "x")), Errc::invalid_event, "/a"},
        {field(5, field(1, "a") + field(2, field(3, "x")) + field(3, "")), Errc::invalid_event, ""},
        {timestamp(number(3, 1)), Errc::invalid_event, "/time"},
        // Of another wire type.
        {number(1, 1), Errc::invalid_protobuf, ""},
        {tag(7, 5) + "abcd", Errc::invalid_protobuf, ""},
        {tag(6, 1) + "abcdefgh", Errc::invalid_protobuf, ""},
        {tag(5, 3) + tag(5, 4), Errc::invalid_protobuf, ""},
        {entry("a", field(2, "x")), Errc::invalid_protobuf, "/a"},
        {entry("a", number(3, 1)), Errc::invalid_protobuf, "/a"},
        {timestamp(field(1, "x")), Errc::invalid_protobuf, "/time"},
        {field(5, number(1, 1)), Errc::invalid_protobuf, ""},
        // Broken off, or too long.
        {"\x0a", Errc::invalid_protobuf, ""},
        {"\x0a\x05"
         "abc",
         Errc::invalid_protobuf, ""},
        {tag(7, 2) + std::string(10, '\xff') + "\x01", Errc::invalid_protobuf, ""},
        {tag(7, 2) + varint(~std::uint64_t{0}), Errc::invalid_protobuf, ""},
        {tag(7, 2) + varint(1ULL << 31), Errc::invalid_protobuf, ""},
        {std::string(11, '\x80'), Errc::invalid_protobuf, ""},
        {"\x00\x00"s, Errc::invalid_protobuf, ""},
        {varint(1ULL << 35 | 10) + "\x00"s, Errc::invalid_protobuf, ""},
        {field(5,
               "\x0a\x09"
               "a"),
         Errc::invalid_protobuf, ""},
        {entry("a", "\x1a\x09x"), Errc::invalid_protobuf, "/a"},
        // Twice.
        {field(1, "2"), Errc::invalid_event, "/id"},
        {field(3, "1.0"), Errc::invalid_event, "/specversion"},
        {field(7, "1") + field(7, "2"), Errc::invalid_event, "/data"},
        {field(6, "1") + field(7, "2"), Errc::invalid_event, "/data"},
        {entry("a", field(3, "1")) + entry("a", field(3, "1")), Errc::invalid_event, "/a"},
        {entry("a", field(3, "1") + field(3, "2")), Errc::invalid_event, "/a"},
        {entry("a", field(3, "1") + number(1, 1)), Errc::invalid_event, "/a"},
        {field(5, field(1, "a") + field(1, "b") + field(2, field(3, "x"))), Errc::invalid_event, ""},
        {timestamp(number(1, 1) + number(1, 2)), Errc::invalid_event, "/time"},
        // Names.
        {entry("id", field(3, "2")), Errc::invalid_event, "/id"},
        {entry("specversion", field(3, "1.0")), Errc::invalid_event, "/specversion"},
        {entry("Camel", field(3, "x")), Errc::invalid_event, "/Camel"},
        {entry("", field(3, "x")), Errc::invalid_event, "/"},
        {entry("a/b~", field(3, "x")), Errc::invalid_event, "/a~1b~0"},
        {entry(std::string(21, 'a'), field(3, "x")), Errc::invalid_event, "/aaaaaaaaaaaaaaaaaaaaa"},
        {entry("a\xff", field(3, "x")), Errc::invalid_protobuf, ""},
        {entry("cursor", field(3, "x")), Errc::invalid_event, "/cursor"},
        {entry("data", field(3, "x")), Errc::invalid_event, "/data"},
        // Values.
        {entry("a", field(3, "\xff")), Errc::invalid_event, "/a"},
        {entry("a", field(3, "x\n")), Errc::invalid_event, "/a"},
        {entry("a", field(3, std::string(limits::event_attribute_max_bytes + 1, 'x'))), Errc::invalid_event, "/a"},
        {entry("a", number(1, 2)), Errc::invalid_protobuf, "/a"},
        {entry("a", number(2, 1ULL << 31)), Errc::invalid_event, "/a"},
        {entry("a", number(2, 0xffffffff)), Errc::invalid_event, "/a"},
        {entry("subject", number(2, 1)), Errc::invalid_event, "/subject"},
        {entry("subject", field(4, "x")), Errc::invalid_event, "/subject"},
        {entry("datacontenttype", field(7, "")), Errc::invalid_event, "/datacontenttype"},
        {entry("time", field(3, "yesterday")), Errc::invalid_event, "/time"},
        {entry("time", number(1, 1)), Errc::invalid_event, "/time"},
        {timestamp(number(1, 253402300800)), Errc::invalid_event, "/time"},
        {timestamp(number(2, 1000000000)), Errc::invalid_event, "/time"},
        {timestamp(number(2, ~std::uint64_t{0})), Errc::invalid_event, "/time"},
        {timestamp(number(2, 1ULL << 32)), Errc::invalid_event, "/time"},
        {field(7, "\"\xff\""), Errc::invalid_protobuf, "/data"},
        {entry("datacontenttype", field(3, "text/plain")) + field(7, "\xc3"), Errc::invalid_protobuf, "/data"},
    };
    for (const auto& c : cases) {
        const auto error = refusal(bench.protobuf(kHead + c.added));
        CAPTURE(c.added);
        CAPTURE(error.detail);
        CHECK(catalogue_entry(error.code).slug == catalogue_entry(c.code).slug);
        CHECK(error.pointer == c.pointer);
    }
    CHECK(refusal(bench.protobuf(field(1, "1"))).pointer == "/specversion");
    CHECK(refusal(bench.protobuf(field(3, "0.3"))).pointer == "/specversion");
    CHECK(refusal(bench.protobuf("")).pointer == "/specversion");
    Bench unmapped(
        nlohmann::json::parse(R"({"attributes":{"id":{"pointer":"/id"},"source":{"constant":"/s"},"type":{"constant":"t"}},"fields":[]})"));
    CHECK(refusal(unmapped.protobuf(field(3, "1.0") + field(2, "/s") + field(4, "t"))).pointer == "/id");
    // Whatever the length at which it is broken off: refused, or (before the data) an event without it.
    auto whole = base_event();
    attribute(whole, "a").set_ce_string("b");
    attribute(whole, "time").mutable_ce_timestamp()->set_seconds(5);
    whole.set_text_data("{}");
    const auto bytes = whole.SerializeAsString();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto prepared = bench.protobuf(bytes.substr(0, size));
        REQUIRE(prepared.ok());
        CHECK(prepared->items.size() + prepared->rejections.size() == 1);
    }
}

TEST_CASE("lengths and numbers may be longer than they need be, nothing else") {
    Bench bench;
    const auto prepared = bench.protobuf(kHead + entry("a", "\x10\x87\x80\x80\x00"s) + "\x3a\x81\x00\x31"s);
    REQUIRE(prepared->rejections.empty());
    CHECK(stored(prepared).envelope().find(R"("a":7)") != std::string_view::npos);
    CHECK(stored(prepared).data() == "1");
}

TEST_CASE("limits are those of the other formats") {
    Bench bench;
    auto e = base_event();
    e.set_text_data("\"" + std::string(limits::event_max_bytes - 2, 'x') + "\"");
    CHECK(bench.protobuf(e.SerializeAsString())->items.size() == 1);
    e.set_text_data("\"" + std::string(limits::event_max_bytes - 1, 'x') + "\"");
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::event_too_large);
    attribute(e, "datacontenttype").set_ce_string("text/plain");
    e.set_text_data("no JSON");  // what is governed cannot be looked for in it: kept as bytes
    CHECK(event::StoredEvent::parse(bench.protobuf(e.SerializeAsString())->items[0].record)->data_kind() == event::DataKind::base64);
    e.set_text_data(std::string(limits::event_max_bytes / 5 * 4, 'x'));  // as base64 it is too large
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::event_too_large);
    e.set_binary_data(std::string(limits::event_max_bytes, 'x'));
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::event_too_large);
    e.set_binary_data(std::string(limits::event_max_bytes * 2, 'x'));
    CHECK(refusal(bench.protobuf(e.SerializeAsString())).code == Errc::event_too_large);
    auto many = base_event();
    for (std::size_t i = 0; i < limits::event_extensions_max; ++i) attribute(many, "x" + std::to_string(i)).set_ce_integer(1);
    CHECK(refusal(bench.protobuf(many.SerializeAsString())).code == Errc::invalid_event);  // the mapping adds its license
    many.mutable_attributes()->erase("x0");
    CHECK(bench.protobuf(many.SerializeAsString())->items.size() == 1);
}

TEST_CASE("a batch: a bad event never spoils its neighbours, a broken batch is refused whole") {
    Bench bench;
    CloudEventBatch batch;
    for (const char* id : {"1", "2", "3"}) {
        auto* e = batch.add_events();
        *e = base_event();
        e->set_id(id);
    }
    batch.mutable_events(1)->set_spec_version("0.3");
    const auto prepared = bench.protobuf_batch(batch.SerializeAsString() + field(1, "\x0a\x09"));
    REQUIRE(prepared.ok());
    CHECK(prepared->received == 4);
    CHECK(prepared->indexes == std::vector<std::size_t>{0, 2});
    REQUIRE(prepared->rejections.size() == 2);
    CHECK(prepared->rejections[0].index == 1);
    CHECK(prepared->rejections[1].index == 3);
    CHECK(prepared->rejections[1].error.code == Errc::invalid_protobuf);
    CHECK(bench.protobuf_batch("")->received == 0);
    const auto bytes = batch.SerializeAsString();
    for (const auto& broken : {bytes.substr(0, bytes.size() - 1), bytes + number(1, 1), bytes + field(2, "x"), bytes + "\xff"}) {
        const auto refused = bench.protobuf_batch(broken);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == Errc::invalid_protobuf);
    }
    std::string many;
    for (std::size_t i = 0; i < limits::ingest_batch_max_events; ++i) many += field(1, "");
    CHECK(bench.protobuf_batch(many)->rejections.size() == limits::ingest_batch_max_events);
    CHECK(bench.protobuf_batch(many + field(1, "")).error().code == Errc::body_too_large);
}
