// Explain at a moment past: replayed from what the catalog held then, with consents, contracts, policies and expiry as they were.
#include "server/app/admin.h"
#include "server/openssl/crypto.h"
#include "tests/support/policy_event.h"
#include "tests/support/prices.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

const app::Actor kActor{"dora", "press", {"dpo"}};
const ports::AuditEntry kAudit{"ada", "test", "t", json::object()};

// One event at offset 0.
class OneEvent final : public ports::EventLog {
  public:
    std::string record;
    Status append(ports::LogPosition, std::vector<ports::AppendItem>, AppendDone) override { return Error{Errc::log_full, "", {}}; }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition, Offset from, std::size_t, std::size_t) override {
        auto batch = std::make_shared<ports::LogBatch>();
        if (from == 0) batch->entries.push_back({0, {}, record});
        return std::shared_ptr<const ports::LogBatch>(std::move(batch));
    }
    ports::LogBounds bounds(ports::LogPosition) override { return {0, 1, {}}; }
    UtcMillis settled() override { return {}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis) override { return Offset{0}; }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return Offset{0}; }
    void on_appended(Appended) override {}
    void close() override {}
};

struct Desk : Governed {
    static constexpr std::int64_t kHour = 3'600'000;
    const std::int64_t start_of_time = clock->now;
    std::shared_ptr<OneEvent> log = std::make_shared<OneEvent>();
    std::unique_ptr<app::Admin> admin;
    EventText text;

    Desk() {
        catalog->held.parties = {{"press", "Press", "DE", {}, {}}, {"lab", "Lab", "FR", {}, {}}};
        catalog->held.products = {{{1}, "wiki", "Wiki", "press", "press", "", 1, {mapping_document()}}};
        catalog->held.contracts = {{{1},
                                    "lab-wiki",
                                    "lab",
                                    {"wiki"},
                                    {"dpv:AcademicResearch"},
                                    {},
                                    "contract",
                                    ports::ContractState::active,
                                    {},
                                    {},
                                    flat_prices("EUR", "1", "0")}};
        text.license = "CC-BY-4.0";
        text.jurisdiction = "DE";
        text.subject = "ada";
        text.data = R"({"user":"ada"})";
        record();
        start();
        app::Admin::Parts parts;
        parts.catalog = catalog;
        parts.governance = governance;
        parts.log = log;
        parts.crypto = openssl::make_crypto();
        parts.vocabulary = vocabulary;
        parts.clock = clock;
        parts.event_digest = [](ProductNo, std::string_view, std::string_view) { return EventIdentity{}; };
        admin = std::make_unique<app::Admin>(std::move(parts));
    }
    void record() { log->record = make_record(*event::parse_mapping(mapping_document(), 1), text); }
    void activate(const char* purpose, bool with_consent) {
        const auto added = catalog->add_policy_version("research", policy_document("wiki", purpose, with_consent), kAudit);
        REQUIRE(added);
        REQUIRE(catalog->activate_policy("research", added->number, kAudit));
    }
    void say(const char* purpose, const char* status, UtcMillis until = {}) { consent({{subject_key("ada"), purpose, status, until, 0}}); }
    // What is held now holds from the hour on; half an hour later it is.
    void hour(int n) {
        clock->now = start_of_time + n * kHour;
        catalog->remember(clock->utc_now());
        clock->now += kHour / 2;
        REQUIRE(governance->refresh());
    }
    [[nodiscard]] std::string in_hour(double n) const { return format_rfc3339({start_of_time + static_cast<std::int64_t>(n * kHour)}); }
    Result<app::Reply> ask(const std::string& at) const { return admin->explain(kActor, {"wiki", "lab-wiki", "0", "", "", "", at}); }
    [[nodiscard]] json answer(const std::string& at) const {
        const auto reply = ask(at);
        REQUIRE_MESSAGE(reply.ok(), (reply.ok() ? "" : reply.error().detail + " at " + reply.error().pointer));
        return reply->body;
    }
    void refused(const std::string& at, Errc code, const char* pointer) const {
        const auto reply = ask(at);
        REQUIRE_FALSE(reply.ok());
        CHECK(reply.error().code == code);
        CHECK(reply.error().pointer == pointer);
    }
};

json versions(std::initializer_list<int> numbers) {
    json out = json::array();
    for (const int n : numbers) out.push_back({{"name", "research"}, {"version", n}});
    return out;
}

}  // namespace

TEST_CASE("explain at: consents and policy versions as they were, each named; the same question gets the same answer") {
    Desk d;
    d.hour(0);  // no policy
    d.activate("dpv:AcademicResearch", true);
    d.hour(1);
    d.say("dpv:AcademicResearch", "given");
    d.hour(2);
    d.activate("dpv:ResearchAndDevelopment", true);
    d.hour(3);
    d.say("dpv:AcademicResearch", "withdrawn");
    d.hour(4);
    d.activate("dpv:Marketing", false);
    d.hour(5);

    struct Then {
        bool deliver;
        const char* reason;
        json policies;
        int revision;
    };
    const Then then[] = {{false, "no_permission", versions({}), 0},    {false, "consent_missing", versions({1}), 0},
                         {true, "permitted", versions({1}), 1},        {true, "permitted", versions({2}), 1},
                         {false, "consent_missing", versions({2}), 2}, {false, "purpose_not_permitted", versions({3}), 2}};
    json before;
    for (int round = 0; round < 2; ++round)
        for (int n = 0; n < 6; ++n) {
            CAPTURE(n);
            const auto body = d.answer(d.in_hour(n + 0.25));
            CHECK(body["deliver"] == then[n].deliver);
            CHECK(body["reason"] == then[n].reason);
            CHECK(body["policies"] == then[n].policies);
            CHECK(body["consentRevision"] == then[n].revision);
            CHECK(body["consentReady"] == true);
            CHECK(body["at"] == d.in_hour(n + 0.25));
            CHECK(body["inForce"] == true);
            if (n == 2 && round == 0) before = body;
            if (n == 2) CHECK(body == before);
            if (then[n].deliver) CHECK(body["decidedBy"]["version"] == then[n].policies[0]["version"]);
        }
    // From the first millisecond on, and not before it.
    CHECK(d.answer(d.in_hour(4))["reason"] == "consent_missing");
    CHECK(d.answer(format_rfc3339({d.start_of_time + 4 * Desk::kHour - 1}))["reason"] == "permitted");
}

