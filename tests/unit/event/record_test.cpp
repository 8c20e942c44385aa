#include "event/record.h"

#include <doctest/doctest.h>

#include <random>

using namespace licet;
using namespace licet::event;

namespace {

EventDraft full_draft() {
    EventDraft d;
    d.mapping_version = 7;
    d.time = {1'700'000'000'123};
    d.expiry = {-5};
    d.subject.bytes.fill(0xAB);
    d.license = "CC-BY-SA-4.0";
    d.jurisdiction = "DE";
    d.residency = "eu";
    d.classification = "internal";
    d.categories = "pd:IPAddress pd:City";
    d.regulation = "GDPR";
    d.partition_key = "k";
    d.id = "42";
    d.source = "/feed";
    d.envelope = R"({"specversion":"1.0","id":"42")";
    d.data = R"({"user":"192.0.2.1","tags":["a"]})";
    d.data_kind = DataKind::json;
    d.spans = {{3, ValueKind::string, InfoType::ip_address, 1, 8, 19}, {1, ValueKind::string, InfoType::none, 28, 28, 31}};
    return d;
}

}  // namespace

TEST_CASE("a record gives back all that was put in") {
    const EventDraft d = full_draft();
    const std::string bytes = encode_record(d);
    const auto e = StoredEvent::parse(bytes);
    REQUIRE(e.has_value());
    CHECK(e->mapping_version() == 7);
    CHECK(e->time() == d.time);
    CHECK(e->expiry() == d.expiry);
    CHECK(e->subject() == d.subject);
    CHECK(e->license() == d.license);
    CHECK(e->jurisdiction() == d.jurisdiction);
    CHECK(e->residency() == d.residency);
    CHECK(e->classification() == d.classification);
    CHECK(e->categories() == d.categories);
    CHECK(e->regulation() == d.regulation);
    CHECK(e->partition_key() == d.partition_key);
    CHECK(e->id() == d.id);
    CHECK(e->source() == d.source);
    CHECK(e->envelope() == d.envelope);
    CHECK(e->data() == d.data);
    CHECK(e->data_kind() == DataKind::json);
    REQUIRE(e->span_count() == 2);
    CHECK(e->span(0) == d.spans[0]);
    CHECK(e->span(1) == d.spans[1]);
}

TEST_CASE("an event of nothing but defaults is a record too") {
    const std::string bytes = encode_record({});
    const auto e = StoredEvent::parse(bytes);
    REQUIRE(e.has_value());
    CHECK(e->subject().none());
    CHECK(e->data().empty());
    CHECK(e->data_kind() == DataKind::none);
    CHECK(e->span_count() == 0);
}

TEST_CASE("the static attributes are equal exactly when a static decision must be") {
    const auto statics = [](const EventDraft& d) {
        const std::string bytes = encode_record(d);
        return std::string(StoredEvent::parse(bytes)->static_attributes());
    };
    const std::string base = statics(full_draft());
    const auto changed = [&](auto change) {
        EventDraft d = full_draft();
        change(d);
        return statics(d) != base;
    };
    CHECK(changed([](EventDraft& d) { d.license = "CC0-1.0"; }));
    CHECK(changed([](EventDraft& d) { d.jurisdiction = ""; }));
    CHECK(changed([](EventDraft& d) { d.residency = "us"; }));
    CHECK(changed([](EventDraft& d) { d.classification = "x"; }));
    CHECK(changed([](EventDraft& d) { d.categories = "x"; }));
    CHECK(changed([](EventDraft& d) { d.regulation = "x"; }));
    CHECK(changed([](EventDraft& d) { d.spans[0].detected = InfoType::none; }));
    CHECK(changed([](EventDraft& d) { d.spans[0].field = 4; }));
    CHECK(changed([](EventDraft& d) { d.spans.pop_back(); }));
    CHECK(changed([](EventDraft& d) { d.license = "CC-BY-SA-4.0D", d.jurisdiction = "E"; }));
    CHECK_FALSE(changed([](EventDraft& d) { d.id = "43", d.source = "/other", d.time = {1}, d.subject = {}; }));
    CHECK_FALSE(changed([](EventDraft& d) { d.spans[0].member_begin = 0, d.data = R"({"user":"192.0.2.2","tags":["b"]})"; }));
}

TEST_CASE("no prefix of a record and no longer text is one") {
    const std::string bytes = encode_record(full_draft());
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(StoredEvent::parse(std::string_view(bytes).substr(0, size)).has_value());
    CHECK_FALSE(StoredEvent::parse(bytes + '\0').has_value());
}

TEST_CASE("other versions, unknown kinds and spans outside the data are refused") {
    const std::string good = encode_record(full_draft());
    const auto with = [&](std::size_t at, char byte) {
        std::string bytes = good;
        bytes[at] = byte;
        return StoredEvent::parse(bytes).has_value();
    };
    CHECK_FALSE(with(0, 0));
    CHECK_FALSE(with(1, 2));
    CHECK_FALSE(with(2, 3));
    const auto spans = [](std::vector<Span> wrong) {
        EventDraft d = full_draft();
        d.spans = std::move(wrong);
        const std::string bytes = encode_record(d);
        return StoredEvent::parse(bytes).has_value();
    };
    CHECK(spans({{0, ValueKind::object, InfoType::none, 0, 0, 33}}));
    CHECK_FALSE(spans({{0, ValueKind::object, InfoType::none, 0, 0, 34}}));
    CHECK_FALSE(spans({{0, ValueKind::object, InfoType::none, 0, 5, 5}}));
    CHECK_FALSE(spans({{0, ValueKind::object, InfoType::none, 6, 5, 7}}));
    CHECK_FALSE(spans({{0, static_cast<ValueKind>(7), InfoType::none, 0, 0, 33}}));
    CHECK_FALSE(spans({{0, ValueKind::object, static_cast<InfoType>(12), 0, 0, 33}}));
    CHECK_FALSE(spans({{0, ValueKind::string, InfoType::none, 8, 8, 9}, {1, ValueKind::string, InfoType::none, 4, 4, 5}}));
}

TEST_CASE("mutated records are refused or readable within their bytes") {
    std::mt19937_64 random(20261121);
    const std::string good = encode_record(full_draft());
    std::size_t readable = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = good;
        const int changes = 1 + static_cast<int>(random() % 4);
        for (int i = 0; i < changes; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
        if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
        const auto e = StoredEvent::parse(bytes);
        if (!e) continue;
        ++readable;
        const auto inside = [&](std::string_view v) { return v.data() >= bytes.data() && v.data() + v.size() <= bytes.data() + bytes.size(); };
        for (const auto v : {e->license(), e->jurisdiction(), e->residency(), e->classification(), e->categories(), e->regulation(),
                             e->partition_key(), e->id(), e->source(), e->envelope(), e->data()})
            CHECK(inside(v));
        for (std::size_t i = 0; i < e->span_count(); ++i) {
            const Span s = e->span(i);
            CHECK(s.member_begin <= s.value_begin);
            CHECK(s.value_begin < s.value_end);
            CHECK(s.value_end <= e->data().size());
        }
    }
    CHECK(readable > 0);
}
