// The registry of consent records on a real PostgreSQL, under the role a node serves under: what is kept, what holds after it, imports, and that
// nothing of it can be changed afterwards.
#include "tests/integration/database.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const ports::AuditEntry kAudit{"ada", "test.change", "target", json::object()};

SubjectKey subject(std::uint8_t n) {
    SubjectKey key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<std::uint8_t>(n + 37 * i);
    return key;
}

template <class T>
T done(const Result<T>& result) {
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().detail));
    return *result;
}

struct Fixture {
    Database database;
    std::shared_ptr<ports::Catalog> catalog = catalog_of(database.serving_dsn());
    std::shared_ptr<ports::ConsentRegistry> registry = registry_of(database.serving_dsn());
    std::shared_ptr<ports::AuditLog> audit = audit_of(database.serving_dsn());
};

ports::ConsentEvent event_of(std::uint8_t who, std::string record, std::string status = "given", std::vector<std::string> purposes = {"dpv:A"}) {
    ports::ConsentEvent e;
    e.subject = subject(who);
    e.record = std::move(record);
    e.controller = "press";
    e.purposes = std::move(purposes);
    e.status = std::move(status);
    return e;
}

}  // namespace

TEST_CASE("registry: what was recorded is read back whole, and what holds follows from it") {
    const Fixture f;
    const auto numbers = done(f.catalog->number_recipients({"party:lab", "category:universities"}));
    CHECK(numbers == std::vector<std::uint16_t>{1, 2});
    CHECK(done(f.catalog->number_recipients({"category:universities", "party:other"})) == std::vector<std::uint16_t>{2, 3});
    CHECK(done(f.catalog->configuration()).consent_recipients.size() == 3);
    auto full = event_of(1, "r-1", "given", {"dpv:A", "dpv:B"});
    full.recipients = numbers;
    full.valid_until = {77};
    full.occurred_at = {55};
    full.legal_basis = "eu-gdpr:A6-1-a";
    full.jurisdiction = "DE";
    full.notice = "notice \"7\" \\ {x}\tÄ";
    full.evidence = {{"type", "reference"}, {"value", "quotes ' \" \\ \n"}};
    const auto first = done(f.registry->record({full, event_of(2, "r-2")}, std::nullopt, kAudit));
    CHECK(first.changed.revision == 1);
    CHECK(first.changed.epoch == done(f.catalog->epochs()).sum());
    const auto second = done(f.registry->record({event_of(1, "r-1", "withdrawn")}, std::nullopt, kAudit));
    const auto events = done(f.registry->history(subject(1), 0, 10));
    REQUIRE(events.size() == 2);
    CHECK(events[0].record == "r-1");
    CHECK(events[0].controller == "press");
    CHECK(events[0].recipients == numbers);
    CHECK(events[0].purposes == full.purposes);
    CHECK(events[0].status == "given");
    CHECK(events[0].valid_until == full.valid_until);
    CHECK(events[0].occurred_at == full.occurred_at);
    CHECK(events[0].legal_basis == full.legal_basis);
    CHECK(events[0].jurisdiction == "DE");
    CHECK(events[0].notice == full.notice);
    CHECK(events[0].evidence == full.evidence);
    CHECK(events[0].recorded_by == "ada");
    CHECK(events[0].recorded_at.value > 0);
    CHECK(events[0].revision == 1);
    CHECK(events[1].revision == second.changed.revision);
    CHECK(events[1].evidence.is_null());
    CHECK(done(f.registry->history(subject(1), events[0].sequence, 10)).size() == 1);
    CHECK(done(f.registry->history(subject(1), 0, 1)).size() == 1);
    CHECK(done(f.registry->history(subject(9), 0, 10)).empty());
    // Two purposes for two recipients each, and the withdrawal for everybody beside them.
    const auto rows = done(f.catalog->consents_of(subject(1)));
    REQUIRE(rows.size() == 5);
    CHECK(rows[0].recipient == 1);
    CHECK(rows[1].recipient == 2);
    CHECK(rows[4].recipient == 0);
    CHECK(rows[4].status == "withdrawn");
    CHECK(rows[4].withdrawn_revision == 2);
    // And at any moment since.
    const UtcMillis now{std::stoll(f.database.value("SELECT licet_utc_ms()"))};
    CHECK(done(f.catalog->consents_of_at(subject(1), now)).rows.size() == 5);
}

TEST_CASE("registry: a record is one subject's, and nothing is taken of a request in which it is not") {
    const Fixture f;
    (void)done(f.registry->record({event_of(1, "r-1")}, std::nullopt, kAudit));
    auto stolen = event_of(2, "r-1");
    stolen.index = 4;
    const auto refused = f.registry->record({event_of(3, "r-3"), stolen}, std::nullopt, kAudit);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Errc::conflict);
    CHECK(refused.error().pointer == "/4/recordId");
    CHECK(done(f.registry->history(subject(3), 0, 10)).empty());
    CHECK(done(f.catalog->consents_of(subject(3))).empty());
    CHECK(done(f.audit->lines(0, 10)).size() == 1);
    CHECK_FALSE(f.registry->record({event_of(4, "r-4"), event_of(5, "r-4")}, std::nullopt, kAudit).ok());
}

