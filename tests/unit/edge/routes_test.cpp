// The routes the edge answers itself.
#include "base/encoding.h"
#include "base/limits.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;
const std::pair<std::string, std::string> kForm{"Content-Type", "application/x-www-form-urlencoded"};

std::pair<std::string, std::string> basic(const std::string& id, const std::string& secret) {
    return {"Authorization", "Basic " + base64(as_bytes(id + ":" + secret))};
}

Answer token(EdgeFixture& edge, const std::string& form, Headers headers = {}) {
    headers.push_back(kForm);
    return edge.ask({"POST", "/oauth/token", form, headers});
}

}  // namespace

TEST_CASE("the token endpoint knows clients by Basic and by form") {
    EdgeFixture edge;
    const auto by_basic = token(edge, "grant_type=client_credentials", {basic("partner", "partner-secret")});
    REQUIRE(by_basic.status == 200);
    CHECK(by_basic.json()["token_type"] == "Bearer");
    CHECK(by_basic.json()["expires_in"] == 3600);
    CHECK(by_basic.json()["scope"] == "read:* write:*");
    CHECK(by_basic.header("Cache-Control") == "no-store");
    const std::string issued = by_basic.json()["access_token"];
    CHECK(edge.ask({"GET", "/v1/products/wiki/endpoints", "", {{"Authorization", "bearer " + issued}}}).status == 200);

    const auto by_form = token(edge, "grant_type=client_credentials&client_id=partner&client_secret=partner%2Dsecret&scope=read%3Awiki");
    CHECK(by_form.json()["scope"] == "read:wiki");
    CHECK(token(edge, "grant_type=client_credentials&client_id=partner", {basic("partner", "partner%2Dsecret")}).status == 200);
}

TEST_CASE("the token endpoint refuses in OAuth's words and in ours") {
    EdgeFixture edge;
    const std::string grant = "grant_type=client_credentials";
    const auto wrong = token(edge, grant, {basic("partner", "guess")});
    const auto unknown = token(edge, grant, {basic("nobody", "guess")});
    CHECK(wrong.what() == "401 invalid-client");
    CHECK(wrong.json()["error"] == "invalid_client");
    CHECK(wrong.header("WWW-Authenticate") == "Basic realm=\"licet\"");
    // Who is unknown cannot be told from who guessed wrong.
    auto a = wrong.json(), b = unknown.json();
    a.erase("instance"), b.erase("instance");
    CHECK(a == b);
    CHECK(token(edge, grant).what() == "401 invalid-client");
    CHECK(token(edge, grant, {{"Authorization", "Basic !!"}}).what() == "401 invalid-client");
    CHECK(token(edge, grant, {{"Authorization", "Digest x"}}).what() == "401 invalid-client");
    CHECK(token(edge, grant + "&client_id=partner&client_secret=x", {basic("partner", "partner-secret")}).what() == "400 bad-request");
    CHECK(token(edge, grant + "&client_id=reader", {basic("partner", "partner-secret")}).what() == "400 bad-request");
    const auto scope = token(edge, grant + "&scope=read:secrets", {basic("reader", "reader-secret")});
    CHECK(scope.what() == "403 insufficient-scope");
    CHECK(scope.json()["error"] == "invalid_scope");
    CHECK(token(edge, "grant_type=password").json()["error"] == "unsupported_grant_type");
    CHECK(token(edge, "").what() == "400 unsupported-grant-type");
    CHECK(token(edge, grant + "&" + grant).json()["error"] == "invalid_request");
    CHECK(token(edge, "grant_type=%zz").what() == "400 bad-request");
    CHECK(edge.ask({"POST", "/oauth/token", "{}", {{"Content-Type", "application/json"}}}).what() == "415 unsupported-media-type");
    CHECK(edge.ask({"POST", "/oauth/token", grant, {{"Content-Type", "application/x-www-form-urlencoded-not"}}}).what() ==
          "415 unsupported-media-type");
    CHECK(edge.ask({"POST", "/oauth/token?client_secret=x", grant, {kForm}}).what() == "400 invalid-parameter");

    auto revoked = configuration();
    revoked.clients[0].revoked = true;
    edge.set(revoked);
    CHECK(token(edge, grant, {basic("partner", "partner-secret")}).what() == "401 invalid-client");
}

