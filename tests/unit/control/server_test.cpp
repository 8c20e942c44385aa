// The control plane as the edge meets it: the real server on loopback over an in-memory catalog.
#include <algorithm>
#include <future>
#include <thread>

#include "base/limits.h"
#include "server/control/routes.h"
#include "tests/unit/control/control_fixture.h"
#include "tests/unit/control/schema_check.h"

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
            const bool may = route.roles.empty() || std::find(route.roles.begin(), route.roles.end(), role) != route.roles.end();
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
    const auto lines = f.call("GET", "/v1/admin/audit?after=1&limit=1", "auditor");
    CHECK(lines.body == "{\"action\":\"client.create\",\"seq\":2}\n");
    // What is refused is not in the audit.
    const auto audited = f.catalog->audited.size();
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "dpo", kParty).status == 403);
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "admin", "{}").status == 422);
    CHECK(f.catalog->audited.size() == audited);
}

TEST_CASE("control: answers and accepted bodies are what openapi.json says") {
    ControlFixture f;
    const auto document = json::parse(control::openapi_document());
    const SchemaCheck schemas(document);
    struct Call {
        const char *method, *path, *target, *client, *body;
        int status;
    };
    const char* const region = R"({"endpoint":"https://us.licet.example"})";
    const char* const product =
        R"({"title":"P","owner":"acme","controller":"acme","residency":"eu","mapping":{"attributes":{"id":{"digest":true},"source":{"constant":"/p"},)"
        R"("type":{"pointer":"/t","required":true},"datasubject":{"pointer":"/u","infoType":"IP_ADDRESS"}},)"
        R"("fields":[{"pointer":"/u","category":"pd:IPAddress","infoType":"IP_ADDRESS"}]}})";
    const char* const contract =
        R"({"party":"lab","products":["news"],"purposes":["dpv:Marketing"],"validUntil":"2030-01-01T00:00:00Z","price":{"currency":"EUR",)"
        R"("perEvent":"0.0005","perMb":"0.12"}})";
    const std::string policy = json{{"document", policy_document("news", "dpv:Marketing")}}.dump();
    const char* const consent =
        R"({"subject":"a","controller":"acme","purposes":["dpv:Marketing"],"status":"given","validUntil":"2030-01-01T00:00:00Z"})";
    const char* const who = R"({"subject":"a","controller":"acme"})";
    const Call calls[] = {
        {"PUT", "/v1/admin/regions/{name}", "/v1/admin/regions/us", "admin", region, 200},
        {"GET", "/v1/admin/regions/{name}", "/v1/admin/regions/us", "admin", "", 200},
        {"GET", "/v1/admin/regions", "/v1/admin/regions", "admin", "", 200},
        {"PUT", "/v1/admin/products/{name}", "/v1/admin/products/p", "admin", product, 200},
        {"GET", "/v1/admin/products/{name}", "/v1/admin/products/p", "producer", "", 200},
        {"GET", "/v1/admin/products", "/v1/admin/products", "admin", "", 200},
        {"PUT", "/v1/admin/parties/{name}", "/v1/admin/parties/lab", "admin", kParty, 200},
        {"GET", "/v1/admin/parties/{name}", "/v1/admin/parties/lab", "admin", "", 200},
        {"GET", "/v1/admin/parties", "/v1/admin/parties", "admin", "", 200},
        {"PUT", "/v1/admin/contracts/{name}", "/v1/admin/contracts/lab", "admin", contract, 200},
        {"GET", "/v1/admin/contracts/{name}", "/v1/admin/contracts/lab", "finance", "", 200},
        {"GET", "/v1/admin/contracts", "/v1/admin/contracts", "admin", "", 200},
        {"POST", "/v1/admin/clients", "/v1/admin/clients", "admin", R"({"id":"lab","party":"lab","roles":["partner"],"scopes":["read:*"]})", 201},
        {"GET", "/v1/admin/clients/{name}", "/v1/admin/clients/lab", "admin", "", 200},
        {"GET", "/v1/admin/clients", "/v1/admin/clients", "admin", "", 200},
        {"POST", "/v1/admin/clients/{name}/revoke-tokens", "/v1/admin/clients/lab/revoke-tokens", "admin", "", 200},
        {"POST", "/v1/admin/clients/{name}/revoke", "/v1/admin/clients/lab/revoke", "admin", "", 200},
        {"PUT", "/v1/admin/policies/{name}", "/v1/admin/policies/p", "policy", policy.c_str(), 201},
        {"GET", "/v1/admin/policies/{name}", "/v1/admin/policies/p", "dpo", "", 200},
        {"POST", "/v1/admin/policies/{name}/versions/{version}/activate", "/v1/admin/policies/p/versions/1/activate", "policy", "", 200},
        {"GET", "/v1/admin/policies", "/v1/admin/policies", "policy", "", 200},
        {"POST", "/v1/admin/policies/{name}/retire", "/v1/admin/policies/p/retire", "policy", "", 200},
        {"POST", "/v1/admin/consents", "/v1/admin/consents", "dpo", consent, 200},
        {"POST", "/v1/admin/consents/query", "/v1/admin/consents/query", "dpo", who, 200},
        {"POST", "/v1/admin/consents/withdraw", "/v1/admin/consents/withdraw", "dpo", who, 200},
        {"GET", "/v1/admin/audit/key", "/v1/admin/audit/key", "auditor", "", 200},
        {"GET", "/v1/finance/usage", "/v1/finance/usage?period=2027-01&group=product,day,region&format=json", "finance", "", 200},
    };
    for (const auto& c : calls) {
        CAPTURE(c.method);
        CAPTURE(c.target);
        std::string method(c.method);
        std::transform(method.begin(), method.end(), method.begin(), [](char x) { return static_cast<char>(x + 32); });
        const auto& operation = document.at("paths").at(c.path).at(method);
        const std::string body(c.body);
        if (!body.empty()) CHECK(schemas.mistake(json::parse(body), operation["requestBody"]["content"]["application/json"]["schema"]) == "");
        const auto answer = f.call(c.method, c.target, c.client, body);
        REQUIRE(answer.status == c.status);
        const auto& responses = operation.at("responses");
        REQUIRE(responses.contains(std::to_string(c.status)));
        CHECK(schemas.mistake(answer.json(), responses[std::to_string(c.status)]["content"]["application/json"]["schema"]) == "");
    }
}

