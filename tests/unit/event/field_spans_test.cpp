#include "event/field_spans.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/limits.h"

using namespace licet;
using namespace licet::event;
using nlohmann::json;

namespace {

Mapping mapping_of(json fields) {
    const json document{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                        {"fields", std::move(fields)}};
    return parse_mapping(document, 1).value();
}

// "pointer TYPE text|" per span; parts with a tilde.
std::string spans(const Mapping& mapping, std::string_view data) {
    PathTree tree;
    for (std::size_t i = 0; i < mapping.fields.size(); ++i) tree.add(mapping.fields[i].path, i + 2);
    std::vector<FoundValue> found;
    REQUIRE(find_values(data, tree, found));
    std::vector<Span> out;
    if (auto done = append_field_spans(mapping, data, found, 2, out); !done) return done.error().detail;
    std::string text;
    for (const auto& s : out)
        text += mapping.fields[s.field].pointer + " " + std::string(info_type_name(s.detected)) + (s.value_kind == ValueKind::part ? "~" : " ") +
                std::string(data.substr(s.value_begin, s.value_end - s.value_begin)) + "|";
    return text;
}

}  // namespace

TEST_CASE("parts are recorded where they stand in the escaped text, only for scanned fields") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/t"}, {"infoType", "FREE_TEXT"}, {"scan", true}}, {{"pointer", "/u"}}}));
    CHECK(spans(mapping, R"({"t":"ask ada@x.org or 192.0.2.1","u":"ada@x.org"})") ==
          R"(/t  "ask ada@x.org or 192.0.2.1"|/t EMAIL_ADDRESS~ada@x.org|/t IP_ADDRESS~192.0.2.1|/u  "ada@x.org"|)");
    CHECK(spans(mapping, R"({"t":"\n\u0061da@\u0078.org\t"})") == R"(/t  "\n\u0061da@\u0078.org\t"|/t EMAIL_ADDRESS~\u0061da@\u0078.org|)");
    CHECK(spans(mapping, R"({"t":"\ud83d\ude00@x.org!"})") == R"(/t  "\ud83d\ude00@x.org!"|/t EMAIL_ADDRESS~\ud83d\ude00@x.org|)");
}

TEST_CASE("everything inside a scanned value is searched: keys, nested strings, numbers that are cards") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/t"}, {"scan", true}}, {{"pointer", "/t/0"}}}));
    CHECK(spans(mapping, R"({"t":[4111111111111111,{"ada@x.org":"::1x ::1"},7,true],"z":"ada@x.org"})") ==
          R"(/t  [4111111111111111,{"ada@x.org":"::1x ::1"},7,true]|/t CREDIT_CARD_NUMBER 4111111111111111|/t/0  4111111111111111|)"
          R"(/t EMAIL_ADDRESS~ada@x.org|/t IP_ADDRESS~::1|)");
    CHECK(spans(mapping, R"({"t":4111111111111111})") == R"(/t CREDIT_CARD_NUMBER 4111111111111111|)");
    CHECK(spans(mapping, R"({"t":4111111111111112})") == R"(/t  4111111111111112|)");
}

TEST_CASE("an event with too many findings is refused, not half searched") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/t"}, {"scan", true}}}));
    std::string text = "{\"t\":\"";
    for (std::size_t i = 0; i <= limits::governed_spans_max; ++i) text += "::1 ";
    CHECK(spans(mapping, text + "\"}") == "more than 1024 governed values");
}
