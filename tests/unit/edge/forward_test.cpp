// What reaches the control plane, and what comes back.
#include "base/limits.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

// Remembers requests; answers by the last segment of the path.
struct Behind {
    std::mutex mutex;
    std::vector<std::string> requests;
    std::atomic<bool> go{false};
    ScriptedControl control{[this](const std::string& request) -> std::string {
        {
            const std::lock_guard lock(mutex);
            requests.push_back(request);
        }
        if (request.find("/slow ") != std::string::npos) go.wait(false);
        if (request.find("/hang-up ") != std::string::npos) return {};
        if (request.find("/mismatch ") != std::string::npos) return "HTTP/1.1 200 OK\r\nLicet-Request-Id: other\r\nContent-Length: 6\r\n\r\nsecret";
        if (request.find("/garbage ") != std::string::npos) return "not http at all\r\n\r\n";
        if (request.find("/twice ") != std::string::npos) return ScriptedControl::answer(request, "one") + "left over";
        if (request.find("/denied ") != std::string::npos)
            return ScriptedControl::answer(request, "{}", "Allow: PUT\r\nSet-Cookie: x=y\r\nServer: z\r\nETag: \"1\"\r\n", 405);
        return ScriptedControl::answer(request, "{\"ok\":true}", request.find("/close ") != std::string::npos ? "Connection: close\r\n" : "");
    }};
    std::string last() {
        const std::lock_guard lock(mutex);
        return requests.back();
    }
    std::size_t count() {
        const std::lock_guard lock(mutex);
        return requests.size();
    }
};

Setup to(const Behind& behind, int upstream_ms = 10'000) {
    Setup setup;
    setup.control_port = behind.control.port;
    setup.timeouts.upstream_ms = upstream_ms;
    return setup;
}

}  // namespace

TEST_CASE("only named headers pass, and nobody outside can pretend to be the edge") {
    Behind behind;
    EdgeFixture edge(to(behind));
    const auto answer = edge.ask({"PUT",
                                  "/v1/admin/regions/eu?x=%20y",
                                  "{\"endpoint\":1}",
                                  {edge.bearer(),
                                   {"Content-Type", "application/json"},
                                   {"If-Match", "\"7\""},
                                   {"Licet-Client", "admin"},
                                   {"licet-boot-secret", "guess"},
                                   {"LICET-REQUEST-ID", "mine"},
                                   {"Licet_Client", "admin"},
                                   {"Cookie", "garbage"},
                                   {"Date", "xyz"},
                                   {"X-Forwarded-For", "10.0.0.1"},
                                   {"Accept", "x"}}});
    CHECK(answer.status == 200);
    CHECK(answer.json()["ok"] == true);
    const auto request = behind.last();
    CHECK(request.starts_with("PUT /v1/admin/regions/eu?x=%20y HTTP/1.1\r\n"));
    CHECK(request.ends_with("\r\n\r\n{\"endpoint\":1}"));
    CHECK(ScriptedControl::header(request, "Content-Length") == "14");
    CHECK(ScriptedControl::header(request, "Host") == "127.0.0.1");
    CHECK(ScriptedControl::header(request, "Licet-Boot-Secret") == "boot");
    CHECK(ScriptedControl::header(request, "Licet-Client") == "partner");
    CHECK(ScriptedControl::header(request, "Licet-Request-Id") == answer.header("Licet-Request-Id"));
    CHECK(ScriptedControl::header(request, "If-Match") == "\"7\"");
    CHECK(std::count(request.begin(), request.end(), '\n') == 10);  // request line, ten fields' worth of lines and the empty one; no others
    for (const char* word : {"guess", "admin\r", "mine", "Cookie", "Date", "Forwarded", "Accept", "Authorization", "Bearer"}) {
        CAPTURE(word);
        CHECK(request.find(word) == std::string::npos);
    }
}