TEST_CASE("control: a change that does not hold everywhere is not answered as if it did") {
    ControlFixture f;
    f.cluster->others = {"eu-2"};
    const auto answer = f.call("PUT", "/v1/admin/parties/lab", "admin", kParty);
    CHECK(answer.status == 503);
    CHECK(answer.slug() == "barrier-incomplete");
    CHECK(answer.header("Retry-After") == "1");
    f.cluster->others.clear();
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "admin", kParty).status == 200);
}

TEST_CASE("control: configuration is written where it is authored, consents where they are") {
    ControlFixture f(nullptr, false);
    CHECK(f.call("PUT", "/v1/admin/parties/lab", "admin", kParty).slug() == "misdirected");
    CHECK(f.call("POST", "/v1/admin/clients/admin/revoke", "admin").slug() == "misdirected");
    const char* consent = R"({"subject":"ada@example.org","controller":"acme","purposes":["dpv:Marketing"],"status":"given"})";
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", consent).status == 200);
    CHECK(f.catalog->audited.size() == 1);
    CHECK(f.catalog->audited[0].detail.dump().find("ada") == std::string::npos);
}

TEST_CASE("control: queries are strict") {
    ControlFixture f;
    const auto refused = [&](const char* target, const char* client, const char* pointer) {
        CAPTURE(target);
        const auto answer = f.call("GET", target, client);
        CHECK(answer.status == 400);
        CHECK(answer.pointer() == pointer);
    };
    refused("/v1/admin/regions?x=1", "admin", "query:x");
    refused("/v1/finance/usage", "finance", "query:period");
    refused("/v1/finance/usage?period=2027-13", "finance", "query:period");
    refused("/v1/finance/usage?period=2027-01&group=party", "finance", "query:group");
    refused("/v1/finance/usage?period=2027-01&format=xlsx", "finance", "query:format");
    refused("/v1/finance/usage?period=2027-01&format=js%zz", "finance", "query");
    refused("/v1/finance/usage?period=2027-01&&format=json", "finance", "query:");
    refused("/v1/admin/audit?after=-1", "auditor", "query:after");
    refused("/v1/admin/audit?after=1x", "auditor", "query:after");
    refused("/v1/admin/audit?limit=0", "auditor", "query:limit");
    refused("/v1/admin/audit?limit=10001", "auditor", "query:limit");
    refused("/v1/admin/explain?product=news&contract=acme", "dpo", "query:event");
    refused("/v1/admin/explain?product=news&contract=acme&offset=1&cursor=x", "dpo", "query:event");
    refused("/v1/admin/explain?product=news&contract=acme&offset=1&source=x", "dpo", "query:source");
    refused("/v1/admin/explain?product=news&contract=acme&event=1", "dpo", "query:source");
    refused("/v1/admin/explain?product=news&contract=acme&offset=1e3", "dpo", "query:offset");
    refused("/v1/admin/explain?product=news&contract=acme&cursor=x", "dpo", "query:cursor");
    CHECK(f.call("GET", "/v1/admin/explain?product=none&contract=acme&offset=1", "dpo").pointer() == "query:product");
    CHECK(f.call("GET", "/v1/admin/explain?product=news&contract=none&offset=1", "dpo").pointer() == "query:contract");
    // Percent-encoding is decoded once.
    CHECK(f.call("GET", "/v1/finance/usage?period=2027%2D01&format=json", "finance").status == 200);
    CHECK(f.call("GET", "/v1/finance/usage?period=2027%252D01", "finance").status == 400);
    for (const char* name : {"%00", "%ff", "a%2fb", "..", "A", "%2e", "-a"}) {
        const auto answer = f.call("GET", std::string("/v1/admin/regions/") + name, "admin");
        CHECK(answer.status == 400);
        CHECK(answer.pointer() == "path:name");
    }
    CHECK(f.call("POST", "/v1/admin/policies/acme/versions/1x/activate", "policy").pointer() == "path:version");
}