TEST_CASE("explain at: the present and the last moment agree, and say so") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.say("dpv:ResearchAndDevelopment", "given");
    d.hour(0);
    auto now = d.answer(""), then = d.answer(d.in_hour(0.5));
    CHECK(now["deliver"] == true);
    CHECK(now == then);
    CHECK(now["policies"] == versions({1}));
    CHECK(d.catalog->audited.back().action == "explain");
    CHECK(d.catalog->audited.back().detail["at"] == d.in_hour(0.5));
    CHECK_FALSE(d.catalog->audited.at(d.catalog->audited.size() - 2).detail.contains("at"));
}

TEST_CASE("explain at: nothing of the past reaches the node's own consents, and none of those the past") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.say("dpv:AcademicResearch", "given");
    d.hour(0);
    d.say("dpv:AcademicResearch", "withdrawn");
    d.hour(1);
    CHECK(d.answer(d.in_hour(0.5))["deliver"] == true);
    CHECK_FALSE(d.valid(subject_key("ada"), "dpv:AcademicResearch"));
    CHECK(d.governance->snapshot()->consents->revision() == 2);
    CHECK(d.answer("")["deliver"] == false);
}

TEST_CASE("explain at: what ends by itself ends at the moment asked about") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.say("dpv:AcademicResearch", "given", {d.start_of_time + 2 * Desk::kHour});
    d.catalog->held.contracts[0].valid_until = {d.start_of_time + 3 * Desk::kHour};
    d.text.expiry = {d.start_of_time + 4 * Desk::kHour};
    d.record();
    d.hour(0);
    d.hour(5);
    CHECK(d.answer(d.in_hour(1))["reason"] == "permitted");
    CHECK(d.answer(d.in_hour(1))["inForce"] == true);
    CHECK(d.answer(d.in_hour(2))["reason"] == "consent_missing");
    CHECK(d.answer(d.in_hour(2))["inForce"] == true);
    CHECK(d.answer(d.in_hour(3))["inForce"] == false);
    CHECK(d.answer(d.in_hour(4))["reason"] == "expired");
}

TEST_CASE("explain at: a consent the broader withdrawal took is not brought back by the past either") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.say("dpv:ResearchAndDevelopment", "given");
    d.hour(0);
    d.say("dpv:AcademicResearch", "withdrawn");
    d.hour(1);
    d.say("dpv:ResearchAndDevelopment", "given");
    d.hour(2);
    CHECK(d.answer(d.in_hour(0.5))["deliver"] == true);
    CHECK(d.answer(d.in_hour(1.5))["deliver"] == false);
    CHECK(d.answer(d.in_hour(2.5))["deliver"] == true);
}

TEST_CASE("explain at: parties, contracts and mappings as they were") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.say("dpv:AcademicResearch", "given");
    d.hour(0);
    REQUIRE(d.catalog->put_party({"lab", "Lab", "IN", {}, {}}, kAudit));  // moves out of the EEA
    d.hour(1);
    auto contract = d.catalog->held.contracts[0];
    contract.state = ports::ContractState::suspended;
    contract.purposes = {"dpv:Marketing"};
    REQUIRE(d.catalog->put_contract(contract, kAudit));
    d.hour(2);
    d.catalog->held.contracts.clear();
    d.hour(3);
    d.catalog->held.products.clear();
    d.hour(4);
    CHECK(d.answer(d.in_hour(0.5))["deliver"] == true);
    CHECK(d.answer(d.in_hour(1.5))["reason"] == "transfer_not_permitted");
    CHECK(d.answer(d.in_hour(1.5))["inForce"] == true);
    CHECK(d.answer(d.in_hour(2.5))["reason"] == "purpose_not_permitted");
    CHECK(d.answer(d.in_hour(2.5))["inForce"] == false);
    d.refused(d.in_hour(3.5), Errc::not_found, "query:contract");
    d.refused(d.in_hour(4.5), Errc::not_found, "query:product");
}

TEST_CASE("explain at: moments that cannot be answered are refused, and not audited") {
    Desk d;
    d.activate("dpv:AcademicResearch", true);
    d.hour(1);
    const auto audited = d.catalog->audited.size();
    d.refused(d.in_hour(0.5), Errc::gone, "query:at");
    d.refused(d.in_hour(1.6), Errc::invalid_parameter, "query:at");
    for (const char* bad : {"yesterday", "2026-11-18", "2026-11-18T12:00:00", "1795000000000", "2026-13-01T00:00:00Z"})
        d.refused(bad, Errc::invalid_parameter, "query:at");
    CHECK(d.catalog->audited.size() == audited);
}
