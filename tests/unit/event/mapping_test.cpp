#include "event/mapping.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace licet;
using namespace licet::event;
using nlohmann::json;

namespace {

json good() {
    return json::parse(
        R"({"attributes":{"id":{"digest":true},"source":{"constant":"https://example.org/edits"},"type":{"constant":"org.example.edit"},
        "time":{"pointer":"/time"},"license":{"constant":"CC-BY-SA-4.0"},"jurisdiction":{"pointer":"/place/country","required":true},
        "datasubject":{"pointer":"/user","infoType":"IP_ADDRESS"}},
        "fields":[{"pointer":"/user","category":"pd:IPAddress","infoType":"IP_ADDRESS"},{"pointer":"/a~1b/m~0n/0"},{"pointer":"","infoType":"FREE_TEXT"}]})");
}

std::string pointer_of(const json& document) {
    const auto read = parse_mapping(document, 1);
    if (read.ok()) return "accepted";
    CHECK(read.error().code == Errc::invalid_document);
    return read.error().pointer;
}

}  // namespace

TEST_CASE("a mapping is read, and written as it was") {
    const auto read = parse_mapping(good(), 3);
    REQUIRE(read.ok());
    CHECK(read->version == 3);
    REQUIRE(read->rule("datasubject") != nullptr);
    CHECK(read->rule("datasubject")->info_type == InfoType::ip_address);
    CHECK(read->rule("jurisdiction")->path == std::vector<std::string>{"place", "country"});
    CHECK(read->rule("jurisdiction")->required);
    CHECK(read->rule("subject") == nullptr);
    REQUIRE(read->fields.size() == 3);
    CHECK(read->fields[1].path == std::vector<std::string>{"a/b", "m~n", "0"});
    CHECK(read->fields[2].path.empty());
    CHECK(read->field("/user") == 0u);
    CHECK_FALSE(read->field("/nobody").has_value());
    CHECK(to_json(*read) == good());
}

TEST_CASE("each fault is pointed at") {
    const auto at = [](const char* where, const json& value) {
        json document = good();
        document[json::json_pointer(where)] = value;
        return pointer_of(document);
    };
    CHECK(pointer_of(json::array()) == "");
    CHECK(at("/other", 1) == "/other");
    CHECK(at("/a~1b", 1) == "/a~1b");
    CHECK(at("/attributes", 1) == "/attributes");
    CHECK(at("/attributes/Title", json{{"constant", "x"}}) == "/attributes/Title");
    CHECK(at("/attributes/data", json{{"constant", "x"}}) == "/attributes/data");
    CHECK(at("/attributes/specversion", json{{"constant", "1.0"}}) == "/attributes/specversion");
    CHECK(at("/attributes/id", json{{"digest", false}}) == "/attributes/id/digest");
    CHECK(at("/attributes/source", json{{"digest", true}}) == "/attributes/source/digest");
    CHECK(at("/attributes/source", "x") == "/attributes/source");
    CHECK(at("/attributes/source", json::object()) == "/attributes/source");
    CHECK(at("/attributes/source", json{{"constant", "x"}, {"pointer", "/x"}}) == "/attributes/source");
    CHECK(at("/attributes/source/constant", "") == "/attributes/source/constant");
    CHECK(at("/attributes/source/constant", 5) == "/attributes/source/constant");
    CHECK(at("/attributes/source/constant", "a\nb") == "/attributes/source/constant");
    CHECK(at("/attributes/source/constant", std::string(5000, 'x')) == "/attributes/source/constant");
    CHECK(at("/attributes/source/surprise", 1) == "/attributes/source/surprise");
    CHECK(at("/attributes/time/pointer", "time") == "/attributes/time/pointer");
    CHECK(at("/attributes/time/pointer", "/ti~2me") == "/attributes/time/pointer");
    CHECK(at("/attributes/time/pointer", "/ti~") == "/attributes/time/pointer");
    CHECK(at("/attributes/time/pointer", "/" + std::string(600, 'x')) == "/attributes/time/pointer");
    CHECK(at("/attributes/time", json{{"constant", "yesterday"}}) == "/attributes/time/constant");
    CHECK(at("/attributes/residency", json{{"constant", "EU"}}) == "/attributes/residency/constant");
    CHECK(at("/attributes/time/required", "yes") == "/attributes/time/required");
    CHECK(at("/attributes/license/infoType", "IP_ADDRESS") == "/attributes/license/infoType");
    CHECK(at("/attributes/datasubject/infoType", "PERSON_NAME") == "/attributes/datasubject/infoType");
    CHECK(at("/attributes/datasubject/infoType", "ip") == "/attributes/datasubject/infoType");
    CHECK(at("/fields", json::object()) == "/fields");
    CHECK(at("/fields/0", 1) == "/fields/0");
    CHECK(at("/fields/0/category", "IPAddress") == "/fields/0/category");
    CHECK(at("/fields/0/infoType", "IP") == "/fields/0/infoType");
    CHECK(at("/fields/0/title", "x") == "/fields/0/title");
    CHECK(at("/fields/1/pointer", "/user") == "/fields/1/pointer");
    CHECK(at("/fields/1", json{{"category", "pd:City"}}) == "/fields/1");
    for (const char* name : {"id", "source", "type"}) {
        json document = good();
        document["attributes"].erase(name);
        CHECK(pointer_of(document) == "/attributes");
    }
}

TEST_CASE("mappings are bounded") {
    json document = good();
    for (int i = 0; i < 300; ++i) document["fields"].push_back({{"pointer", "/f" + std::to_string(i)}});
    CHECK(pointer_of(document) == "/fields");
}

TEST_CASE("JSON pointers") {
    using Tokens = std::vector<std::string>;
    CHECK(parse_pointer("") == Tokens{});
    CHECK(parse_pointer("/") == Tokens{""});
    CHECK(parse_pointer("//") == Tokens{"", ""});
    CHECK(parse_pointer("/a/0") == Tokens{"a", "0"});
    CHECK(parse_pointer("/~01") == Tokens{"~1"});
    for (const char* bad : {"a", "/~", "/~2", "/a~"}) CHECK_FALSE(parse_pointer(bad).has_value());
}

TEST_CASE("fields may be scanned and reach every element; attributes may not") {
    const json attributes{{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}};
    const json document{{"attributes", attributes}, {"fields", {{{"pointer", "/notes/*/text"}, {"infoType", "FREE_TEXT"}, {"scan", true}}}}};
    const auto mapping = parse_mapping(document, 1);
    REQUIRE(mapping.ok());
    CHECK(mapping->fields[0].scan);
    CHECK(to_json(*mapping) == document);
    json bad = document;
    bad["fields"][0]["scan"] = "yes";
    CHECK(parse_mapping(bad, 1).error().pointer == "/fields/0/scan");
    bad = document;
    bad["attributes"]["datasubject"] = {{"pointer", "/users/*"}};
    CHECK(parse_mapping(bad, 1).error().pointer == "/attributes/datasubject/pointer");
}