TEST_CASE("control: bodies are strict, and the mistake is named") {
    ControlFixture f;
    struct Case {
        const char *method, *target, *body;
        int status;
        const char* pointer;
    };
    const Case cases[] = {
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://us.example","x":1})", 422, "/x"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://us.example","endpoint":"https://eu.example"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://us.example/"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"ftp://us.example"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://us.example?x"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"https://us example"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":"http://127.evil.example"})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"({})", 422, "/endpoint"},
        {"PUT", "/v1/admin/regions/us", R"([1])", 422, "none"},
        {"PUT", "/v1/admin/regions/us", R"({"endpoint":)", 400, "/endpoint"},
        {"PUT", "/v1/admin/parties/p", R"({"title":"P","country":"XX"})", 422, "/country"},
        {"PUT", "/v1/admin/parties/p", R"({"title":"P","country":"DE","collections":["a b"]})", 422, "/collections/0"},
        {"PUT", "/v1/admin/parties/p", R"({"title":"P\u0000","country":"DE"})", 422, "/title"},
        {"PUT", "/v1/admin/parties/p", R"({"title":"P","country":"DE","adequacySchemes":["a","b\u0007"]})", 422, "/adequacySchemes/1"},
        {"PUT", "/v1/admin/products/p", R"({"title":"P","owner":"acme","controller":"none"})", 422, "/controller"},
        {"PUT", "/v1/admin/products/p", R"({"title":"P","owner":"acme","controller":"acme"})", 422, "/mapping"},
        {"PUT", "/v1/admin/products/p", R"({"title":"P","owner":"acme","controller":"acme","mapping":{"attributes":{"id":{"digst":true}}}})", 422,
         "/mapping/attributes/id/digst"},
        {"PUT", "/v1/admin/products/p", R"({"title":"P","owner":"acme","controller":"acme","residency":"mars"})", 422, "/residency"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme"})", 422, "/price"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme","price":{"currency":"EUR","perEvent":"1","perMb":"0","x":1}})", 422, "/price/x"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme","price":{"currency":"EUR","perEvent":"-1","perMb":"0"}})", 422, "/price/perEvent"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme","price":{"currency":"EUR","perEvent":0.1,"perMb":"0"}})", 422, "/price/perEvent"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme","purposes":["dpv:Nonsense"],"price":{"currency":"EUR","perEvent":"1","perMb":"0"}})", 422,
         "/purposes/0"},
        {"PUT", "/v1/admin/contracts/c", R"({"party":"acme","products":["news","none"],"price":{"currency":"EUR","perEvent":"1","perMb":"0"}})", 422,
         "/products/1"},
        {"PUT", "/v1/admin/contracts/c",
         R"({"party":"acme","validUntil":"1970-01-01T00:00:00Z","price":{"currency":"EUR","perEvent":"1","perMb":"0"}})", 422, "/validUntil"},
        {"POST", "/v1/admin/clients", R"({"id":"x","party":"acme","roles":["root"]})", 422, "/roles/0"},
        {"POST", "/v1/admin/clients", R"({"id":"x","party":"acme","scopes":["read:*","own:news"]})", 422, "/scopes/1"},
        {"PUT", "/v1/admin/policies/p", R"({"document":{"@type":"Set","colour":"red"}})", 422, "/document"},
        {"PUT", "/v1/admin/policies/p", R"({"document":[]})", 422, "/document"},
        {"POST", "/v1/admin/consents", R"({"subject":"a","controller":"acme","purposes":["dpv:Marketing"],"status":"maybe"})", 422, "/status"},
        {"POST", "/v1/admin/consents", R"({"subject":"a","controller":"acme","purposes":[],"status":"given"})", 422, "/purposes"},
        {"POST", "/v1/admin/consents",
         R"({"subject":"a","controller":"acme","purposes":["dpv:Marketing"],"status":"given","validUntil":"1970-01-01T00:00:00Z"})", 422,
         "/validUntil"},
        {"POST", "/v1/admin/consents/withdraw", R"({"subject":"a","controller":"acme","purpose":["dpv:Marketing"]})", 422, "/purpose"},
        {"POST", "/v1/admin/consents/query", R"({"subject":"a","controller":"none"})", 422, "/controller"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.target);
        CAPTURE(c.body);
        const auto answer = f.call(c.method, c.target, "admin", c.body);
        CHECK(answer.status == c.status);
        if (std::string_view(c.pointer) == "/document")
            CHECK(answer.pointer().starts_with("/document"));
        else
            CHECK(answer.pointer() == c.pointer);
    }
    CHECK(f.catalog->audited.empty());
    const auto deep = f.call("PUT", "/v1/admin/policies/p", "policy", "{\"document\":{\"a\":" + std::string(1'000'000, '[') + "}}");
    CHECK(deep.status == 422);
    const std::string large = R"({"document":{"@type":")" + std::string(limits::policy_document_max_bytes, 'x') + "\"}}";
    CHECK(f.call("PUT", "/v1/admin/policies/p", "policy", large).status == 413);
}

