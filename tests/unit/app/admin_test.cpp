// The admin use cases over an in-memory catalog: what they refuse with which pointer, what they change, audit and wait for.
#include "tests/unit/app/desk.h"

using namespace licet;
using namespace licet::testing;

TEST_CASE("admin: every change is audited with its actor, moves the epoch and holds before it is answered") {
    Desk d;
    d.furnish();
    CHECK(d.catalog->audited.size() == 5);
    CHECK(d.catalog->audited[0].actor == "ada");
    CHECK(d.catalog->audited[0].action == "region.put");
    CHECK(d.catalog->audited[0].target == "eu");
    CHECK(d.governance->snapshot()->epoch.value == 6);
    CHECK(d.cluster->acknowledged == 6);
    const auto reply = d.admin->put_party(kActor, "lab", {{"title", "Lab"}, {"country", "FR"}});
    CHECK(Desk::done(reply)["epoch"] == 7);
    // Made, but not everywhere yet.
    d.cluster->others = {"n2"};
    const auto waits = d.admin->put_party(kActor, "lab", {{"title", "Lab 2"}, {"country", "FR"}});
    Desk::refused(waits, Errc::barrier_incomplete);
    const auto members = json::parse(waits.error().members);
    CHECK(members["epoch"] == 8);
    CHECK(members["outstanding"] == json{"n2"});
    CHECK(members["barrier"] == "/v1/admin/barriers/8");
    CHECK(members["result"]["title"] == "Lab 2");
    CHECK(Desk::done(d.admin->get_barrier("8", "")) ==
          json{{"epoch", 8}, {"complete", false}, {"outstanding", {"n2"}}, {"detail", "1 node(s) have not confirmed it"}});
    CHECK(Desk::done(d.admin->get_barrier("7", "10"))["complete"] == true);
    d.cluster->others.clear();
    CHECK(Desk::done(d.admin->get_barrier("8", "10000")) == json{{"epoch", 8}, {"complete", true}, {"outstanding", json::array()}});
    Desk::refused(d.admin->get_barrier("9", ""), Errc::not_found);
    for (const char* bad : {"", "x", "-1", "18446744073709551616"}) Desk::refused(d.admin->get_barrier(bad, ""), Errc::invalid_parameter);
    for (const char* bad : {"x", "-1", "10001"}) Desk::refused(d.admin->get_barrier("8", bad), Errc::invalid_parameter);
    CHECK(Desk::done(d.admin->get_party("lab"))["title"] == "Lab 2");
}

TEST_CASE("admin: where the configuration is not authored only consents can be written") {
    Desk d(false);
    d.catalog->held.parties.push_back({"press", "Press", "DE", {}, {}});
    ++d.catalog->held.epochs.global;
    REQUIRE(d.governance->refresh());
    const json body = json::object();
    for (const auto& reply : {d.admin->put_region(kActor, "x", body), d.admin->put_product(kActor, "x", body), d.admin->put_party(kActor, "x", body),
                              d.admin->put_contract(kActor, "x", body), d.admin->create_client(kActor, body), d.admin->revoke_client(kActor, "x"),
                              d.admin->revoke_tokens(kActor, "x"), d.admin->put_policy(kActor, "x", body), d.admin->activate_policy(kActor, "x", "1"),
                              d.admin->retire_policy(kActor, "x")})
        Desk::refused(reply, Errc::misdirected);
    CHECK(d.catalog->audited.empty());
    Desk::done(d.admin->withdraw_consent(kActor, {{"subject", "s"}, {"controller", "press"}}));
}

