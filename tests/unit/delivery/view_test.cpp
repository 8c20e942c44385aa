// A view decides once and encodes for every format; what it cannot read, redact or seal it withholds.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/stream_limits.h"
#include "cloudevents.pb.h"

#include "server/openssl/crypto.h"
#include "server/stream/delivery/view.h"
#include "tests/support/policy_event.h"
#include "tests/unit/delivery/doubles.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
using stream::Tape;
using stream::WireFormat;

namespace {

class SwitchedSiv final : public ports::Siv {
  public:
    bool seal(Bytes plain, Bytes associated, std::span<std::uint8_t> out) noexcept override { return !broken && real_->seal(plain, associated, out); }
    bool open(Bytes sealed, Bytes associated, std::span<std::uint8_t> plain) noexcept override { return real_->open(sealed, associated, plain); }
    bool broken = false;

  private:
    std::unique_ptr<ports::Siv> real_ = openssl::make_siv(as_bytes(std::string(64, 'c')));
};

struct Fixture {
    std::shared_ptr<const event::Mapping> mapping;
    policy::ConsentIndex consents;
    MemoryMetrics metrics;
    stream::ViewTools tools;
    SwitchedSiv* siv;
    PlainPseudonymiser* pseudonymiser;
    std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
    std::unique_ptr<stream::View> view;

