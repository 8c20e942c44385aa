// Consents as the admin use cases record, show and import them, and as people do for themselves.
#include "tests/unit/app/desk.h"

using namespace licet;
using namespace licet::testing;

TEST_CASE("admin: consents are recorded under one revision, and withdrawn with all they cover") {
    Desk d;
    d.furnish();
    const json good{{"subject", "someone"}, {"controller", "press"}, {"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}};
    const auto key = d.parts.subject_digest("press", "someone");
    auto reply = Desk::done(d.admin->record_consents(kActor, {good, with(good, "subject", "other")}));
    CHECK(reply["revision"] == 1);
    CHECK(reply["records"] == 2);
    CHECK(d.valid(key, "dpv:AcademicResearch"));
    CHECK(Desk::refused(d.admin->record_consents(kActor, {good, with(good, "status", "maybe")}, app::Numbered::yes)) == "/1/status");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "purposes", json::array())})) == "/purposes");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "purposes", {"dpv:Nope"})})) == "/purposes/0");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "controller", "nobody")})) == "/controller");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "subject", std::string(1025, 'x'))})) == "/subject");
    Desk::refused(d.admin->record_consents(kActor, {}));
    CHECK(d.catalog->revision == 1);  // one bad record spoils the request, and nothing of it was taken
    reply = Desk::done(d.admin->query_consent(kActor, {{"subject", "someone"}, {"controller", "press"}}));
    CHECK(reply["records"].size() == 1);
    CHECK(reply["validPurposes"].size() >= 1);
    CHECK(Desk::done(d.admin->withdraw_consent(kActor, {{"subject", "someone"}, {"controller", "press"}}))["withdrawn"] == 2);
    CHECK_FALSE(d.valid(key, "dpv:AcademicResearch"));
    CHECK(d.valid(d.parts.subject_digest("press", "other"), "dpv:AcademicResearch"));
    Desk::done(d.admin->record_consents(kActor, {with(good, "status", "renewed")}));
    CHECK(d.valid(key, "dpv:AcademicResearch"));
    Desk::done(
        d.admin->withdraw_consent(kActor, with({{"subject", "someone"}, {"controller", "press"}}, "purposes", {"dpv:ResearchAndDevelopment"})));
    CHECK_FALSE(d.valid(key, "dpv:AcademicResearch"));
    for (const auto& entry : d.catalog->audited) CHECK(entry.detail.dump().find("someone") == std::string::npos);
}

TEST_CASE("admin: a consent limited to recipients holds for them alone, and a withdrawal from one of them for it alone") {
    Desk d;
    d.furnish();
    const json good{{"subject", "someone"}, {"controller", "press"}, {"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}};
    const json to_lab = json::array({{{"party", "lab"}}});
    const auto purposes_of = [&](const json& reply, const json& recipient) {
        for (const auto& one : reply["validFor"])
            if (one["recipient"] == recipient) return one["purposes"].size();
        return std::size_t{99};
    };
    const auto query = [&] { return Desk::done(d.admin->query_consent(kActor, {{"subject", "someone"}, {"controller", "press"}})); };
    Desk::done(d.admin->record_consents(kActor, {with(good, "recipients", to_lab)}));
    CHECK(query()["validPurposes"].empty());
    CHECK(purposes_of(query(), {{"party", "lab"}}) == 1);
    Desk::done(d.admin->record_consents(kActor, {good}));
    Desk::done(d.admin->withdraw_consent(kActor, {{"subject", "someone"}, {"controller", "press"}, {"recipients", to_lab}}));
    CHECK(query()["validPurposes"].size() == 1);
    CHECK(purposes_of(query(), {{"party", "lab"}}) == 0);
    Desk::done(d.admin->record_consents(kActor, {with(good, "recipients", json::array({{{"category", "universities"}}}))}));
    CHECK(purposes_of(query(), {{"category", "universities"}}) == 1);
    Desk::done(d.admin->withdraw_consent(kActor, {{"subject", "someone"}, {"controller", "press"}}));
    CHECK(purposes_of(query(), {{"category", "universities"}}) == 0);
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "recipients", json::array({{{"party", "nobody"}}}))})) == "/recipients/0/party");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "recipients", json::array())})) == "/recipients");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(good, "recipients", json::array({{{"party", "lab"}, {"category", "x"}}}))})) ==
          "/recipients/0");
}

