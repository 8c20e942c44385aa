// The control plane as the edge meets it: the real server on loopback over an in-memory catalog.
#include <algorithm>
#include <future>
#include <thread>

#include "server/control/routes.h"
#include "tests/unit/control/control_fixture.h"

using namespace licet;
using namespace licet::testing;

namespace {

const char* const kParty = R"({"title":"P","country":"DE"})";

// A path of the route that names things there are.
std::string example(const control::Route& route) {
    std::string path(route.path);
    const auto fill = [&](const std::string& parameter, const std::string& value) {
        if (const auto at = path.find(parameter); at != std::string::npos) path.replace(at, parameter.size(), value);
    };
    fill("{version}", "1");
    fill("{part}", "1");
    fill("{name}", "acme");
    return path;
}

}  // namespace

TEST_CASE("control: who does not know the boot secret gets nothing") {
    ControlFixture f;
    auto wrong = ControlFixture::request("GET", "/v1/openapi.json", "admin");
    wrong.replace(wrong.find("boot-secret"), 11, "boot-secreT");
    CHECK(f.raw(wrong).status == 403);
    auto without = ControlFixture::request("GET", "/v1/admin/regions", "admin");
    without.erase(without.find("Licet-Boot-Secret"), std::string("Licet-Boot-Secret: boot-secret\r\n").size());
    const auto answer = f.raw(without);
    CHECK(answer.status == 403);
    CHECK(answer.slug() == "forbidden");
    CHECK(answer.body.find("eu.licet.example") == std::string::npos);
}

TEST_CASE("control: every answer is typed, bears the request id, and is not to be cached") {
    ControlFixture f;
    const auto check = [&](const HttpAnswer& answer, int status, const char* type) {
        CHECK(answer.status == status);
        CHECK(answer.header("Licet-Request-Id") == "r1");
        CHECK(answer.header("Content-Type") == type);
        CHECK(answer.header("Cache-Control") == "no-store");
    };
    check(f.call("GET", "/v1/admin/regions", "admin"), 200, "application/json");
    check(f.call("GET", "/v1/admin/audit", "auditor"), 200, "application/x-ndjson");
    check(f.call("GET", "/v1/finance/usage?period=2027-01", "finance"), 200, "text/csv; charset=utf-8; header=present");
    check(f.call("GET", "/v1/nothing", "admin"), 404, "application/problem+json");
    const auto method = f.call("DELETE", "/v1/admin/regions/eu", "admin");
    check(method, 405, "application/problem+json");
    CHECK(method.header("Allow") == "GET, PUT");
    const auto nobody = f.call("GET", "/v1/admin/regions", "");
    check(nobody, 401, "application/problem+json");
    CHECK(nobody.header("WWW-Authenticate") == "Bearer");
    CHECK(nobody.slug() == "unauthenticated");
    CHECK(nobody.pointer() == "header:Authorization");
    CHECK(f.call("GET", "/v1/openapi.json", "").status == 200);
    // What would end the header early is dropped from an echoed id.
    check(f.raw(ControlFixture::request("GET", "/v1/admin/regions", "admin", "", "",
                                        "r\x01\xff"
                                        "1")),
          200, "application/json");
}

TEST_CASE("control: roles decide, route by route") {
    ControlFixture f;
    HttpClient connection(f.server->port());
    for (const auto& route : control::routes())
        for (const char* role : ControlFixture::kRoles) {
            CAPTURE(route.method);
            CAPTURE(route.path);
            CAPTURE(role);
            const bool writes = route.method != "GET";
            connection.send(ControlFixture::request(std::string(route.method), example(route), role, writes ? "[]" : ""));
            const auto answer = connection.receive();
            const auto named = [&](std::string_view name) { return std::find(route.roles.begin(), route.roles.end(), name) != route.roles.end(); };
            const bool may = route.roles.empty() || named(control::kAnyRole) || named(role);
            REQUIRE(answer.status != 0);
            CHECK((answer.status == 403) == !may);
            CHECK(answer.status != 401);
        }
    for (const char* client : {"revoked", "unheard-of"}) {
        const auto answer = f.call("GET", "/v1/admin/regions", client);
        CHECK(answer.status == 401);
        CHECK(answer.slug() == "invalid-token");
    }
}

