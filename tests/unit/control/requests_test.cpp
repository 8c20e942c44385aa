// What a request must be: queries, bodies and media types, and answers as openapi.json says.
#include <algorithm>

#include "base/limits.h"
#include "server/control/routes.h"
#include "tests/unit/control/control_fixture.h"
#include "tests/unit/control/schema_check.h"

using namespace licet;
using namespace licet::testing;

namespace {

const char* const kParty = R"({"title":"P","country":"DE"})";

}  // namespace

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

TEST_CASE("control: the largest body and a large answer pass whole") {
    ControlFixture f;
    const std::string padding(limits::control_body_max_bytes - std::string_view(kParty).size(), ' ');
    CHECK(f.call("PUT", "/v1/admin/parties/p", "admin", padding + kParty).status == 200);
    const auto document = f.call("GET", "/v1/openapi.json", "");
    CHECK(document.status == 200);
    CHECK(document.body == control::openapi_document());
}
