#include "event/sealed.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "event/field_spans.h"
#include "event/span_scanner.h"

using namespace licet;
using namespace licet::event;

namespace {

// Not a cipher: it turns bytes over and remembers what they were bound to, which is all these tests look at. The real one: tests/unit/openssl.
class Turned final : public ValueCipher {
  public:
    bool derive(Bytes context) noexcept override {
        context_.assign(context.begin(), context.end());
        return true;
    }
    bool seal(Bytes plain, Bytes associated, std::string& out) noexcept override {
        bound.push_back(context_ + std::string(associated.begin(), associated.end()));
        out.append(kOverheadBytes - 1, 'x');
        out += static_cast<char>(bound.size());
        for (const auto byte : plain) out += static_cast<char>(~byte);
        return !broken;
    }
    bool open(Bytes sealed, Bytes associated, std::string& out) noexcept override {
        const std::size_t number = sealed[kOverheadBytes - 1];
        if (number == 0 || number > bound.size() || bound[number - 1] != context_ + std::string(associated.begin(), associated.end())) return false;
        for (std::size_t i = kOverheadBytes; i < sealed.size(); ++i) out += static_cast<char>(~sealed[i]);
        return true;
    }
    std::vector<std::string> bound;
    bool broken = false;

  private:
    std::string context_;
};

constexpr ProductNo kProduct{3};
const DataKeyId kKey{{1, 2, 3}};

Mapping mapping_of(const char* text) {
    auto document = nlohmann::json::parse(text);
    auto& attributes = document["attributes"];
    for (const char* needed : {"id", "source", "type"})
        if (!attributes.contains(needed)) attributes[needed] = {{"constant", "x"}};
    const auto mapping = parse_mapping(document, 1);
    REQUIRE_MESSAGE(mapping.ok(), (mapping.ok() ? "" : mapping.error().pointer + mapping.error().detail));
    return *mapping;
}

std::string record_of(const Mapping& mapping, std::string_view data, DataKind kind = DataKind::json, std::string_view id = "e1") {
    EventDraft d;
    d.mapping_version = 1;
    d.subject.bytes.fill(7);
    d.id = id;
    d.source = "/s";
    d.envelope = R"({"specversion":"1.0")";
    d.data = data;
    d.data_kind = kind;
    if (kind == DataKind::json) {
        PathTree tree;
        for (std::size_t i = 0; i < mapping.fields.size(); ++i) tree.add(mapping.fields[i].path, i);
        std::vector<FoundValue> found;
        REQUIRE(find_values(data, tree, found).ok());
        REQUIRE(append_field_spans(mapping, data, found, 0, d.spans).ok());
    }
    return encode_record(d);
}

constexpr const char* kMapping = R"({"attributes": {}, "fields": [
    {"pointer": "/user", "category": "pd:Name"}, {"pointer": "/user/mail"}, {"pointer": "/n"}, {"pointer": "/list/*"},
    {"pointer": "/note", "scan": true}]})";
constexpr std::string_view kData =
    R"({"a":1,"user":{"mail":"ann@example.org","x":[1]},"n":-12.5e3,"list":["p",null,{"q":"r"}],"note":"call 192.0.2.7 now","z":"clear"})";

}  // namespace

TEST_CASE("what is sealed opens to the very bytes, and shows nothing of itself before") {
    Turned cipher;
    const auto plain = record_of(mapping_of(kMapping), kData);
    const auto before = StoredEvent::parse(plain).value();
    const auto record = seal_record(before, kProduct, kKey, cipher);
    REQUIRE(record);
    CHECK(sealed_record(*record));
    CHECK_FALSE(sealed_record(plain));
    const auto event = StoredEvent::parse(*record).value();
    CHECK(event.sealed());
    CHECK(event.key_id() == kKey);
    CHECK(event.static_attributes() == before.static_attributes());
    CHECK(event.envelope() == before.envelope());
    for (const char* value : {"ann@", "12.5", "\"p\"", "\"r\"", "192.0.2.7", "call"}) CHECK(record->find(value) == std::string::npos);
    CHECK(event.data().find(R"("z":"clear")") != std::string_view::npos);
    CHECK(nlohmann::json::parse(event.data())["user"].is_string());
    // One for each outermost value: user, n, three of the list, note.
    CHECK(cipher.bound.size() == 6);

    std::string data;
    REQUIRE(open_data(event, kProduct, cipher, data));
    CHECK(data == kData);
    const auto opened = event.with_data(data);
    CHECK_FALSE(opened.sealed());
    REQUIRE(opened.span_count() == before.span_count());
    for (std::size_t i = 0; i < opened.span_count(); ++i) CHECK(opened.span(i) == before.span(i));
}