TEST_CASE("a bearer token must be good, of its time, unrevoked, and for what is asked") {
    EdgeFixture edge;
    const auto ask = [&](Headers headers) { return edge.ask({"GET", "/v1/products/wiki/events", "", std::move(headers)}); };
    const auto none = ask({});
    CHECK(none.what() == "401 unauthenticated");
    CHECK(none.header("WWW-Authenticate") == "Bearer");
    CHECK(ask({{"Authorization", "Basic x"}}).what() == "401 unauthenticated");
    const auto bad = ask({{"Authorization", "Bearer x.y.z"}});
    CHECK(bad.what() == "401 invalid-token");
    CHECK(bad.header("WWW-Authenticate") == "Bearer error=\"invalid_token\"");
    const auto good = edge.bearer();
    auto forged = good;
    forged.second[forged.second.find('.') + 5] ^= 1;
    CHECK(ask({forged}).what() == "401 invalid-token");
    CHECK(ask({good}).status == 200);

    const auto narrow = ask({edge.bearer("other")});
    CHECK(narrow.what() == "403 insufficient-scope");
    CHECK(narrow.header("WWW-Authenticate") == "Bearer error=\"insufficient_scope\"");
    CHECK(edge.ask({"POST", "/v1/products/wiki/events", "{}", {edge.bearer("reader"), {"Content-Type", "application/json"}}}).what() ==
          "403 insufficient-scope");
    CHECK(edge.ask({"GET", "/v1/products/wiki/endpoints", "", {edge.bearer("other")}}).what() == "403 insufficient-scope");

    edge.clock->utc += 3'599'000;
    CHECK(ask({good}).status == 200);
    edge.clock->utc += 1'000;
    CHECK(ask({good}).what() == "401 invalid-token");

    const auto fresh = edge.bearer();
    auto after = configuration();
    after.clients[0].tokens_valid_from = {edge.clock->utc + 1000};
    edge.set(after);
    CHECK(ask({fresh}).what() == "401 invalid-token");
    after.clients.erase(after.clients.begin());
    edge.set(after);
    CHECK(ask({fresh}).what() == "401 invalid-token");
}

TEST_CASE("a token a connection presented before is not good for ever, and not another's") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const auto ask = [&](const std::pair<std::string, std::string>& bearer) {
        return client.ask(Request{"GET", "/v1/products/wiki/endpoints", "", {bearer}}.bytes()).what();
    };
    const auto good = edge.bearer();
    CHECK(ask(good).starts_with("200"));
    CHECK(ask(good).starts_with("200"));
    CHECK(ask(edge.bearer("other")) == "403 insufficient-scope");
    auto forged = good;
    forged.second.back() = forged.second.back() == 'A' ? 'B' : 'A';
    CHECK(ask(forged) == "401 invalid-token");
    CHECK(ask(good).starts_with("200"));
    auto after = configuration();
    after.clients[0].tokens_valid_from = {edge.clock->utc + 1000};
    edge.set(after);
    CHECK(ask(good) == "401 invalid-token");
    edge.set(configuration());
    CHECK(ask(good).starts_with("200"));
    edge.clock->utc += 3'600'000;
    CHECK(ask(good) == "401 invalid-token");
}

TEST_CASE("publishing answers what became of each event") {
    EdgeFixture edge;
    const auto mixed = edge.publish("{\"n\":1}\nbad\n{\"n\":1}\n{\"n\":2}\n", "application/x-ndjson");
    REQUIRE(mixed.status == 200);
    auto body = mixed.json();
    CHECK(body["received"] == 4);
    CHECK(body["accepted"] == 2);
    CHECK(body["duplicates"] == 1);
    CHECK(body["rejected"] == 1);
    REQUIRE(body["rejections"].size() == 1);
    CHECK(body["rejections"][0]["index"] == 1);
    CHECK(body["rejections"][0]["code"] == "invalid-json");
    CHECK(body["rejections"][0]["pointer"] == "/data");
    CHECK(edge.publish("{\"n\":2}").json()["duplicates"] == 1);
    CHECK(edge.log->records().size() == 2);

    const auto all_bad = edge.publish("bad\nworse", "application/x-ndjson");
    CHECK(all_bad.what() == "400 invalid-json");
    CHECK(all_bad.pointer() == "/data");
    CHECK(all_bad.json()["rejections"].size() == 2);
    CHECK(all_bad.json()["accepted"] == 0);
    CHECK(edge.publish("", "application/x-ndjson").json()["received"] == 0);
    CHECK(edge.publish("x", "text/plain").what() == "415 unsupported-media-type");
    CHECK(edge.publish("[1,", "application/cloudevents-batch+json").what() == "400 invalid-json");
    CHECK(edge.publish("{}", "application/json", "nothing").what() == "404 not-found");

    std::string many;
    for (std::size_t i = 0; i < limits::ingest_rejections_reported_max + 5; ++i) many += "bad\n";
    const auto counted = edge.publish(many + "1", "application/x-ndjson").json();
    CHECK(counted["rejected"] == limits::ingest_rejections_reported_max + 5);
    CHECK(counted["rejections"].size() == limits::ingest_rejections_reported_max);
}