TEST_CASE("admin: the papers of a consent are kept and shown, and its evidence must bear it") {
    Desk d;
    d.furnish();
    const json bare{{"subject", "someone"}, {"controller", "press"}, {"status", "given"}};
    const json good = with(bare, "purposes", {"dpv:AcademicResearch"});
    auto full = good;
    full.update({{"recordId", "form-7"},
                 {"notice", "https://press.example/privacy/3"},
                 {"legalBasis", "eu-gdpr:A6-1-a"},
                 {"jurisdiction", "DE-BE"},
                 {"occurredAt", "2026-01-02T03:04:05Z"},
                 {"evidence", {{"type", "reference"}, {"value", "box 2"}}}});
    CHECK(Desk::done(d.admin->record_consents(kActor, {full}))["recordId"] == "form-7");
    const json who{{"subject", "someone"}, {"controller", "press"}};
    auto events = Desk::done(d.admin->consent_history(kActor, who))["events"];
    REQUIRE(events.size() == 1);
    for (const char* key : {"recordId", "notice", "legalBasis", "jurisdiction", "evidence", "purposes", "status", "controller"})
        CHECK(events[0][key] == full[key]);
    CHECK(events[0]["occurredAt"] == "2026-01-02T03:04:05.000Z");
    CHECK(events[0]["recordedBy"] == kActor.client);
    // A record is one subject's.
    CHECK(Desk::refused(d.admin->record_consents(kActor, {with(full, "subject", "other one")}), Errc::conflict) == "/recordId");
    CHECK(Desk::refused(d.admin->record_consents(kActor, {good, with(full, "subject", "other one")}, app::Numbered::yes), Errc::conflict) ==
          "/1/recordId");
    const auto pointer = [&](json record) { return Desk::refused(d.admin->record_consents(kActor, {std::move(record)})); };
    CHECK(pointer(with(good, "notice", "for someone")) == "/notice");  // the raw id
    CHECK(pointer(with(good, "evidence", {{"type", "reference"}, {"value", "mail of someone"}})) == "/evidence/value");
    CHECK(pointer(with(good, "legalBasis", "because")) == "/legalBasis");
    CHECK(pointer(with(good, "jurisdiction", "XX")) == "/jurisdiction");
    CHECK(pointer(with(good, "occurredAt", "2099-01-01T00:00:00Z")) == "/occurredAt");
    CHECK(pointer(bare) == "/purposes");
    CHECK(pointer(with(good, "evidence", {{"type", "tcf"}, {"value", "C"}})) == "/evidence/value");
    const json gpc{{"type", "gpc"}, {"value", "1"}};
    CHECK(pointer(with(good, "evidence", gpc)) == "/evidence/value");  // an objection gives nothing
    CHECK(pointer(with(with(with(bare, "status", "withdrawn"), "evidence", gpc), "purposes", {"dpv:AcademicResearch"})) == "/purposes/0");
    CHECK(pointer(with(bare, "status", "evidenced")) == "/status");
    // A published string that consents to TCF's purposes 1 to 3, hence to no purpose of DPV; the rest is an objection.
    const json tcf{{"type", "tcf"}, {"value", "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"}};
    CHECK(pointer(with(bare, "evidence", tcf)) == "/evidence/value");
    Desk::done(d.admin->record_consents(kActor, {with(bare, "purposes", {"dpv:PersonalisedAdvertising", "dpv:ServiceUsageAnalytics"})}));
    const auto key = d.parts.subject_digest("press", "someone");
    CHECK(d.valid(key, "dpv:TargetedAdvertising"));
    Desk::done(d.admin->record_consents(kActor, {with(with(bare, "status", "withdrawn"), "evidence", gpc)}));
    CHECK_FALSE(d.valid(key, "dpv:TargetedAdvertising"));
    CHECK(d.valid(key, "dpv:ServiceUsageAnalytics"));
    Desk::done(d.admin->record_consents(kActor, {with(with(bare, "status", "evidenced"), "evidence", tcf)}));
    CHECK_FALSE(d.valid(key, "dpv:ServiceUsageAnalytics"));
    CHECK(d.valid(key, "dpv:AcademicResearch"));
    events = Desk::done(d.admin->consent_history(kActor, with(who, "after", 2)))["events"];
    REQUIRE(events.size() == 2);
    CHECK(events[0]["evidence"]["type"] == "gpc");
    CHECK(events[1]["evidence"]["purposes"] == json({1, 2, 3}));
    CHECK(Desk::done(d.admin->consent_history(kActor, with(who, "limit", 3)))["next"] == 3);
    CHECK(Desk::refused(d.admin->consent_history(kActor, with(who, "limit", 0))) == "/limit");
}