TEST_CASE("admin: names and regions") {
    Desk d;
    const json good{{"endpoint", "https://eu.example"}};
    for (const char* name : {"", "EU", "-eu", "e/u", "e u"})
        CHECK(Desk::refused(d.admin->put_region(kActor, name, good), Errc::invalid_parameter) == "path:name");
    for (const char* endpoint : {"", "eu.example", "http://eu.example", "https://eu.example/", "ftp://x"})
        CHECK(Desk::refused(d.admin->put_region(kActor, "eu", {{"endpoint", endpoint}})) == "/endpoint");
    CHECK(Desk::refused(d.admin->put_region(kActor, "eu", with(good, "more", 1))) == "/more");
    Desk::done(d.admin->put_region(kActor, "eu", good));
    CHECK(Desk::done(d.admin->list_regions())["regions"].size() == 1);
    CHECK(Desk::done(d.admin->get_region("eu"))["endpoint"] == "https://eu.example");
    Desk::refused(d.admin->get_region("us"), Errc::not_found);
}

TEST_CASE("admin: products name parties and regions that exist, and a changed mapping is a new version") {
    Desk d;
    d.furnish();
    const auto put = [&](const json& body) { return d.admin->put_product(kActor, "wiki", body); };
    CHECK(Desk::refused(put(with(Desk::product(), "owner", "nobody"))) == "/owner");
    CHECK(Desk::refused(put(with(Desk::product(), "controller", "nobody"))) == "/controller");
    CHECK(Desk::refused(put(with(Desk::product(), "residency", "mars"))) == "/residency");
    CHECK(Desk::refused(d.admin->put_product(kActor, "new", {{"title", "N"}, {"owner", "press"}, {"controller", "press"}})) == "/mapping");
    auto mapping = mapping_document();
    mapping["fields"][0]["category"] = "pd:Unheard";
    CHECK(Desk::refused(put(with(Desk::product(), "mapping", mapping))) == "/mapping/fields/0/category");
    mapping = mapping_document();
    mapping["fields"][0]["pointer"] = "user";
    CHECK(Desk::refused(put(with(Desk::product(), "mapping", mapping))) == "/mapping/fields/0/pointer");
    CHECK(Desk::done(put(Desk::product()))["mappingVersion"] == 1);  // the same again
    mapping = mapping_document();
    mapping["fields"][0].erase("category");
    CHECK(Desk::done(put(with(Desk::product(), "mapping", mapping)))["mappingVersion"] == 2);
    auto without = Desk::product();
    without.erase("mapping");
    CHECK(Desk::done(put(with(without, "title", "Wiki 2")))["mappingVersion"] == 2);
    CHECK(Desk::done(d.admin->get_product("wiki"))["title"] == "Wiki 2");
}