TEST_CASE("binary mode reads the ce- headers, percent-decoded") {
    EdgeFixture edge;
    Headers headers{edge.bearer(),    {"Content-Type", "application/json"}, {"ce-specversion", "1.0"}, {"CE-ID", "1"}, {"ce-source", "/s"},
                    {"ce-type", "t"}, {"ce-subject", "J%C3%BCrgen%20%22"}};
    const Request request{"POST", "/v1/products/wiki/events", "{}", headers};
    CHECK(edge.ask(request).json()["accepted"] == 1);
    CHECK(event::StoredEvent::parse(edge.log->records().at(0))->envelope().find("\"subject\":\"J\xc3\xbcrgen \\\"\"") != std::string_view::npos);
    const auto with = [&](const char* name, const char* value) {
        auto changed = request;
        changed.headers.emplace_back(name, value);
        return edge.ask(changed);
    };
    CHECK(with("ce-id", "2").what() == "400 bad-request");
    CHECK(with("ce-x", "%0").what() == "400 bad-request");
    CHECK(with("ce-x", "%0A").what() == "400 bad-request");
    const auto not_utf8 = with("ce-x", "%FF");
    CHECK(not_utf8.what() == "422 invalid-event");
    CHECK(not_utf8.pointer() == "/x");
    CHECK(edge.log->records().size() == 1);
}

TEST_CASE("when the log does not take events nobody is told they are safe") {
    for (const auto code : {Errc::overloaded, Errc::log_full}) {
        EdgeFixture edge;
        edge.log->refuse = Error{code, "full", {}};
        const auto answer = edge.publish("{}");
        CHECK(answer.status == 503);
        CHECK(answer.header("Retry-After") == "1");
        CHECK(answer.json().contains("accepted") == false);
    }
}