TEST_CASE("admin: an import applies its parts in order and once, and says exactly what was applied") {
    Desk d;
    d.furnish();
    const auto record = [](int n) {
        return json{{"subject", "s" + std::to_string(n)}, {"controller", "press"}, {"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}};
    };
    const auto part = [&](const char* number, std::vector<json> records) {
        std::string lines;
        for (const auto& one : records) lines += one.dump() + "\n";
        return d.admin->import_part(kActor, "letter", number, lines, records);
    };
    Desk::refused(part("1", {record(1)}), Errc::not_found);
    CHECK(Desk::done(d.admin->begin_import(kActor, "letter"))["parts"] == 0);
    CHECK(Desk::refused(part("0", {record(1)}), Errc::invalid_parameter) == "path:part");
    CHECK(Desk::refused(part("x", {record(1)}), Errc::invalid_parameter) == "path:part");
    CHECK(Desk::refused(part("2", {record(1)}), Errc::conflict) == "path:part");
    CHECK(Desk::done(part("1", {record(1), record(2)}))["repeated"] == false);
    const auto epoch = d.governance->snapshot()->epoch;
    auto again = Desk::done(part("1", {record(1), record(2)}));
    CHECK(again["repeated"] == true);
    CHECK(d.governance->snapshot()->epoch == epoch);
    Desk::refused(part("1", {record(1), record(3)}), Errc::conflict);
    CHECK(Desk::refused(part("2", {record(3), with(record(4), "status", "maybe")})) == "/3/status");  // of the whole file
    auto progress = Desk::done(d.admin->get_import("letter"));
    CHECK(progress["records"] == 2);
    CHECK(progress["refused"]["pointer"] == "/3/status");
    CHECK(progress["refused"]["part"] == 2);
    Desk::done(part("2", {record(3), record(4)}));
    progress = Desk::done(d.admin->complete_import(kActor, "letter"));
    CHECK(progress["records"] == 4);
    CHECK(progress["refused"].is_null());
    CHECK(progress["state"] == "complete");
}

TEST_CASE("admin: a person sees and changes their own consents, and the token that lets them is good for nothing else") {
    Desk d;
    d.furnish();
    const app::Actor app{"press-app", "press", {"app"}, {}, {}};
    const json who{{"subject", "someone"}, {"controller", "press"}};
    auto issued = d.admin->issue_subject_token(app, who);
    REQUIRE(issued.ok());
    CHECK(issued->status == 201);
    const auto text = issued->body["access_token"].get<std::string>();
    CHECK(issued->body["expires_in"] == 900);
    CHECK_FALSE(d.tokens->read(text).ok());
    const auto token = d.tokens->read_subject(text);
    REQUIRE(token.ok());
    CHECK(token->subject == d.parts.subject_digest("press", "someone"));
    CHECK(token->controller == "press");
    CHECK(token->token.client == "press-app");
    const auto carried = app::forwarded_subject(app::forwarded(*token));
    REQUIRE(carried.has_value());
    CHECK(carried->subject == token->subject);
    CHECK(carried->controller == "press");
    CHECK(carried->token.issued_at == token->token.issued_at);
    app::Actor person{"press-app", "press", {}, {}, token.value()};
    CHECK(Desk::done(d.admin->record_mine(person, {{"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}}))["records"] == 1);
    CHECK(d.valid(token->subject, "dpv:AcademicResearch"));
    CHECK(Desk::done(d.admin->my_consents(person))["controller"] == "press");
    CHECK(Desk::refused(d.admin->record_mine(person, {{"subject", "other"}, {"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}})) ==
          "/subject");
    const json mine{{"purposes", {"dpv:AcademicResearch"}}, {"status", "given"}};
    CHECK(Desk::refused(d.admin->record_mine(person, with(mine, "recordId", "form-1"))) == "/recordId");
    CHECK(Desk::refused(d.admin->record_mine(person, with(mine, "notice", "someone"))) == "/notice");
    CHECK(Desk::refused(d.admin->record_mine(person, with(mine, "recipients", json::array({{{"category", "invented"}}})))) ==
          "/recipients/0/category");
    Desk::done(d.admin->withdraw_mine(person, json::object()));
    CHECK_FALSE(d.valid(token->subject, "dpv:AcademicResearch"));
    CHECK(Desk::done(d.admin->my_history(person, ""))["events"].size() == 2);
    CHECK(Desk::done(d.admin->my_history(person, "1"))["events"].size() == 1);
    CHECK(Desk::refused(d.admin->my_history(person, "x"), Errc::invalid_parameter) == "query:after");
    // Without a token of a subject there is no "me".
    Desk::refused(d.admin->my_consents(app), Errc::forbidden);
    // An app speaks for its own party only.
    CHECK(Desk::refused(d.admin->issue_subject_token({"lab-app", "lab", {"app"}, {}, {}}, who), Errc::forbidden) == "/controller");
    CHECK(Desk::refused(d.admin->issue_subject_token(app, with(who, "expiresIn", 3601))) == "/expiresIn");
    d.clock->now += 10;
    Desk::done(d.admin->revoke_subject_tokens(app, who));
    Desk::refused(d.admin->my_consents(person), Errc::invalid_token);
    Desk::refused(d.admin->withdraw_mine(person, json::object()), Errc::invalid_token);
    // One issued after that, within the same millisecond, is good.
    person.subject = *d.tokens->read_subject(Desk::done(d.admin->issue_subject_token(app, who))["access_token"].get<std::string>());
    Desk::done(d.admin->my_consents(person));
    std::size_t reads = 0;
    for (const auto& entry : d.catalog->audited) {
        CHECK(entry.detail.dump().find("someone") == std::string::npos);
        reads += (entry.action == "consent.query" || entry.action == "consent.history") && entry.detail["by"] == "subject";
    }
    CHECK(reads == 4);
}