TEST_CASE("admin: contracts") {
    Desk d;
    d.furnish();
    const auto at = [&](const char* key, json value) {
        return Desk::refused(d.admin->put_contract(kActor, "c", with(Desk::contract(), key, std::move(value))));
    };
    CHECK(at("party", "nobody") == "/party");
    CHECK(at("products", {"wiki", "nothing"}) == "/products/1");
    CHECK(at("purposes", {"dpv:AcademicResearch", "research"}) == "/purposes/1");
    CHECK(at("transferTools", json::array({"handshake"})) == "/transferTools/0");
    CHECK(at("state", "paused") == "/state");
    CHECK(at("validFrom", "soon") == "/validFrom");
    CHECK(at("pseudonymScope", "A b") == "/pseudonymScope");
    CHECK(at("price", nullptr) == "/price");
    CHECK(at("price", {{"currency", "XXZ"}, {"perEvent", "1"}, {"perMb", "1"}}) == "/price/currency");
    for (const char* amount : {"", "-1", "1e3", "1.123456789012345", "1,5", "0x1", ".", "+1"})
        CHECK(at("price", {{"currency", "EUR"}, {"perEvent", amount}, {"perMb", "1"}}) == "/price/perEvent");
    CHECK(at("price", {{"currency", "EUR"}, {"perEvent", "1"}, {"perMb", "0.123456789"}}) == "/price/perMb");
    CHECK(at("price", {{"currency", "EUR"}, {"perEvent", 0.5}, {"perMb", "1"}}) == "/price/perEvent");
    CHECK(at("price", {{"currency", "EUR"}, {"perEvent", "1"}, {"perMb", "1"}, {"perGb", "1"}}) == "/price/perGb");
    const auto lag = [&](json value) { return at("delivery", {{"lag", std::move(value)}}); };
    CHECK(at("delivery", "fast") == "/delivery");
    CHECK(at("delivery", json::object()) == "/delivery/lag");
    CHECK(at("delivery", {{"lag", {{"maxEvents", 1}, {"then", "wait"}}}, {"qos", 1}}) == "/delivery/qos");
    CHECK(lag({{"maxEvents", 1}}) == "/delivery/lag/then");
    CHECK(lag({{"maxEvents", 1}, {"then", "drop"}}) == "/delivery/lag/then");
    CHECK(lag({{"then", "close"}}) == "/delivery/lag");
    CHECK(lag({{"maxAge", "30s"}, {"then", "close"}}) == "/delivery/lag/maxAge");
    CHECK(lag({{"maxAge", "PT0.999S"}, {"then", "close"}}) == "/delivery/lag/maxAge");
    CHECK(lag({{"maxAge", "PT10M1S"}, {"then", "close"}}) == "/delivery/lag/maxAge");
    for (const json& number : {json(0), json(-1), json(1.5), json("1"), json(8 * 1024 * 1024 + 1)})
        CHECK(lag({{"maxBytes", number}, {"then", "close"}}) == "/delivery/lag/maxBytes");
    CHECK(lag({{"maxEvents", 1'000'000'001}, {"then", "close"}}) == "/delivery/lag/maxEvents");
    CHECK(lag({{"maxSeconds", 1}, {"maxEvents", 1}, {"then", "close"}}) == "/delivery/lag/maxSeconds");
    auto backwards = with(with(Desk::contract(), "validFrom", "2026-02-01T00:00:00Z"), "validUntil", "2026-01-01T00:00:00Z");
    CHECK(Desk::refused(d.admin->put_contract(kActor, "c", backwards)) == "/validUntil");
    const auto stored = Desk::done(d.admin->get_contract("lab-wiki"));
    CHECK(stored["state"] == "active");
    CHECK(stored["pseudonymScope"] == "contract");
    CHECK(stored["price"]["perEvent"] == "0.0005");
    CHECK(stored["delivery"] == nullptr);
    const json asked{{"lag", {{"maxBytes", 1000}, {"maxAge", "PT1M30.5S"}, {"then", "conflate"}}}};
    const json said{{"lag", {{"maxBytes", 1000}, {"maxAge", "PT90.5S"}, {"then", "conflate"}}}};
    CHECK(Desk::done(d.admin->put_contract(kActor, "lab-wiki", with(Desk::contract(), "delivery", asked)))["delivery"] == said);
    CHECK(d.catalog->held.contracts.back().lag == ports::LagLimits{1000, 0, 90'500, ports::LagLimits::Then::conflate});
    CHECK(ports::contract_from("c", ports::to_json(d.catalog->held.contracts.back())).lag == d.catalog->held.contracts.back().lag);
}

TEST_CASE("admin: quotas and rates of a contract") {
    Desk d;
    d.furnish();
    const auto at = [&](const char* key, json value) {
        return Desk::refused(d.admin->put_contract(kActor, "c", with(Desk::contract(), key, std::move(value))));
    };
    const json quota{{"metric", "events"}, {"period", "month"}, {"kind", "hard"}, {"limit", 1000}};
    CHECK(at("quotas", "many") == "/quotas");
    CHECK(at("quotas", json(std::vector<json>(9, quota))) == "/quotas");
    CHECK(at("quotas", {quota, 5}) == "/quotas/1");
    CHECK(at("quotas", {quota, quota}) == "/quotas/1");
    for (const char* member : {"metric", "period", "kind"})
        CHECK(at("quotas", json::array({with(quota, member, "other")})) == std::string("/quotas/0/") + member);
    for (const json& limit : {json(0), json(-1), json(1.5), json("7"), json(1'000'000'000'000'000)})
        CHECK(at("quotas", json::array({with(quota, "limit", limit)})) == "/quotas/0/limit");
    CHECK(at("quotas", json::array({with(quota, "burst", 1)})) == "/quotas/0/burst");
    CHECK(at("rates", json::object()) == "/rates");
    CHECK(at("rates", {{"eventsPerSecond", 0}}) == "/rates/eventsPerSecond");
    CHECK(at("rates", {{"bytesPerSecond", 10'000'000'001}}) == "/rates/bytesPerSecond");
    CHECK(at("rates", {{"eventsPerSecond", 1}, {"eventsPerMinute", 1}}) == "/rates/eventsPerMinute");

    const auto plain = Desk::done(d.admin->put_contract(kActor, "lab-wiki", Desk::contract()));
    CHECK(plain["quotas"] == json::array());
    CHECK(plain["rates"] == nullptr);
    CHECK_FALSE(d.catalog->held.contracts.back().quota.limits());
    auto asked =
        with(Desk::contract(), "quotas", {quota, {{"metric", "bytes"}, {"period", "day"}, {"kind", "soft"}, {"limit", 999'999'999'999'999}}});
    asked = with(asked, "rates", {{"eventsPerSecond", 50}});
    const auto said = Desk::done(d.admin->put_contract(kActor, "lab-wiki", asked));
    for (const char* member : {"quotas", "rates"}) CHECK(said[member] == asked[member]);
    const auto& kept = d.catalog->held.contracts.back();
    CHECK(kept.quota.limits());
    CHECK(kept.quota.quotas[1] ==
          ports::Quota{metering::QuotaMetric::bytes, metering::QuotaPeriod::day, metering::QuotaKind::soft, 999'999'999'999'999});
    CHECK(ports::contract_from("c", ports::to_json(kept)).quota == kept.quota);
    // A stored quota this build does not know lets nothing pass.
    const auto unknown =
        ports::contract_from("c", {{"quotas", json::array({{{"metric", "subjects"}, {"period", "month"}, {"kind", "firm"}, {"limit", 9}}})}});
    CHECK(unknown.quota.quotas.at(0) == ports::Quota{metering::QuotaMetric::events, metering::QuotaPeriod::month, metering::QuotaKind::hard, 0});
}

TEST_CASE("admin: a client's secret is shown once and never kept") {
    Desk d;
    d.furnish();
    const json body{{"id", "reader"}, {"party", "lab"}, {"roles", {"partner"}}, {"scopes", {"read:wiki", "read:*"}}};
    const auto reply = d.admin->create_client(kActor, body);
    CHECK(reply->status == 201);
    const auto created = Desk::done(reply);
    const std::string secret = created["secret"];
    CHECK(secret.size() == 43);
    CHECK(d.catalog->held.clients[0].secret_hash == app::secret_hash(*d.parts.crypto, d.catalog->held.clients[0].secret_salt, secret));
    CHECK(d.catalog->audited.back().detail.dump().find(secret) == std::string::npos);
    for (const auto& shown : {Desk::done(d.admin->get_client("reader")), Desk::done(d.admin->list_clients())}) {
        CHECK(shown.dump().find("secret") == std::string::npos);
        CHECK(shown.dump().find(d.catalog->held.clients[0].secret_hash) == std::string::npos);
    }
    CHECK(Desk::refused(d.admin->create_client(kActor, body), Errc::conflict) == "/id");
    CHECK(Desk::refused(d.admin->create_client(kActor, with(body, "party", "nobody"))) == "/party");
    CHECK(Desk::refused(d.admin->create_client(kActor, with(body, "roles", {"partner", "root"}))) == "/roles/1");
    for (const char* scope : {"read", "read:", "delete:wiki", "*", "read:a b", "read:*x"})
        CHECK(Desk::refused(d.admin->create_client(kActor, with(body, "scopes", json::array({scope})))) == "/scopes/0");
    d.clock->now = 1'795'000'000'300;
    CHECK(Desk::done(d.admin->revoke_tokens(kActor, "reader"))["tokensValidFrom"] == format_rfc3339({1'795'000'000'301}));
    Desk::done(d.admin->revoke_client(kActor, "reader"));
    CHECK(d.governance->snapshot()->client("reader")->revoked);
    Desk::refused(d.admin->revoke_client(kActor, "nobody"), Errc::not_found);
    Desk::refused(d.admin->revoke_tokens(kActor, "nobody"), Errc::not_found);
}

TEST_CASE("admin: a policy is a draft until it is activated, and must compile for every contract it governs") {
    Desk d;
    d.furnish();
    const auto put = [&](const json& document) { return d.admin->put_policy(kActor, "open", {{"document", document}}); };
    CHECK(Desk::refused(put({{"@type", "Set"}})).starts_with("/document"));
    CHECK(Desk::refused(d.admin->put_policy(kActor, "open", json::object())) == "/document");
    auto reply = Desk::done(put(policy_document("wiki", "dpv:AcademicResearch")));
    CHECK(reply["version"] == 1);
    CHECK(reply["state"] == "draft");
    CHECK(Desk::done(put(policy_document("wiki", "dpv:ResearchAndDevelopment", true)))["version"] == 2);
    for (const char* version : {"", "x", "1x", "-1", "1.0"})
        CHECK(Desk::refused(d.admin->activate_policy(kActor, "open", version), Errc::invalid_parameter) == "path:version");
    Desk::refused(d.admin->activate_policy(kActor, "open", "3"), Errc::not_found);
    Desk::refused(d.admin->activate_policy(kActor, "closed", "1"), Errc::not_found);
    Desk::done(d.admin->activate_policy(kActor, "open", "1"));
    Desk::done(d.admin->activate_policy(kActor, "open", "2"));
    const auto versions = Desk::done(d.admin->get_policy("open"))["versions"];
    CHECK(versions[0]["state"] == "retired");
    CHECK(versions[1]["state"] == "active");
    // One whose transform names a field no mapping governs can be kept, and not be activated.
    auto broken = policy_document("wiki", "dpv:AcademicResearch");
    broken["permission"][0]["duty"] = {{{"action", "licet:transform"}, {"licet:transform", "redact"}, {"licet:pointer", "/nowhere"}}};
    const auto kept = put(broken);
    if (kept.ok()) {
        Desk::refused(d.admin->activate_policy(kActor, "open", "3"));
        CHECK(Desk::done(d.admin->get_policy("open"))["versions"][1]["state"] == "active");
    } else {
        FAIL("not kept: " << kept.error().detail << " at " << kept.error().pointer);
    }
    Desk::done(d.admin->retire_policy(kActor, "open"));
    Desk::refused(d.admin->get_policy("closed"), Errc::not_found);
}

TEST_CASE("admin: explain names one event") {
    Desk d;
    d.furnish();
    using Query = app::Admin::ExplainQuery;
    const auto refused = [&](const Query& query, Errc code) { return Desk::refused(d.admin->explain(kActor, query), code); };
    CHECK(refused({"none", "lab-wiki", "0", "", "", ""}, Errc::not_found) == "query:product");
    CHECK(refused({"wiki", "none", "0", "", "", ""}, Errc::not_found) == "query:contract");
    CHECK(refused({"wiki", "lab-wiki", "", "", "", ""}, Errc::invalid_parameter) == "query:event");
    CHECK(refused({"wiki", "lab-wiki", "0", "c", "", ""}, Errc::invalid_parameter) == "query:event");
    CHECK(refused({"wiki", "lab-wiki", "x", "", "", ""}, Errc::invalid_parameter) == "query:offset");
    CHECK(refused({"wiki", "lab-wiki", "", "", "", "id"}, Errc::invalid_parameter) == "query:source");
    refused({"wiki", "lab-wiki", "", "c", "", ""}, Errc::invalid_cursor);
    refused({"wiki", "lab-wiki", "", "", "/s", "id"}, Errc::not_found);
    refused({"wiki", "lab-wiki", "7", "", "", ""}, Errc::not_found);
}