TEST_CASE("control: with the token of a subject only what is theirs, whatever roles its client has") {
    ControlFixture f;
    const auto as_subject = [&](const std::string& method, const std::string& target, const std::string& body = {}) {
        auto bytes = ControlFixture::request(method, target, "admin", body);
        bytes.insert(bytes.find("Licet-Request-Id"), "Licet-Subject: " + std::string(32, 'a') + " 1795000000000 acme\r\n");
        return f.raw(bytes);
    };
    CHECK(as_subject("GET", "/v1/me/consents").status == 200);
    const auto given = as_subject("POST", "/v1/me/consents", R"({"purposes":["dpv:Marketing"],"status":"given"})");
    CHECK(given.status == 200);
    CHECK(as_subject("GET", "/v1/me/consents").json()["validPurposes"].size() > 1);
    for (const auto& route : control::routes()) {
        if (route.roles.empty() || route.path.starts_with("/v1/me/")) continue;
        CAPTURE(route.path);
        CHECK(as_subject(std::string(route.method), example(route), route.method == "GET" ? "" : "[]").status == 403);
    }
    CHECK(f.call("GET", "/v1/me/consents", "admin").status == 403);
    auto bent = ControlFixture::request("GET", "/v1/me/consents", "admin");
    bent.insert(bent.find("Licet-Request-Id"), "Licet-Subject: nobody\r\n");
    CHECK(f.raw(bent).status == 401);
}

TEST_CASE("control: a change is made once, audited with its actor, and answered with its epoch") {
    ControlFixture f;
    const auto before = f.governance->snapshot()->epoch.value;
    const auto answer = f.call("PUT", "/v1/admin/parties/lab", "admin", R"({"title":"Lab","country":"FR","collections":["universities"]})");
    REQUIRE(answer.status == 200);
    CHECK(answer.json()["epoch"] == before + 1);
    CHECK(answer.json()["country"] == "FR");
    CHECK(f.governance->snapshot()->party("lab") != nullptr);
    REQUIRE(f.catalog->audited.size() == 1);
    CHECK(f.catalog->audited[0].actor == "admin");
    CHECK(f.catalog->audited[0].action == "party.put");
    CHECK(f.catalog->audited[0].target == "lab");
    const auto made = f.call("POST", "/v1/admin/clients", "admin", R"({"id":"lab","party":"lab","roles":["partner"],"scopes":["read:news"]})");
    REQUIRE(made.status == 201);
    const auto secret = made.json()["secret"].get<std::string>();
    CHECK(secret.size() == 43);
    CHECK(f.call("GET", "/v1/admin/clients/lab", "admin").body.find("secret") == std::string::npos);
    for (const auto& entry : f.catalog->audited) CHECK(entry.detail.dump().find(secret) == std::string::npos);
    CHECK(f.call("POST", "/v1/admin/clients", "admin", R"({"id":"lab","party":"lab"})").slug() == "conflict");
    REQUIRE(f.audit_log->append(f.catalog->audited).ok());
    CHECK(f.call("GET", "/v1/admin/audit?after=1&limit=1", "auditor").body == f.audit_log->held.at(1) + "\n");
    CHECK(json::parse(f.audit_log->held[1])["action"] == "client.create");
    // What is refused is not in the audit.
    const auto audited = f.catalog->audited.size();
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "dpo", kParty).status == 403);
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "admin", "{}").status == 422);
    CHECK(f.catalog->audited.size() == audited);
}

TEST_CASE("control: a change that does not hold everywhere is not answered as if it did") {
    ControlFixture f;
    f.cluster->others = {"eu-2"};
    const auto answer = f.call("PUT", "/v1/admin/parties/lab", "admin", kParty);
    CHECK(answer.status == 503);
    CHECK(answer.slug() == "barrier-incomplete");
    CHECK(answer.header("Retry-After") == "1");
    CHECK(answer.json()["outstanding"] == nlohmann::json{"eu-2"});
    const auto where = answer.json()["barrier"].get<std::string>();
    CHECK(f.call("GET", where, "dpo").json()["complete"] == false);
    // A new client forbids nothing, and its secret is shown once: it is not kept from whoever made it.
    const auto made = f.call("POST", "/v1/admin/clients", "admin", R"({"id":"lab","party":"acme","roles":["partner"],"scopes":["read:news"]})");
    CHECK(made.status == 201);
    CHECK(made.json()["secret"].get<std::string>().size() == 43);
    f.cluster->others.clear();
    CHECK(f.call("GET", where + "?wait=1000", "auditor").json()["complete"] == true);
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "admin", kParty).status == 200);
}

TEST_CASE("control: configuration is written where it is authored, consents where they are") {
    ControlFixture f(nullptr, false);
    const auto elsewhere = f.call("PUT", "/v1/admin/parties/lab", "admin", kParty);
    CHECK(elsewhere.status == 421);
    CHECK(elsewhere.slug() == "misdirected");
    CHECK(elsewhere.json()["endpoint"] == "https://eu.licet.example");
    CHECK(f.call("POST", "/v1/admin/clients/admin/revoke", "admin").slug() == "misdirected");
    const char* consent = R"({"subject":"ada@example.org","controller":"acme","purposes":["dpv:Marketing"],"status":"given"})";
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", consent).status == 200);
    CHECK(f.catalog->audited.size() == 1);
    CHECK(f.catalog->audited[0].detail.dump().find("ada") == std::string::npos);
}