TEST_CASE("control: bodies have the type they say") {
    ControlFixture f;
    for (const char* type : {"application/json", "Application/JSON; charset=utf-8"})
        CHECK(f.call("PUT", "/v1/admin/parties/p", "admin", kParty, type).status == 200);
    for (const char* type : {"", "text/plain", "application/x-ndjson", "application/octet-stream"}) {
        const auto answer = f.call("PUT", "/v1/admin/parties/p", "admin", kParty, type);
        CHECK(answer.status == 415);
        CHECK(answer.pointer() == "header:Content-Type");
    }
}

TEST_CASE("control: consents come one as JSON or many as lines, all or none") {
    ControlFixture f;
    const std::string good = R"({"subject":"a","controller":"acme","purposes":["dpv:Marketing"],"status":"given"})";
    const auto lines = f.call("POST", "/v1/admin/consents", "dpo", good + "\n\r\n" + good + "\n", "application/x-ndjson");
    REQUIRE(lines.status == 200);
    CHECK(lines.json()["records"] == 2);
    CHECK(lines.json()["revision"] == 1);
    const auto revision = f.catalog->revision;
    const auto bad = f.call("POST", "/v1/admin/consents", "dpo", good + "\n" + R"({"subject":"b"})" + "\n", "application/x-ndjson");
    CHECK(bad.pointer() == "/1/controller");
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", good + "\n{\"subject\":}", "application/x-ndjson").pointer() == "/1/subject");
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", R"({"subject":"b"})", "application/x-ndjson").pointer() == "/0/controller");
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", R"({"subject":"b"})").pointer() == "/controller");
    CHECK(f.call("POST", "/v1/admin/consents", "dpo", "\n\n", "application/x-ndjson").status == 422);
    CHECK(f.catalog->revision == revision);
    const auto state = f.call("POST", "/v1/admin/consents/query", "dpo", R"({"subject":"a","controller":"acme"})").json();
    CHECK(state["records"].size() == 1);
    CHECK(std::count(state["validPurposes"].begin(), state["validPurposes"].end(), "dpv:Marketing") == 1);
    CHECK(f.call("POST", "/v1/admin/consents/withdraw", "dpo", R"({"subject":"a","controller":"acme"})").status == 200);
    CHECK(f.call("POST", "/v1/admin/consents/query", "dpo", R"({"subject":"a","controller":"acme"})").json()["validPurposes"].empty());
}