    explicit Fixture(bool hashing = true) {
        const json document{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                            {"fields", json::array({{{"pointer", "/mail"}, {"category", "pd:EmailAddress"}, {"infoType", "EMAIL_ADDRESS"}}})}};
        mapping = std::make_shared<event::Mapping>(*event::parse_mapping(document, 1));
        const json hash{{"action", "licet:transform"}, {"licet:transform", "cryptoHash"}, {"licet:pointer", "/mail"}};
        json rule{{"uid", "r"}, {"target", "urn:licet:product:orders"}, {"action", "use"}};
        if (hashing) rule["duty"] = json::array({hash});
        const json policy{{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
                          {"@type", "Set"},
                          {"uid", "urn:licet:policy:p"},
                          {"profile", "https://licet.dev/ns/odrl-profile/1"},
                          {"conflict", "prohibit"},
                          {"permission", json::array({rule})}};
        const auto vocabulary = policy::builtin_vocabulary();
        policy::Entitlement who;
        who.product = "orders";
        who.contract = who.party = "partner";
        who.recipient_country = "DE";
        who.purposes = {"dpv:ServiceOptimisation"};
        const std::vector<policy::PolicyVersion> policies{{"p", 1, *policy::parse_policy(policy, *vocabulary)}};
        const std::vector<std::shared_ptr<const event::Mapping>> mappings{mapping};
        consents.set_ready(true);
        auto s = std::make_unique<SwitchedSiv>();
        siv = s.get();
        tools.siv = std::move(s);
        auto p = std::make_unique<PlainPseudonymiser>();
        pseudonymiser = p.get();
        tools.pseudonymiser = std::move(p);
        tools.clock = clock;
        tools.delivered = &metrics.counter("delivered", "", {});
        tools.withheld = &metrics.counter("withheld", "", {});
        tools.failed = &metrics.counter("failed", "", {});
        view = std::make_unique<stream::View>(ports::LogPosition{{7}, {0}}, StreamEpoch{1}, *policy::compile(who, policies, mappings, vocabulary),
                                              std::shared_ptr<policy::ConsentIndex>(&consents, [](auto*) {}), tools);
    }

    std::string record(const std::string& data, event::DataKind kind = event::DataKind::json) const {
        EventText text;
        text.license = "CC0-1.0";
        text.jurisdiction = "DE";
        text.data = data;
        text.kind = kind;
        return make_record(*mapping, text);
    }
};

ports::LogBatch batch_of(const std::vector<std::string>& records, Offset first = 0, std::int64_t appended_step = 0) {
    ports::LogBatch batch;
    batch.position = {{7}, {0}};
    batch.storage = records;
    for (std::size_t i = 0; i < records.size(); ++i)
        batch.entries.push_back({first + i, {static_cast<std::int64_t>(1000 + i) * appended_step}, batch.storage[i]});
    batch.next = first + records.size();
    return batch;
}
bool live(Fixture& f, ports::LogBatch batch) {
    return f.view->take_live(std::make_shared<const ports::LogBatch>(std::move(batch))) && f.view->decide_live() && f.view->live_decided();
}
std::string text(const Tape& tape) { return std::string(tape.bytes(tape.start(), tape.end())); }

}  // namespace

TEST_CASE("every format frames the same event") {
    Fixture f(false);
    const auto batch = batch_of({f.record(R"({"n":1})"), f.record("null"), f.record(R"("AAEC")", event::DataKind::base64)});
    const auto encode = [&](WireFormat format) {
        Tape tape(0);
        CHECK_FALSE(f.view->encode(batch, format, tape, {}, {}));
        CHECK(tape.head() == 3);
        CHECK(tape.totals(0, 1).billed == 7);
        CHECK(tape.totals(1, 2).billed == 4);
        CHECK(tape.totals(2, 3).billed == 6);  // the value as it travels, quotes too
        return text(tape);
    };
    const auto lines = encode(WireFormat::ndjson);
    const auto first = json::parse(lines.substr(0, lines.find('\n')));
    CHECK(first["data"] == json{{"n", 1}});
    CHECK(first["cursor"].get<std::string>().size() == 46);
    CHECK(lines.find(R"("data_base64":"AAEC"})") != std::string::npos);
    const auto batched = json::parse(encode(WireFormat::batch_json) + "]");
    REQUIRE(batched.size() == 3);
    CHECK(batched[0] == first);
    const auto sse = encode(WireFormat::sse);
    CHECK(sse.starts_with("id: " + first["cursor"].get<std::string>() + "\ndata: {"));
    CHECK(encode(WireFormat::websocket_json).find(lines.substr(0, lines.find('\n'))) != std::string::npos);
    io::cloudevents::v1::CloudEventBatch batch_read;
    REQUIRE(batch_read.ParseFromString(encode(WireFormat::batch_protobuf)));
    REQUIRE(batch_read.events_size() == 3);
    CHECK(batch_read.events(0).text_data() == R"({"n":1})");
    CHECK(batch_read.events(0).attributes().at("cursor").ce_string() == first["cursor"]);
    CHECK(batch_read.events(1).text_data() == "null");
    CHECK(batch_read.events(2).binary_data() == std::string("\x00\x01\x02", 3));
    const auto message = batch_read.events(0).SerializeAsString();
    const auto frame = encode(WireFormat::websocket_protobuf).substr(0, 4);
    CHECK(frame.substr(0, 2) == "\x82\x7e");
    CHECK(static_cast<unsigned char>(frame[3]) == message.size());
}

TEST_CASE("what cannot be read, redacted or sealed is withheld, and its neighbours are not") {
    Fixture f;
    const auto good = f.record(R"({"n":1})"), hashed = f.record(R"({"mail":"a@example.org"})");
    const auto offsets = [&](const std::vector<std::string>& records) {
        Tape tape(0);
        (void)f.view->encode(batch_of(records), WireFormat::ndjson, tape, {}, {});
        CHECK(tape.head() == records.size());
        std::vector<Offset> out;
        for (Offset o = 0; o < records.size(); ++o)
            if (tape.totals(o, o + 1).events == 1) out.push_back(o);
        CHECK(text(tape).find("a@example.org") == std::string::npos);
        return out;
    };
    CHECK(offsets({good, hashed, good}) == std::vector<Offset>{0, 1, 2});
    // No transform can be sure of binary data.
    CHECK(offsets({good, f.record(R"("AAEC")", event::DataKind::base64)}) == std::vector<Offset>{0});
    CHECK(offsets({good, "torn", good.substr(0, good.size() - 1), "", good}) == std::vector<Offset>{0, 4});
    f.pseudonymiser->fail = true;
    CHECK(offsets({good, hashed, good}) == std::vector<Offset>{0, 2});
    f.siv->broken = true;
    CHECK(offsets({good, good}).empty());
    CHECK(f.metrics.at("failed").value >= 3 + 1 + 2);
    CHECK(f.metrics.at("withheld").value == 1 + 3 + 1 + 2);
}

TEST_CASE("encoding stops at a time, a number of events or of bytes, and goes on from there") {
    Fixture f;
    const auto batch = batch_of(std::vector<std::string>(10, f.record(R"({"n":1})")), 100, 10);
    Tape tape(100);
    CHECK_FALSE(f.view->encode(batch, WireFormat::ndjson, tape, {}, {3}));
    CHECK(tape.head() == 103);
    CHECK_FALSE(f.view->encode(batch, WireFormat::ndjson, tape, {}, {SIZE_MAX, 1}));
    CHECK(tape.head() == 104);
    CHECK(f.view->encode(batch, WireFormat::ndjson, tape, {10070}, {}));  // the eighth was accepted then
    CHECK(tape.head() == 107);
    CHECK_FALSE(f.view->encode(batch, WireFormat::ndjson, tape, {}, {}));
    CHECK(tape.head() == 110);
    CHECK(tape.totals(0, 200).events == 10);
    const auto counted = f.view->count(batch, 102, 105);
    CHECK(counted.events == 3);
    CHECK(counted.billed == 21);
    CHECK(f.view->count(batch, 110, 120).events == 0);
}

TEST_CASE("a live tape begins where it was asked for, takes what follows once, and begins anew at its head") {
    Fixture f;
    CHECK(f.view->live_if(WireFormat::sse) == nullptr);
    Tape& sse = f.view->live(WireFormat::sse, 5);
    const std::vector<std::string> records(4, f.record(R"({"n":1})"));
    CHECK(live(f, batch_of(records, 3)));  // 3 and 4 were there before
    CHECK(sse.begin() == 5);
    CHECK(sse.head() == 7);
    CHECK(sse.totals(0, 100).events == 2);
    CHECK(live(f, batch_of(records, 3)));
    CHECK(sse.totals(0, 100).events == 2);
    CHECK(f.view->live_if(WireFormat::websocket_json) == nullptr);
    Tape& websocket = f.view->live(WireFormat::websocket_json, 7);
    CHECK(live(f, batch_of({"torn", records[0]}, 7)));
    CHECK(websocket.head() == 9);
    CHECK(websocket.totals(0, 100).events == 1);
    CHECK(sse.head() == 9);
    f.view->restart_live(WireFormat::sse);
    CHECK(f.view->live(WireFormat::sse, 0).begin() == 9);
    CHECK(f.view->live(WireFormat::sse, 0).size() == 0);
}

TEST_CASE("what is live is decided in turns; what is missing, and too much that waits, is told") {
    Fixture f;
    const Tape& tape = f.view->live(WireFormat::sse, 0);
    const auto batch = [&](std::size_t count, Offset first, std::size_t padding = 0) {
        const std::vector<std::string> records(count, f.record('"' + std::string(padding, 'x') + '"'));
        return std::make_shared<const ports::LogBatch>(batch_of(records, first));
    };
    const std::size_t turn = limits::catch_up_slice_max_events;
    REQUIRE(f.view->take_live(batch(turn + 10, 0)));
    REQUIRE(f.view->take_live(batch(20, turn + 10)));
    CHECK(f.view->decide_live());
    CHECK(tape.head() == turn);
    CHECK_FALSE(f.view->live_decided());
    CHECK(f.view->decide_live());
    CHECK(tape.head() == turn + 30);
    CHECK(f.view->live_decided());
    CHECK(tape.totals(0, turn + 30).events == turn + 30);

    // Large ones end a turn, too.
    const Offset large = turn + 30;
    REQUIRE(f.view->take_live(batch(8, large, limits::catch_up_slice_max_bytes / 4)));
    CHECK(f.view->decide_live());
    CHECK(tape.head() > large);
    CHECK(tape.head() < large + 8);
    CHECK_FALSE(f.view->live_decided());
    while (!f.view->live_decided()) CHECK(f.view->decide_live());

    REQUIRE(f.view->take_live(batch(1, large + 9)));  // large + 8 never came
    CHECK_FALSE(f.view->decide_live());

    Offset next = large + 10;
    bool taken = true;
    for (int i = 0; taken && i < 100; ++i, ++next) taken = f.view->take_live(batch(1, next, 1024 * 1024));
    CHECK_FALSE(taken);
    CHECK(next - large - 10 <= limits::live_undecided_max_bytes / (1024 * 1024) + 1);
    CHECK(f.view->live_decided());  // let go
    f.view->restart_live(WireFormat::sse, next);
    CHECK(tape.begin() == next);
    CHECK(live(f, batch_of({f.record("1")}, next)));
    CHECK(tape.head() == next + 1);
}