TEST_CASE("control: what a use case throws stays inside") {
    struct Throwing final : ports::Catalog {
        Result<ports::Configuration> configuration() override { throw std::runtime_error("a row with a person's name"); }
        Result<ports::Epochs> epochs() override { return ports::Epochs{}; }
        Result<std::uint64_t> each_consent(const std::function<void(const ports::ConsentRow&)>&) override { return std::uint64_t{0}; }
        Result<std::vector<ports::ConsentRow>> consents_of(const SubjectKey&) override { throw 7; }
        Result<std::vector<ports::ConsentRow>> consents_after(std::uint64_t) override { return std::vector<ports::ConsentRow>{}; }
        static Error no() { return {Errc::unavailable, "the catalog cannot be used", {}}; }
        Result<ports::Configuration> configuration_at(UtcMillis) override { return no(); }
        Result<ports::ConsentsAt> consents_of_at(const SubjectKey&, UtcMillis) override { return no(); }
        Result<ports::Changed> put_region(const ports::Region&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_product(const ports::Product&, const json&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_party(const ports::Party&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_contract(const ports::Contract&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> create_client(const ports::Client&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> revoke_client(const std::string&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> revoke_tokens(const std::string&, UtcMillis, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> shadow_policy(const std::string&, std::uint32_t, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> add_policy_version(const std::string&, const json&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> activate_policy(const std::string&, std::uint32_t, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> retire_policy(const std::string&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_licence(const ports::Licence&, const ports::AuditEntry&) override { return no(); }
        Result<std::vector<std::uint16_t>> number_recipients(const std::vector<std::string>&) override { return no(); }
        Result<std::vector<ports::PolicyRow>> policies(const std::string&) override { return no(); }
        Status record_audit(const ports::AuditEntry&) override { return no(); }
        void watch(std::function<void()>) override {}
        void stop_watching() override {}
    };
    ControlFixture f(std::make_shared<Throwing>());
    for (const auto& answer :
         {f.call("GET", "/v1/admin/regions", "admin"), f.call("POST", "/v1/admin/consents/query", "dpo", R"({"subject":"a","controller":"acme"})")}) {
        CHECK(answer.status == 500);
        CHECK(answer.slug() == "internal");
        CHECK(answer.header("Licet-Request-Id") == "r1");
        CHECK(answer.body.find("person") == std::string::npos);
    }
    const auto away = f.call("PUT", "/v1/admin/parties/p", "admin", kParty);
    CHECK(away.status == 503);
    CHECK(away.header("Retry-After") == "1");
}

TEST_CASE("control: many connections get each its own answers") {
    ControlFixture f;
    for (int i = 0; i < 8; ++i) f.catalog->held.regions.push_back({"r" + std::to_string(i), "https://r" + std::to_string(i) + ".example"});
    std::vector<std::future<int>> wrong;
    for (int i = 0; i < 8; ++i)
        wrong.push_back(std::async(std::launch::async, [&f, i] {
            const std::string name = "r" + std::to_string(i);
            int bad = 0;
            for (int round = 0; round < 4; ++round) {
                HttpClient connection(f.server->port());
                for (int n = 0; n < 50; ++n) {
                    const std::string id = name + "-" + std::to_string(n);
                    connection.send(ControlFixture::request("GET", "/v1/admin/regions/" + name, "admin", "", "", id));
                    const auto answer = connection.receive();
                    if (answer.status != 200 || answer.header("Licet-Request-Id") != id || answer.json()["name"] != name) ++bad;
                }
            }
            return bad;
        }));
    for (auto& one : wrong) CHECK(one.get() == 0);
}

TEST_CASE("control: stopping finishes what was begun") {
    ControlFixture f;
    f.catalog->block(true);
    HttpClient connection(f.server->port());
    connection.send(ControlFixture::request("PUT", "/v1/admin/parties/late", "admin", kParty));
    // The change is made; the answer waits for the catalog.
    const auto made = [&] {
        const auto all = f.catalog->configuration();
        return std::any_of(all->parties.begin(), all->parties.end(), [](const auto& p) { return p.name == "late"; });
    };
    while (!made()) std::this_thread::yield();
    auto stopped = std::async(std::launch::async, [&] { f.server->stop(); });
    CHECK(stopped.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
    f.catalog->block(false);
    stopped.get();
    const auto answer = connection.receive();
    CHECK(answer.status == 200);
    CHECK(answer.header("Licet-Request-Id") == "r1");
    HttpClient late(f.server->port());
    late.send(ControlFixture::request("GET", "/v1/admin/regions", "admin"));
    CHECK(late.receive().status == 0);
}

TEST_CASE("control: a port that is taken is an error, not a crash") {
    ControlFixture f;
    const std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    const auto second = control::Control::start({f.server->port(), 1, "x"}, {nullptr, nullptr, [] { return nullptr; }, crypto, {}});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::unavailable);
    CHECK(f.call("GET", "/v1/admin/regions", "admin").status == 200);
}