TEST_CASE("registry: parts of an import are applied in order, once, each with its epoch, and what was applied is counted exactly") {
    const Fixture f;
    const auto part = [](std::uint32_t number, const char* digest) { return ports::ImportPart{"letter", number, digest, 100}; };
    CHECK(f.registry->record({event_of(1, "r-1")}, part(1, "aa"), kAudit).error().code == Errc::not_found);
    REQUIRE(f.registry->begin_import("letter", kAudit).ok());
    REQUIRE(f.registry->begin_import("letter", kAudit).ok());
    CHECK(done(f.audit->lines(0, 10)).size() == 1);
    CHECK(f.registry->record({event_of(1, "r-1")}, part(2, "aa"), kAudit).error().pointer == "path:part");
    const auto before = done(f.catalog->epochs()).sum().value;
    const auto first = done(f.registry->record({event_of(1, "r-1"), event_of(2, "r-2")}, part(1, "aa"), kAudit));
    CHECK(first.changed.epoch.value == before + 1);
    CHECK_FALSE(first.repeated);
    const auto again = done(f.registry->record({event_of(1, "r-1"), event_of(2, "r-2")}, part(1, "aa"), kAudit));
    CHECK(again.repeated);
    CHECK(again.changed.epoch == first.changed.epoch);
    CHECK(again.changed.revision == first.changed.revision);
    CHECK(done(f.catalog->epochs()).sum().value == before + 1);
    CHECK(f.registry->record({event_of(3, "r-3")}, part(1, "bb"), kAudit).error().code == Errc::conflict);
    REQUIRE(f.registry->refuse_part("letter", {{"part", 2}, {"pointer", "/2/status"}, {"detail", "no"}}).ok());
    auto held = done(f.registry->imports("letter"));
    REQUIRE(held.size() == 1);
    CHECK(held[0].parts == 1);
    CHECK(held[0].records == 2);
    CHECK(held[0].bytes == 100);
    CHECK(held[0].revision == first.changed.revision);
    CHECK(held[0].refused["pointer"] == "/2/status");
    CHECK(held[0].started_by == "ada");
    (void)done(f.registry->record({event_of(3, "r-3")}, part(2, "bb"), kAudit));
    REQUIRE(f.registry->complete_import("letter", kAudit).ok());
    held = done(f.registry->imports(""));
    REQUIRE(held.size() == 1);
    CHECK(held[0].complete);
    CHECK(held[0].records == 3);
    CHECK(held[0].refused.is_null());
    CHECK(f.registry->record({event_of(4, "r-4")}, part(3, "cc"), kAudit).error().code == Errc::conflict);
    CHECK(done(f.registry->record({event_of(3, "r-3")}, part(2, "bb"), kAudit)).repeated);
    CHECK(f.registry->complete_import("none", kAudit).error().code == Errc::not_found);
}

TEST_CASE("registry: ten thousand records are one part") {
    const Fixture f;
    REQUIRE(f.registry->begin_import("large", kAudit).ok());
    std::vector<ports::ConsentEvent> events;
    for (int i = 0; i < 10'000; ++i) {
        auto e = event_of(0, "r-" + std::to_string(i));
        e.subject.bytes[0] = static_cast<std::uint8_t>(i);
        e.subject.bytes[1] = static_cast<std::uint8_t>(i >> 8);
        events.push_back(std::move(e));
    }
    CHECK(done(f.registry->record(events, ports::ImportPart{"large", 1, "aa", 1}, kAudit)).changed.revision == 1);
    CHECK(f.database.value("SELECT count(*) FROM consent_records") == "10000");
    CHECK(f.database.value("SELECT count(*) FROM consents") == "10000");
}

TEST_CASE("registry: nobody who serves can change what was recorded, and its owner not by accident") {
    const Fixture f;
    (void)done(f.registry->record({event_of(1, "r-1")}, std::nullopt, kAudit));
    pqxx::connection serving(f.database.serving_dsn());
    for (const char* sql : {"UPDATE consent_records SET status = 'renewed'", "DELETE FROM consent_records", "TRUNCATE consent_records",
                            "DELETE FROM consent_recipients", "UPDATE consent_import_parts SET records = 1", "DELETE FROM consent_import_parts"}) {
        CAPTURE(sql);
        pqxx::work t(serving);
        CHECK_THROWS_AS(t.exec(sql), pqxx::insufficient_privilege);
    }
    for (const char* sql : {"UPDATE consent_records SET status = 'renewed'", "DELETE FROM consent_records", "TRUNCATE consent_records"}) {
        CAPTURE(sql);
        CHECK_THROWS(f.database.exec(sql));
    }
}

TEST_CASE("registry: a subject's tokens are revoked up to a moment, and each revocation moves it on") {
    const Fixture f;
    CHECK(done(f.registry->subject_tokens_valid_from(subject(1))).value == 0);
    REQUIRE(f.registry->revoke_subject_tokens(subject(1), {5000}, kAudit).ok());
    CHECK(done(f.registry->subject_tokens_valid_from(subject(1))).value == 5000);
    REQUIRE(f.registry->revoke_subject_tokens(subject(1), {4000}, kAudit).ok());
    CHECK(done(f.registry->subject_tokens_valid_from(subject(1))).value == 5001);
    CHECK(done(f.registry->subject_tokens_valid_from(subject(2))).value == 0);
    CHECK(done(f.audit->lines(0, 10)).size() == 2);
}
