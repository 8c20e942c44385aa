// Delivered events as protobuf: read back with what protoc makes of the schema, and by hand where a reader is more lenient than we are.
#include <doctest/doctest.h>

#include <string>

#include "cloudevents.pb.h"
#include "server/stream/delivery/protobuf.h"

using namespace std::string_literals;
using io::cloudevents::v1::CloudEvent;
using io::cloudevents::v1::CloudEventBatch;
using licet::stream::ProtobufEncoder;

namespace {

const std::string kHead = R"({"specversion":"1.0","id":"i","source":"/s","type":"t")";

std::string encoded(const std::string& attributes, const std::string& data = "", bool base64 = false) {
    ProtobufEncoder encoder;
    std::string out;
    const auto member = data.empty() ? "" : (base64 ? ",\"data_base64\":" : ",\"data\":") + data;
    REQUIRE(encoder.append_event(kHead + attributes + R"(,"cursor":"C")" + member + "}", data.size(), out));
    return out;
}

CloudEvent read(const std::string& attributes, const std::string& data = "", bool base64 = false) {
    CloudEvent event;
    const auto bytes = encoded(attributes, data, base64);
    REQUIRE(event.ParseFromString(bytes));
    CHECK(event.GetReflection()->GetUnknownFields(event).empty());
    CHECK(event.ByteSizeLong() == bytes.size());  // nothing twice, nothing longer than it need be
    return event;
}

}  // namespace

TEST_CASE("the wire is what the specification's numbers say") {
    CHECK(encoded("") ==
          "\x1a\x03"
          "1.0"
          "\x0a\x01i"
          "\x12\x02/s"
          "\x22\x01t"
          "\x2a\x0d\x0a\x06"
          "cursor"
          "\x12\x03\x1a\x01"
          "C");
}

TEST_CASE("attributes have the types of CloudEvents") {
    const auto event = read(
        R"(,"subject":"a\"b\u00e9","time":"2026-01-02T03:04:05.678901234Z","datacontenttype":"text/plain","dataschema":"urn:x","count":-7,"big":2147483647,)"
        R"("expirytime":"1969-12-31T23:59:59.5Z","flag":true,"not":false,"zero":0)");
    CHECK(event.id() == "i");
    CHECK(event.source() == "/s");
    CHECK(event.spec_version() == "1.0");
    CHECK(event.type() == "t");
    const auto& all = event.attributes();
    CHECK(all.size() == 11);
    CHECK(all.at("subject").ce_string() == "a\"b\xc3\xa9");
    CHECK(all.at("time").ce_timestamp().seconds() == 1767323045);
    CHECK(all.at("time").ce_timestamp().nanos() == 678901234);
    CHECK(all.at("expirytime").ce_timestamp().seconds() == -1);
    CHECK(all.at("expirytime").ce_timestamp().nanos() == 500000000);
    CHECK(all.at("datacontenttype").ce_string() == "text/plain");
    CHECK(all.at("dataschema").ce_uri() == "urn:x");
    CHECK(all.at("count").ce_integer() == -7);
    CHECK(all.at("big").ce_integer() == 2147483647);
    CHECK(all.at("zero").has_ce_integer());
    CHECK(all.at("flag").ce_boolean());
    CHECK(all.at("not").has_ce_boolean());
    CHECK_FALSE(all.at("not").ce_boolean());
    CHECK(all.at("cursor").ce_string() == "C");
    CHECK(event.data_case() == CloudEvent::DATA_NOT_SET);
}

TEST_CASE("JSON data goes as its text, and says that it is JSON") {
    for (const auto* text : {R"({"a":[1,2.50,"\u00e9"],"b":null})", "null", "0", R"("text")", "[]"}) {
        const auto event = read("", text);
        CHECK(event.text_data() == text);
        CHECK(event.attributes().at("datacontenttype").ce_string() == "application/json");
        CHECK(read(R"(,"datacontenttype":"application/vnd.x+json; v=1")", text).text_data() == text);
    }
    CHECK(read(R"(,"datacontenttype":"Application/JSON")", "1").attributes().at("datacontenttype").ce_string() == "Application/JSON");
    const std::string large = '"' + std::string(70'000, 'x') + '"';
    CHECK(read("", large).text_data() == large);
}

TEST_CASE("text goes as text, bytes as bytes") {
    CHECK(read(R"(,"datacontenttype":"text/plain")", R"("line\n\"q\"")").text_data() == "line\n\"q\"");
    CHECK(read(R"(,"datacontenttype":"text/plain")", R"("")").has_text_data());
    CHECK(read(R"(,"datacontenttype":"text/plain")", "null").data_case() == CloudEvent::DATA_NOT_SET);
    CHECK(read(R"(,"datacontenttype":"text/xml")", R"({"a":1})").text_data() == R"({"a":1})");
    const auto bytes = read(R"(,"datacontenttype":"image/png")", R"("AAEC/w==")", true);
    CHECK(bytes.binary_data() == "\x00\x01\x02\xff"s);
    CHECK_FALSE(read("", R"("AAEC")", true).attributes().contains("datacontenttype"));
    ProtobufEncoder encoder;
    std::string out;
    const auto broken = kHead + R"(,"cursor":"C","data_base64":"??"})";
    CHECK_FALSE(encoder.append_event(broken, 4, out));
}

TEST_CASE("a batch is its messages, one behind the other") {
    const auto one = encoded("", "1"), two = encoded(R"(,"n":2)", std::string(300, '7'));
    std::string out;
    licet::stream::append_batch_member(one, out);
    licet::stream::append_batch_member(two, out);
    CloudEventBatch batch;
    REQUIRE(batch.ParseFromString(out));
    REQUIRE(batch.events_size() == 2);
    CHECK(batch.events(0).text_data() == "1");
    CHECK(batch.events(1).attributes().at("n").ce_integer() == 2);
    CHECK(batch.ParseFromString(""));
    CHECK(batch.events_size() == 0);
}