TEST_CASE("the control plane sees only media types that its library can read") {
    Behind behind;
    EdgeFixture edge(to(behind));
    const std::pair<const char*, const char*> types[] = {
        {"application/json", "application/json"},         {"Application/JSON ;charset=\"x", "application/json"},
        {"application/x-ndjson", "application/x-ndjson"}, {"application/jsonx", "application/octet-stream"},
        {"garbage", "application/octet-stream"},          {";", "application/octet-stream"}};
    for (const auto& [given, seen] : types) {
        CAPTURE(given);
        CHECK(edge.ask({"PUT", "/v1/admin/regions/eu", "{}", {edge.bearer(), {"Content-Type", given}}}).status == 200);
        CHECK(ScriptedControl::header(behind.last(), "Content-Type") == seen);
    }
}

TEST_CASE("the control plane never sees chunks, HEAD, or a request of nobody but for the API's description") {
    Behind behind;
    EdgeFixture edge(to(behind));
    Client client(edge.edge->port());
    client.send("POST /v1/admin/clients HTTP/1.1\r\nHost: edge\r\nAuthorization: " + edge.bearer().second +
                "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    CHECK(client.receive().status == 200);
    CHECK(behind.last().find("Transfer-Encoding") == std::string::npos);
    CHECK(ScriptedControl::header(behind.last(), "Content-Length") == "2");

    const auto head = client.ask(Request{"HEAD", "/v1/admin/regions", "", {edge.bearer()}}.bytes());
    CHECK(head.status == 200);
    CHECK(head.header("Content-Length") == "11");
    CHECK(behind.last().starts_with("GET "));
    CHECK(client.ask(Request{"GET", "/v1/admin/regions", "", {edge.bearer()}}.bytes()).body == "{\"ok\":true}");

    const auto before = behind.count();
    CHECK(edge.ask({"GET", "/v1/admin/regions", "", {}}).what() == "401 unauthenticated");
    CHECK(edge.ask({"GET", "/v1/finance/usage", "", {{"Licet-Client", "admin"}}}).what() == "401 unauthenticated");
    CHECK(edge.ask({"GET", "/v1/admin/regions", "", {{"Authorization", "Bearer x"}}}).what() == "401 invalid-token");
    CHECK(edge.ask({"GET", "/v1/openapi.json", "", {{"Authorization", "Bearer x"}}}).what() == "401 invalid-token");
    CHECK(edge.ask({"GET", "/v1/openapi.json", "a body", {}}).what() == "413 body-too-large");
    CHECK(behind.count() == before);
    CHECK(edge.ask({"GET", "/v1/openapi.json", "", {{"Licet-Client", "admin"}}}).status == 200);
    CHECK(ScriptedControl::header(behind.last(), "Licet-Client").empty());
}

TEST_CASE("the token of a data subject opens what is theirs and nothing else, and nobody else's token opens that") {
    Behind behind;
    EdgeFixture edge(to(behind));
    SubjectKey key;
    key.bytes.fill(7);
    const auto snapshot = app::build_snapshot(configuration(), "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    const std::pair<std::string, std::string> mine{"Authorization",
                                                   "Bearer " + edge.tokens->issue_subject(*snapshot, "partner", key, "press", 60, {})};
    const auto answer = edge.ask({"GET", "/v1/me/consents", "", {mine, {"Licet-Subject", "another"}}});
    CHECK(answer.status == 200);
    CHECK(ScriptedControl::header(behind.last(), "Licet-Client") == "partner");
    CHECK(ScriptedControl::header(behind.last(), "Licet-Subject").starts_with("07070707070707070707070707070707 "));
    CHECK(ScriptedControl::header(behind.last(), "Licet-Subject").ends_with(" press"));
    const auto before = behind.count();
    for (const char* elsewhere : {"/v1/admin/regions", "/v1/finance/usage", "/v1/openapi.json", "/v1/usage", "/v1/products/news/events"}) {
        CAPTURE(elsewhere);
        CHECK(edge.ask({"GET", elsewhere, "", {mine}}).what() == "401 invalid-token");
    }
    CHECK(edge.ask({"GET", "/v1/me/consents", "", {edge.bearer()}}).what() == "401 invalid-token");
    CHECK(edge.ask({"GET", "/v1/me/consents", "", {}}).what() == "401 unauthenticated");
    CHECK(edge.ask({"GET", "/v1/me/consents", "", {{"Authorization", mine.second + "x"}}}).what() == "401 invalid-token");
    CHECK(behind.count() == before);
    const auto elsewhere = app::build_snapshot(configuration(), "us", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    CHECK(edge.ask({"GET",
                    "/v1/me/consents",
                    "",
                    {{"Authorization", "Bearer " + edge.tokens->issue_subject(*elsewhere, "partner", key, "press", 60, {})}}})
              .what() == "401 invalid-token");
    CHECK(behind.count() == before);
    // Others say nothing of a subject.
    CHECK(edge.ask({"GET", "/v1/admin/regions", "", {edge.bearer(), {"Licet-Subject", "a"}}}).status == 200);
    CHECK(ScriptedControl::header(behind.last(), "Licet-Subject").empty());
}

TEST_CASE("an import is cut at the ends of lines as it comes, and ends with the first part that is refused") {
    Behind behind;
    EdgeFixture edge(to(behind));
    const auto import = [&](const std::string& body) {
        const auto from = behind.count();
        const auto answer = edge.ask({"PUT", "/v1/admin/consents/imports/letter", body, {edge.bearer(), {"Content-Type", "application/x-ndjson"}}});
        const std::lock_guard lock(behind.mutex);
        return std::pair(answer, std::vector<std::string>(behind.requests.begin() + static_cast<std::ptrdiff_t>(from), behind.requests.end()));
    };
    const auto body_of = [](const std::string& request) { return request.substr(request.find("\r\n\r\n") + 4); };
    auto [small, requests] = import("{\"a\":1}\n\n{\"b\":2}");
    CHECK(small.status == 200);
    REQUIRE(requests.size() == 3);
    CHECK(requests[0].starts_with("POST /v1/admin/consents/imports/letter HTTP"));
    CHECK(requests[1].starts_with("PUT /v1/admin/consents/imports/letter/parts/1 HTTP"));
    CHECK(body_of(requests[1]) == "{\"a\":1}\n{\"b\":2}");
    CHECK(requests[2].starts_with("POST /v1/admin/consents/imports/letter/complete HTTP"));
    // By number of records, and by bytes.
    std::string lines, wide;
    for (std::size_t i = 0; i < limits::consent_import_part_max_records + 5; ++i) lines += "{" + std::to_string(i) + "}\n";
    std::tie(small, requests) = import(lines);
    REQUIRE(requests.size() == 4);
    CHECK(body_of(requests[1]) + body_of(requests[2]) == lines);
    CHECK(std::count(requests[2].begin() + static_cast<std::ptrdiff_t>(requests[2].find("\r\n\r\n") + 4), requests[2].end(), '\n') == 5);
    for (int i = 0; i < 5; ++i) wide += std::string(limits::consent_import_part_max_bytes / 2 - 1, static_cast<char>('a' + i)) + "\n";
    std::tie(small, requests) = import(wide);
    REQUIRE(requests.size() == 5);
    CHECK(body_of(requests[1]) + body_of(requests[2]) + body_of(requests[3]) == wide);
    CHECK(import(std::string(limits::consent_import_part_max_bytes + 1, 'x')).first.what() == "413 body-too-large");
    CHECK(import("").second.size() == 2);
    CHECK(edge.ask({"PUT", "/v1/admin/consents/imports/letter", "{}", {edge.bearer(), {"Content-Type", "application/json"}}}).what() ==
          "415 unsupported-media-type");
    CHECK(edge.ask({"PUT", "/v1/admin/consents/imports/Letter", "{}", {edge.bearer(), {"Content-Type", "application/x-ndjson"}}}).what() ==
          "400 invalid-parameter");
    // Refused: the rest is not sent.
    const auto refused = edge.ask({"PUT", "/v1/admin/consents/imports/denied", lines, {edge.bearer(), {"Content-Type", "application/x-ndjson"}}});
    CHECK(refused.status == 405);
}

TEST_CASE("only named headers come back, and only an answer to this very request") {
    Behind behind;
    EdgeFixture edge(to(behind));
    const auto denied = edge.ask({"POST", "/v1/admin/denied", "{}", {edge.bearer()}});
    CHECK(denied.status == 405);
    CHECK(denied.header("Allow") == "PUT");
    CHECK(denied.header("ETag") == "\"1\"");
    CHECK(denied.header("Set-Cookie").empty());
    CHECK(denied.header("Server").empty());
    for (const char* path : {"/v1/admin/mismatch", "/v1/admin/garbage", "/v1/admin/hang-up"}) {
        CAPTURE(path);
        const auto answer = edge.ask({"POST", path, "{}", {edge.bearer()}});
        CHECK(answer.what() == "503 unavailable");
        CHECK(answer.header("Retry-After") == "1");
        CHECK(answer.body.find("secret") == std::string::npos);
    }
    CHECK(edge.ask({"GET", "/v1/admin/regions", "", {edge.bearer()}}).status == 200);
}

TEST_CASE("connections are used again while they are clean, and never for a change twice") {
    Behind behind;
    EdgeFixture edge(to(behind));
    const auto ask = [&](const std::string& method, const std::string& path) {
        return edge.ask({method, "/v1/admin/" + path, "", {edge.bearer()}}).status;
    };
    for (int i = 0; i < 5; ++i) CHECK(ask("GET", "regions") == 200);
    CHECK(behind.control.connections() == 1);
    CHECK(ask("GET", "twice") == 200);  // said more than it was asked: not used again
    CHECK(ask("GET", "close") == 200);
    CHECK(ask("POST", "hang-up") == 503);
    const auto before = behind.count();
    CHECK(ask("GET", "regions") == 200);
    CHECK(ask("POST", "hang-up") == 503);
    CHECK(behind.count() == before + 2);
}

TEST_CASE("no control plane is an answer, not a wait") {
    Setup setup;
    setup.control_port = 1;
    EdgeFixture edge(setup);
    CHECK(edge.ask({"GET", "/v1/admin/regions", "", {edge.bearer()}}).what() == "503 unavailable");
}

TEST_CASE("a slow answer is given up for the client, but still read to its end") {
    Behind behind;
    EdgeFixture edge(to(behind, 1000));
    const Request slow{"GET", "/v1/admin/slow", "", {edge.bearer()}};
    CHECK(edge.ask(slow).what() == "503 unavailable");
    CHECK(behind.control.connections() == 1);
    behind.go = true;
    behind.go.notify_all();
    // Its connection comes back into use once the late answer was read: soon no request needs a new one.
    std::size_t known;
    do {
        known = behind.control.connections();
        CHECK(edge.ask({"GET", "/v1/admin/regions", "", {edge.bearer()}}).status == 200);
    } while (behind.control.connections() != known);
}

TEST_CASE("so many requests at the control plane at a time") {
    Behind behind;
    EdgeFixture edge(to(behind, 60'000));
    std::vector<std::unique_ptr<Client>> many;
    const Request slow{"GET", "/v1/admin/slow", "", {edge.bearer()}};
    for (std::size_t i = 0; i < limits::upstream_connections_max_per_shard; ++i) {
        many.push_back(std::make_unique<Client>(edge.edge->port()));
        many.back()->send(slow.bytes());
    }
    while (behind.count() < limits::upstream_connections_max_per_shard) std::this_thread::yield();
    const auto refused = edge.ask(slow);
    CHECK(refused.what() == "503 overloaded");
    behind.go = true;
    behind.go.notify_all();
    for (auto& one : many) CHECK(one->receive().status == 200);
}