TEST_CASE("what is resident elsewhere is sent there") {
    EdgeFixture edge;
    // A product of another region: refused before a byte of the body is taken.
    Client client(edge.edge->port());
    client.send("POST /v1/products/abroad/events HTTP/1.1\r\nHost: edge\r\nAuthorization: " + edge.bearer().second +
                "\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    const auto refused = client.receive();
    CHECK(refused.what() == "421 misdirected");
    CHECK(refused.json()["endpoint"] == "https://us.example:8443/v1/products/abroad/events");
    CHECK(refused.json()["region"] == "us");
    CHECK(client.ended());
    // Events of another region in a product of any.
    const auto event = edge.publish("{\"home\":\"us\"}");
    CHECK(event.what() == "421 misdirected");
    CHECK(event.json()["endpoint"] == "https://us.example:8443/v1/products/wiki/events");
    CHECK_FALSE(edge.publish("{\"home\":\"mars\"}").json().contains("endpoint"));
    const auto mixed = edge.publish("{\"home\":\"us\"}\n{\"home\":\"eu\"}", "application/x-ndjson");
    CHECK(mixed.status == 200);
    CHECK(mixed.json()["rejections"][0]["code"] == "misdirected");
    CHECK(edge.log->records().size() == 1);

    const auto moved = edge.ask({"GET", "/v1/products/abroad/events?from=earliest&limit=5", "", {edge.bearer()}});
    CHECK(moved.status == 307);
    CHECK(moved.header("Location") == "https://us.example:8443/v1/products/abroad/events?from=earliest&limit=5");
    CHECK(moved.json()["endpoint"] == "https://us.example:8443");
    CHECK(edge.ask({"GET", "/v1/products/orphan/events", "", {edge.bearer()}}).what() == "503 unavailable");
    CHECK(edge.delivery->asked().empty());
    const auto endpoints = edge.ask({"GET", "/v1/products/abroad/endpoints", "", {edge.bearer()}}).json();
    CHECK(endpoints["residency"] == "us");
    REQUIRE(endpoints["endpoints"].size() == 1);
    CHECK(endpoints["endpoints"][0]["url"] == "https://us.example:8443/v1/products/abroad/events");
    CHECK(edge.ask({"GET", "/v1/products/wiki/endpoints", "", {edge.bearer()}}).json()["endpoints"].size() == 2);
}

TEST_CASE("a product that moved away while the body came is not stored here") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    client.send("POST /v1/products/wiki/events HTTP/1.1\r\nHost: edge\r\nAuthorization: " + edge.bearer().second +
                "\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    REQUIRE(client.receive().status == 100);
    auto changed = configuration();
    changed.epochs = {2, 0};
    changed.products[0].residency = "us";
    edge.set(changed);
    CHECK(client.ask("{}").what() == "421 misdirected");
    CHECK(edge.log->records().empty());
}

TEST_CASE("a subscription is handed over as it was asked for") {
    EdgeFixture edge;
    const auto ask = [&](const std::string& query, Headers headers, const std::string& method = "GET") {
        headers.push_back(edge.bearer());
        return edge.ask({method, "/v1/products/wiki/events" + query, "", headers});
    };
    const auto last = [&] { return edge.delivery->asked().back(); };
    CHECK(ask("", {}).body == "page");
    CHECK(last().format == WireFormat::ndjson);
    CHECK(last().start == StartAt::earliest);
    CHECK(last().limit == 1000);
    CHECK(last().client == "partner");
    CHECK(last().contract == ContractNo{1});
    CHECK(last().product == ProductNo{1});
    CHECK(last().token_issued_at == UtcMillis{edge.clock->utc});
    CHECK(last().authorised_until == UtcMillis{edge.clock->utc + 3'600'000});
    CHECK(last().extra_headers.find("\r\nLicet-Request-Id: ") != std::string::npos);
    ask("?limit=7&wait=250&until=2027-01-01T00:00:00Z&since=2026-01-01T00:00:00Z", {{"Accept", "application/cloudevents-batch+json"}});
    CHECK(last().format == WireFormat::batch_json);
    CHECK(last().limit == 7);
    CHECK(last().wait_ms == 250);
    CHECK(last().start == StartAt::since);
    CHECK(format_rfc3339(last().since) == "2026-01-01T00:00:00.000Z");
    CHECK(format_rfc3339(last().until) == "2027-01-01T00:00:00.000Z");
    ask("?limit=7", {{"Accept", "application/cloudevents-batch+protobuf"}});
    CHECK(last().format == WireFormat::batch_protobuf);
    CHECK(last().start == StartAt::earliest);
    CHECK(last().limit == 7);
    ask("?limit=7", {{"Accept", "application/cloudevents+protobuf"}});
    CHECK(last().format == WireFormat::one_protobuf);
    CHECK(last().limit == 1);
    ask("", {{"Accept", "text/html;q=0.9, Text/Event-Stream; q=0.5"}});
    CHECK(last().format == WireFormat::sse);
    CHECK(last().start == StartAt::latest);
    ask("?from=abc", {{"Accept", "text/event-stream"}, {"Last-Event-ID", "def"}});
    CHECK(last().start == StartAt::cursor);
    CHECK(last().cursor == "def");
    ask("?from=abc", {});
    CHECK(last().cursor == "abc");
    ask("?contract=acme-wiki&from=latest", {{"Accept", "*/*"}});
    CHECK(last().start == StartAt::latest);
    CHECK(last().format == WireFormat::ndjson);

    CHECK(ask("", {{"Accept", "text/html"}}).what() == "406 not-acceptable");
    CHECK(ask("", {{"Accept", "text/event-stream;q=0"}}).what() == "406 not-acceptable");
    const auto bad = [&](const std::string& query, const char* pointer, Headers headers = {}) {
        const auto answer = ask(query, std::move(headers));
        CHECK(answer.what() == "400 invalid-parameter");
        CHECK(answer.pointer() == pointer);
    };
    bad("?limit=0", "query:limit");
    bad("?limit=10001", "query:limit");
    bad("?limit=1x", "query:limit");
    bad("?wait=30001", "query:wait");
    bad("?wait=-1", "query:wait");
    bad("?limit=5", "query:limit", {{"Accept", "text/event-stream"}});
    bad("?since=now", "query:since");
    bad("?since=2026-01-01T00:00:00Z&from=latest", "query:since");
    bad("?until=never", "query:until");
    bad("?until=1970-01-01T00:00:00Z", "query:until");  // must not become no bound at all
    bad("?form=latest", "query:form");
    CHECK(ask("?contract=nope", {}).what() == "403 no-contract");
    CHECK(edge.ask({"GET", "/v1/products/bare/events", "", {edge.bearer()}}).what() == "403 no-contract");
    CHECK(edge.ask({"GET", "/v1/products/wiki/events", "body", {edge.bearer()}}).what() == "400 bad-request");
}

TEST_CASE("what delivery refuses the edge answers, and the connection goes on as its client asked") {
    EdgeFixture edge;
    edge.delivery->error = Error{Errc::gone, "no longer kept", "query:from"};
    Client client(edge.edge->port());
    const Request page{"GET", "/v1/products/wiki/events", "", {edge.bearer()}};
    const auto refused = client.ask(page.bytes());
    CHECK(refused.what() == "410 cursor-gone");
    CHECK(refused.json()["instance"] == refused.header("Licet-Request-Id"));
    CHECK(client.ask(page.bytes()).what() == "410 cursor-gone");
    auto head = page;
    head.method = "HEAD";
    CHECK(client.ask(head.bytes()).status == 410);
    auto last = page;
    last.headers.emplace_back("Connection", "close");
    CHECK(client.ask(last.bytes()).header("Connection") == "close");
    CHECK(client.ended());
}

TEST_CASE("the WebSocket handshake is checked before anything is promised") {
    EdgeFixture edge;
    const Headers good{edge.bearer(),
                       {"Connection", "keep-alive, Upgrade"},
                       {"Upgrade", "WebSocket"},
                       {"Sec-WebSocket-Version", "13"},
                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                       {"Sec-WebSocket-Protocol", "mqtt, cloudevents.json"}};
    const auto with = [&](const std::string& name, const std::string& value, const std::string& method = "GET") {
        Request request{method, "/v1/products/wiki/events", "", good};
        std::erase_if(request.headers, [&](const auto& h) { return h.first == name; });
        if (!value.empty()) request.headers.emplace_back(name, value);
        return edge.ask(request);
    };
    CHECK(with("X", "").status == 200);  // delivery's word; it writes the 101 itself
    CHECK(edge.delivery->asked().back().format == WireFormat::websocket_json);
    CHECK(edge.delivery->asked().back().websocket_accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 section 1.3
    CHECK(edge.delivery->asked().back().websocket_extensions.empty());
    Request offering{"GET", "/v1/products/wiki/events", "", good};
    offering.headers.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
    CHECK(edge.ask(offering).status == 200);
    CHECK(edge.delivery->asked().back().format == WireFormat::websocket_json_deflate);
    CHECK(edge.delivery->asked().back().websocket_extensions == "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    // The first offered that is spoken here; over protobuf nothing is compressed.
    const std::pair<const char*, WireFormat> offers[] = {{"cloudevents.proto", WireFormat::websocket_protobuf},
                                                         {"cloudevents.avro, cloudevents.proto,cloudevents.json", WireFormat::websocket_protobuf},
                                                         {"cloudevents.json , cloudevents.proto", WireFormat::websocket_json},
                                                         {"CloudEvents.Proto, cloudevents.json", WireFormat::websocket_json}};
    for (const auto& [offer, format] : offers) {
        CHECK(with("Sec-WebSocket-Protocol", offer).status == 200);
        CHECK(edge.delivery->asked().back().format == format);
    }
    std::erase_if(offering.headers, [](const auto& h) { return h.first == "Sec-WebSocket-Protocol"; });
    offering.headers.emplace_back("Sec-WebSocket-Protocol", "cloudevents.avro");  // one list in two fields
    offering.headers.emplace_back("Sec-WebSocket-Protocol", "cloudevents.proto");
    CHECK(edge.ask(offering).status == 200);
    CHECK(edge.delivery->asked().back().format == WireFormat::websocket_protobuf);
    CHECK(edge.delivery->asked().back().websocket_extensions.empty());
    const auto promised = edge.delivery->asked().size();
    for (const char* version : {"8", "12", "14", "x"}) {
        const auto answer = with("Sec-WebSocket-Version", version);
        CHECK(answer.what() == "426 upgrade-required");
        CHECK(answer.header("Sec-WebSocket-Version") == "13");
        CHECK(answer.header("Upgrade") == "websocket");
    }
    CHECK(with("Sec-WebSocket-Version", "").what() == "426 upgrade-required");
    for (const char* key : {"", "short", "dGhlIHNhbXBsZSBub25jZQ=!", "dGhlIHNhbXBsZSBub25jZTEy"})
        CHECK(with("Sec-WebSocket-Key", key).pointer() == "header:Sec-WebSocket-Key");
    for (const char* protocol : {"", "mqtt", "cloudevents.jsonx", "Cloudevents.proto"}) {
        const auto answer = with("Sec-WebSocket-Protocol", protocol);
        CHECK(answer.what() == "400 bad-request");
        CHECK(answer.pointer() == "header:Sec-WebSocket-Protocol");
    }
    CHECK(with("Connection", "keep-alive").pointer() == "header:Upgrade");
    CHECK(with("X", "", "HEAD").status == 400);
    CHECK(with("Authorization", "").what() == "401 unauthenticated");
    CHECK(edge.delivery->asked().size() == promised);
    // Another upgrade is not for us: an ordinary request.
    CHECK(with("Upgrade", "h2c").status == 200);
    CHECK(edge.delivery->asked().back().format == WireFormat::ndjson);
}

TEST_CASE("usage is asked for off the shard, for the caller's party, and so many at a time") {
    std::atomic<int> under_way{0};
    std::atomic<bool> go{false};
    std::mutex mutex;
    std::vector<std::thread::id> threads;
    Setup setup;
    setup.usage = [&](const std::string& party, const std::string& period) -> Result<std::string> {
        if (period == "bad") return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
        ++under_way;
        {
            const std::lock_guard lock(mutex);
            threads.push_back(std::this_thread::get_id());
        }
        if (period == "slow") go.wait(false);
        return "{\"party\":\"" + party + "\"}";
    };
    EdgeFixture edge(setup);
    CHECK(edge.ask({"GET", "/v1/usage?period=2026-11", "", {edge.bearer()}}).json()["party"] == "acme");
    CHECK(threads.at(0) != edge.shard());
    CHECK(edge.ask({"GET", "/v1/usage?period=bad", "", {edge.bearer()}}).pointer() == "query:period");
    CHECK(edge.ask({"GET", "/v1/usage", "", {}}).what() == "401 unauthenticated");

    std::vector<std::unique_ptr<Client>> many;
    const Request slow{"GET", "/v1/usage?period=slow", "", {edge.bearer()}};
    for (std::size_t i = 0; i < limits::blocking_calls_max; ++i) {
        many.push_back(std::make_unique<Client>(edge.edge->port()));
        many.back()->send(slow.bytes());
    }
    while (under_way < 3) std::this_thread::yield();
    // The shard is free meanwhile, and one more is turned away once all places are taken.
    while (edge.ask(slow).what() != "503 overloaded") {
    }
    CHECK(edge.ask({"GET", "/nowhere", "", {}}).status == 404);
    go = true;
    go.notify_all();
    for (auto& one : many) {
        const auto status = one->receive().status;
        CHECK((status == 200 || status == 503));
    }
}

TEST_CASE("connections that delivery holds count among those a shard may have") {
    EdgeFixture edge;
    edge.delivery->keep = true;
    Client stream(edge.edge->port());
    stream.send(Request{"GET", "/v1/products/wiki/events", "", {edge.bearer()}}.bytes());
    while (edge.delivery->asked().empty()) std::this_thread::yield();
    edge.delivery->let_go();
    CHECK(stream.ended());
    CHECK(edge.metrics->one("licet_edge_connections_refused_total", {}).value == 0);
}
