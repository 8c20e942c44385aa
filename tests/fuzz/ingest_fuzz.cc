// Publish requests: whatever the bytes, each event is taken or refused, a record reads back, its envelope and data are JSON, and nothing shows the
// data subject. The first byte chooses the content type.
#include <nlohmann/json.hpp>

#include "event/json_fault.h"
#include "server/stream/ingest/ingest.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace licet;
using namespace licet::stream;
using fuzz::require;

const app::ProductEntry& product() {
    static const app::ProductEntry entry = [] {
        app::ProductEntry out;
        const auto mapping = nlohmann::json::parse(R"({"attributes":{"id":{"digest":true},"source":{"constant":"/s"},"type":{"constant":"t"},
            "time":{"pointer":"/at"},"jurisdiction":{"pointer":"/list/1"},"residency":{"pointer":"/home"},"datasubject":{"pointer":"/user"}},
            "fields":[{"pointer":"/user"},{"pointer":"/list/0","infoType":"IP_ADDRESS"},{"pointer":"/deep/a"},{"pointer":""}]})");
        out.product.no = {1};
        out.product.mappings = {mapping};
        out.mappings.push_back(std::make_shared<const event::Mapping>(event::parse_mapping(mapping, 1).value()));
        return out;
    }();
    return entry;
}

IngestDigests digests() {
    return {[](std::string_view, std::string_view) { return SubjectKey{{1}}; },
            [](ProductNo, std::string_view, std::string_view) { return EventIdentity{{1}}; },
            [](std::string_view data) { return std::to_string(data.size()); }};
}

void check_record(const std::string& record) {
    const auto e = event::StoredEvent::parse(record);
    require(e.has_value(), "the record reads back");
    const std::string envelope = std::string(e->envelope()) + "}";
    require(!event::find_json_fault(envelope), "the envelope is JSON");
    const auto attributes = nlohmann::json::parse(envelope);
    for (const char* never : {"datasubject", "data", "data_base64", "cursor"})
        require(!attributes.contains(never), "the envelope has attributes only");
    for (const char* always : {"specversion", "id", "source", "type"}) require(attributes.contains(always), "what CloudEvents requires is there");
    const auto data = e->data();
    require((e->data_kind() == event::DataKind::none) == data.empty(), "no data, no bytes");
    if (!data.empty()) require(!event::find_json_fault(data), "the data is JSON");
    std::uint32_t last = 0;
    for (std::size_t i = 0; i < e->span_count(); ++i) {
        const auto span = e->span(i);
        require(span.value_begin < span.value_end && span.value_end <= data.size() && span.member_begin <= span.value_begin,
                "spans are within the data");
        require(span.value_begin >= last, "spans are in order");
        last = span.value_begin;
        require(!event::find_json_fault(data.substr(span.value_begin, span.value_end - span.value_begin)), "a span is one value");
    }
}

}  // namespace

std::vector<std::string> licet::fuzz::seeds() {
    const std::string event =
        R"({"specversion":"1.0","id":"1","source":"/s","type":"t","seq":7,"ok":true,"data":{"user":"192.0.2.1","list":["::1","DE"],"deep":{"a":[1,{"b":null}]}}})";
    const auto field = [](int number, const std::string& bytes) {
        return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
    };
    const auto attribute = [&](const std::string& name, const std::string& value) { return field(5, field(1, name) + field(2, value)); };
    const std::string message = field(1, "1") + field(2, "/s") + field(3, "1.0") + field(4, "t") + attribute("seq", "\x10\x07") +
                                attribute("time", field(7, "\x08\x01\x10\x02")) + attribute("ok", "\x08\x01") +
                                field(7, R"({"user":"192.0.2.1","list":["::1","DE"]})");
    return {"0{\"user\":\"x\",\"list\":[1,\"FR\"],\"at\":\"2026-01-01T00:00:00Z\",\"deep\":{\"a\":1e400}}",
            "0[1,2.5e-3,\"\\u00e9\\ud83d\\ude00\",{\"a\":{}}]",
            "1{\"n\":1}\n\n[]\r\n\"x\"\n{\"home\":\"us\"}\nbad\n",
            "2" + event,
            std::string("2") + R"({"specversion":"1.0","id":"1","source":"/s","type":"t","datasubject":"who","data_base64":"AAEC"})",
            "3[" + event + "," + event + ",7]",
            "4{\"user\":[]}",
            "5\x01\x02\x03",
            "6" + message,
            "7" + field(1, message) + field(1, message) + field(1, "bad")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static IngestParser parser(digests());
    if (size == 0) return 0;
    const auto body = licet::fuzz::as_text(bytes + 1, size - 1);
    static constexpr const char* types[] = {"application/json",
                                            "application/x-ndjson",
                                            "application/cloudevents+json",
                                            "application/cloudevents-batch+json",
                                            "application/vnd.x+json",
                                            "image/png",
                                            "application/cloudevents+protobuf",
                                            "application/cloudevents-batch+protobuf"};
    const std::size_t mode = bytes[0] % 8;
    IngestRequest request{&product(), types[mode], {}, body, "eu", {1}};
    if (mode == 4 || mode == 5)
        request.ce_headers = {{"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}, {"subject", std::string(body.substr(0, 8))}};
    const auto prepared = parser.prepare(request);
    if (!prepared) {
        require(mode == 3 || mode == 1 || mode == 7, "only batches are refused whole");
        return 0;
    }
    require(prepared->items.size() + prepared->rejections.size() == prepared->received, "each event is taken or refused");
    require(prepared->indexes.size() == prepared->items.size(), "each item has its place");
    for (std::size_t i = 1; i < prepared->indexes.size(); ++i) require(prepared->indexes[i - 1] < prepared->indexes[i], "places ascend");
    for (std::size_t i = 1; i < prepared->rejections.size(); ++i)
        require(prepared->rejections[i - 1].index < prepared->rejections[i].index, "rejections ascend");
    for (const auto& item : prepared->items) check_record(item.record);
    if (mode == 0) {
        const bool broken = !prepared->rejections.empty() && prepared->rejections[0].error.code == Errc::invalid_json;
        require(broken == event::find_json_fault(body).has_value(), "what is not JSON is refused, and only that, as not JSON");
    }
    return 0;
}