TEST_CASE("control: what a use case throws stays inside") {
    struct Throwing final : ports::Catalog {
        Result<ports::Configuration> configuration() override { throw std::runtime_error("a row with a person's name"); }
        Result<ports::Epochs> epochs() override { return ports::Epochs{}; }
        Result<std::uint64_t> each_consent(const std::function<void(const ports::ConsentRow&)>&) override { return std::uint64_t{0}; }
        Result<std::vector<ports::ConsentRow>> consents_of(const SubjectKey&) override { throw 7; }
        Result<std::vector<ports::ConsentRow>> consents_after(std::uint64_t) override { return std::vector<ports::ConsentRow>{}; }
        static Error no() { return {Errc::unavailable, "the catalog cannot be used", {}}; }
        Result<ports::Changed> put_region(const ports::Region&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_product(const ports::Product&, const json&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_party(const ports::Party&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_contract(const ports::Contract&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> create_client(const ports::Client&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> revoke_client(const std::string&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> revoke_tokens(const std::string&, UtcMillis, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> add_policy_version(const std::string&, const json&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> activate_policy(const std::string&, std::uint32_t, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> retire_policy(const std::string&, const ports::AuditEntry&) override { return no(); }
        Result<ports::Changed> put_consents(const std::vector<ports::ConsentRow>&, const ports::AuditEntry&) override { return no(); }
        Result<std::vector<ports::PolicyRow>> policies(const std::string&) override { return no(); }
        Result<std::vector<ports::AuditLine>> audit(std::uint64_t, std::size_t) override { return no(); }
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