TEST_CASE("a sealed value opens for its product, subject, event and place alone") {
    Turned cipher;
    const auto record = seal_record(StoredEvent::parse(record_of(mapping_of(kMapping), kData)).value(), kProduct, kKey, cipher).value();
    std::string data = "left";
    CHECK_FALSE(open_data(StoredEvent::parse(record).value(), {4}, cipher, data));
    CHECK(data.empty());
    // The data of one event in the record of another: the id is bound.
    const auto other = StoredEvent::parse(record_of(mapping_of(kMapping), kData, DataKind::json, "e2")).value();
    const auto moved = other.encode_sealed(kKey, StoredEvent::parse(record)->data());
    CHECK_FALSE(open_data(StoredEvent::parse(moved).value(), kProduct, cipher, data));
    // Two values of one size change places.
    const auto list = mapping_of(R"({"attributes": {}, "fields": [{"pointer": "/a"}, {"pointer": "/b"}]})");
    const auto two = seal_record(StoredEvent::parse(record_of(list, R"({"a":"x","b":"y"})")).value(), kProduct, kKey, cipher).value();
    const auto event = StoredEvent::parse(two).value();
    const auto tokens = nlohmann::json::parse(event.data());
    const nlohmann::json swapped{{"a", tokens["b"]}, {"b", tokens["a"]}};
    CHECK_FALSE(open_data(StoredEvent::parse(event.encode_sealed(kKey, swapped.dump())).value(), kProduct, cipher, data));
    // With a piece missing before the end of the last value nothing opens. (What is in clear is the log's checksums' to guard.)
    const auto whole = std::string(event.data());
    for (std::size_t i = 0; i + 4 < whole.size(); ++i) {
        CHECK_FALSE(open_data(StoredEvent::parse(event.encode_sealed(kKey, whole.substr(0, i) + whole.substr(std::min(i + 3, whole.size()))))
                                  .value_or(event.with_data("")),
                              kProduct, cipher, data));
    }
}

TEST_CASE("without the key only whole outer values are there") {
    Turned cipher;
    const auto before = record_of(mapping_of(kMapping), kData);
    const auto record = seal_record(StoredEvent::parse(before).value(), kProduct, kKey, cipher).value();
    const auto event = StoredEvent::parse(record).value();
    std::string spans;
    const auto outer = outer_values(event, spans);
    REQUIRE(outer);
    CHECK_FALSE(outer->sealed());
    REQUIRE(outer->span_count() == 6);
    for (std::size_t i = 0; i < outer->span_count(); ++i) {
        const auto span = outer->span(i);
        CHECK(outer->data()[span.value_begin] == '"');
        CHECK(outer->data()[span.value_end - 1] == '"');
        if (span.member_begin != span.value_begin) CHECK(outer->data()[span.member_begin] == '"');
    }
    CHECK_FALSE(outer_values(StoredEvent::parse(event.encode_sealed(kKey, kData)).value(), spans));
}

TEST_CASE("data that is not JSON, and a document governed as a whole, are sealed whole") {
    Turned cipher;
    const auto root = mapping_of(R"({"attributes": {}, "fields": [{"pointer": ""}, {"pointer": "/a"}]})");
    for (const auto kind : {DataKind::base64, DataKind::json}) {
        const std::string_view text = kind == DataKind::json ? R"({"a":"secret"})" : R"("c2VjcmV0")";
        const auto plain = record_of(root, text, kind);
        REQUIRE(sealable(StoredEvent::parse(plain).value()));
        const auto record = seal_record(StoredEvent::parse(plain).value(), kProduct, kKey, cipher).value();
        CHECK(record.find("ecre") == std::string::npos);
        CHECK(record.find("c2VjcmV0") == std::string::npos);
        std::string data;
        REQUIRE(open_data(StoredEvent::parse(record).value(), kProduct, cipher, data));
        CHECK(data == text);
    }
    CHECK_FALSE(sealable(StoredEvent::parse(record_of(root, "", DataKind::none)).value()));
    CHECK_FALSE(sealable(StoredEvent::parse(record_of(mapping_of(R"({"attributes": {}, "fields": [{"pointer": "/b"}]})"), R"({"a":1})")).value()));
    cipher.broken = true;
    CHECK_FALSE(seal_record(StoredEvent::parse(record_of(root, R"({"a":1})")).value(), kProduct, kKey, cipher));
}

TEST_CASE("a mapping may not keep governed values in attributes, nor the subject's id in clear data") {
    const auto refused = [](const char* document) {
        const auto checked = check_sealable(mapping_of(document));
        return checked ? std::string() : checked.error().pointer;
    };
    CHECK(refused(R"({"attributes": {"datasubject": {"pointer": "/u"}, "jurisdiction": {"pointer": "/c"}, "source": {"constant": "s"}},
                      "fields": [{"pointer": "/u"}, {"pointer": "/c"}]})") == "");
    CHECK(refused(R"({"attributes": {"datasubject": {"pointer": "/u"}}, "fields": [{"pointer": "/v"}]})") == "/attributes/datasubject");
    CHECK(refused(R"({"attributes": {"datasubject": {"pointer": "/u/id"}}, "fields": [{"pointer": "/u"}]})") == "");
    CHECK(refused(R"({"attributes": {"subject": {"pointer": "/u"}}, "fields": [{"pointer": "/u"}]})") == "/attributes/subject");
    CHECK(refused(R"({"attributes": {"subject": {"pointer": "/u/0/x"}}, "fields": [{"pointer": "/u/*"}]})") == "/attributes/subject");
    CHECK(refused(R"({"attributes": {"subject": {"pointer": "/t"}}, "fields": [{"pointer": "/u"}]})") == "");
    CHECK(refused(R"({"attributes": {"id": {"digest": true}}, "fields": [{"pointer": "/u"}]})") == "/attributes/id");
}
