// What pages in browsers may do: the CORS protocol, and single-use tickets in place of a header they cannot send.
#include "server/app/tickets.h"

#include "base/encoding.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

const std::string kPage = "https://app.example", kOwn = "https://edge.example:8443";

Setup with_origins() {
    Setup setup;
    setup.origins = {kOwn, {kPage, "http://localhost:3000"}};
    return setup;
}

struct Site : EdgeFixture {
    Site() : EdgeFixture(with_origins()) {}
    using Headers = std::vector<std::pair<std::string, std::string>>;
    Answer from(const std::string& origin, const std::string& method, const std::string& target, Headers headers = {}, const std::string& body = "") {
        headers.emplace_back("Origin", origin);
        return ask({method, target, body, headers});
    }
    Answer issue(const std::string& body = "", Headers headers = {}) {
        headers.push_back(bearer());
        return ask({"POST", "/v1/products/wiki/tickets", body, headers});
    }
    std::string fresh(const std::string& body = "") { return issue(body).json().value("ticket", ""); }
    Answer use(const std::string& ticket, Headers headers = {}, const std::string& more = "", const std::string& method = "GET",
               const std::string& product = "wiki") {
        return ask({method, "/v1/products/" + product + "/events?ticket=" + ticket + more, "", headers});
    }
};

const Site::Headers kHandshake{{"Connection", "Upgrade"},
                               {"Upgrade", "websocket"},
                               {"Sec-WebSocket-Version", "13"},
                               {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                               {"Sec-WebSocket-Protocol", "cloudevents.json"}};

}  // namespace

TEST_CASE("browsers: a preflight is answered for named origins, and says what the path takes") {
    Site site;
    const Site::Headers asks{{"Access-Control-Request-Method", "POST"},
                             {"Access-Control-Request-Headers", "authorization,ce-id, ce-type,ce-x\"y,ce-,x-other"}};
    const auto events = site.from(kPage, "OPTIONS", "/v1/products/wiki/events", asks);
    CHECK(events.status == 204);
    CHECK(events.header("Content-Length").empty());
    CHECK(events.header("Access-Control-Allow-Origin") == kPage);
    CHECK(events.header("Access-Control-Allow-Methods") == "GET, HEAD, POST, OPTIONS");
    CHECK(events.header("Access-Control-Allow-Headers") == "Authorization, Content-Type, Last-Event-ID, ce-id, ce-type");
    CHECK(events.header("Access-Control-Max-Age") == std::to_string(limits::preflight_max_age_s));
    CHECK(events.header("Access-Control-Allow-Credentials").empty());
    CHECK(events.header("Vary") == "Origin");
    CHECK(site.from(kPage, "OPTIONS", "/v1/products/wiki/tickets", asks).header("Access-Control-Allow-Methods") == "POST, OPTIONS");
    CHECK(site.from(kPage, "OPTIONS", "/v1/usage", asks).header("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
    CHECK(site.from(kPage, "OPTIONS", "/v1/products/wiki/endpoints", asks).status == 204);

    for (const char* other :
         {"https://app.example:8443", "http://app.example", "https://app.example.org", "https://APP.example", "null", "*", "https://app.example/"}) {
        CAPTURE(other);
        const auto refused = site.from(other, "OPTIONS", "/v1/products/wiki/events", asks);
        CHECK(refused.what() == "403 forbidden");
        CHECK(refused.header("Access-Control-Allow-Origin").empty());
        CHECK(refused.header("Vary") == "Origin");
    }
    // Not a preflight: what the path takes, and no more.
    const auto plain = site.ask({"OPTIONS", "/v1/usage", "", {}});
    CHECK(plain.status == 204);
    CHECK(plain.header("Allow") == "GET, HEAD, OPTIONS");
    CHECK(plain.header("Access-Control-Allow-Methods").empty());
    // A client's secret and the configuration are not for pages.
    CHECK(site.from(kPage, "OPTIONS", "/oauth/token", asks).what() == "405 method-not-allowed");
    CHECK(site.from(kPage, "OPTIONS", "/v1/admin/regions", asks).what() == "401 unauthenticated");
    CHECK(site.from(kPage, "POST", "/oauth/token").header("Access-Control-Allow-Origin").empty());
    CHECK(site.from(kPage, "GET", "/v1/admin/regions").header("Access-Control-Allow-Origin").empty());
}

TEST_CASE("browsers: answers, refusals and streams say who may read them") {
    Site site;
    const auto readable = [&](const Answer& answer) {
        CHECK(answer.header("Vary") == "Origin");
        CHECK(answer.header("Access-Control-Expose-Headers") == "Licet-Cursor, Licet-Request-Id, Retry-After");
        return answer.header("Access-Control-Allow-Origin") == kPage;
    };
    CHECK(readable(site.from(kPage, "GET", "/v1/usage", {site.bearer()})));
    CHECK(readable(site.from(kPage, "GET", "/v1/usage")));
    CHECK(readable(site.from(kPage, "PUT", "/v1/usage")));
    CHECK(readable(site.from(kPage, "GET", "/v1/usage?x=y")));
    CHECK(readable(site.from(kPage, "POST", "/v1/products/wiki/events", {site.bearer(), {"Content-Type", "application/json"}}, "{}")));
    site.from(kPage, "GET", "/v1/products/wiki/events", {site.bearer()});
    CHECK(site.delivery->asked().back().extra_headers.find("\r\nAccess-Control-Allow-Origin: " + kPage + "\r\n") != std::string::npos);
    site.delivery->error = Error{Errc::gone, "no longer kept", "query:from"};
    CHECK(readable(site.from(kPage, "GET", "/v1/products/wiki/events", {site.bearer()})));
    CHECK(site.from("https://other.example", "GET", "/v1/usage").header("Access-Control-Allow-Origin").empty());
    CHECK(site.from("https://other.example", "GET", "/v1/usage").header("Vary") == "Origin");
    Client twice(site.edge->port());
    CHECK(twice.ask("GET /v1/usage HTTP/1.1\r\nHost: edge\r\nOrigin: " + kPage + "\r\nOrigin: " + kPage + "\r\n\r\n").what() == "400 bad-request");

    EdgeFixture closed;
    const auto answer = closed.ask({"GET", "/v1/usage", "", {{"Origin", kPage}}});
    CHECK(answer.header("Access-Control-Allow-Origin").empty());
    CHECK(answer.header("Vary").empty());
}

TEST_CASE("browsers: a WebSocket is refused to a page of another origin, whatever it shows") {
    Site site;
    const auto open = [&](const std::string& origin) {
        auto headers = kHandshake;
        headers.push_back(site.bearer());
        if (!origin.empty()) headers.emplace_back("Origin", origin);
        return site.ask({"GET", "/v1/products/wiki/events", "", headers});
    };
    CHECK(open("").status == 200);  // delivery's word
    CHECK(open(kPage).status == 200);
    CHECK(open(kOwn).status == 200);
    const auto refused = open("https://evil.example");
    CHECK(refused.what() == "403 forbidden");
    CHECK(refused.pointer() == "header:Origin");
    CHECK(open("null").what() == "403 forbidden");
}

TEST_CASE("tickets: good once, for what they were asked for") {
    Site site;
    const auto issued = site.issue();
    CHECK(issued.status == 201);
    CHECK(issued.header("Cache-Control") == "no-store");
    CHECK(issued.json()["expiresAt"] == format_rfc3339({site.clock->utc + limits::ticket_lifetime_ms}));
    const std::string ticket = issued.json()["ticket"];
    CHECK(parse_base64url(ticket).value().size() == 32);
    CHECK(site.use(ticket).body == "page");
    const auto handed = site.delivery->asked().back();
    CHECK(handed.client == "partner");
    CHECK(handed.contract == ContractNo{1});
    CHECK(handed.authorised_until == UtcMillis{site.clock->utc + 3'600'000});
    CHECK(handed.token_issued_at == UtcMillis{site.clock->utc});
    const auto again = site.use(ticket);
    CHECK(again.what() == "401 invalid-ticket");
    CHECK(again.pointer() == "query:ticket");
    CHECK(again.header("WWW-Authenticate") == "Bearer");

    auto socket = kHandshake;
    socket.emplace_back("Origin", kPage);
    CHECK(site.use(site.fresh(), socket).status == 200);
    CHECK(site.delivery->asked().back().format == WireFormat::websocket_json);
    CHECK(site.use(site.fresh(), {{"Accept", "text/event-stream"}, {"Last-Event-ID", "abc"}}).status == 200);
    CHECK(site.delivery->asked().back().cursor == "abc");
    CHECK(site.use(site.fresh(R"({"contract":"acme-wiki"})"), {}, "&contract=acme-wiki").status == 200);
    // For something else, which uses it up.
    const std::string other = site.fresh();
    CHECK(site.use(other, {}, "", "GET", "bare").what() == "401 invalid-ticket");
    CHECK(site.use(other).what() == "401 invalid-ticket");
    CHECK(site.use(site.fresh(), {}, "&contract=another").what() == "401 invalid-ticket");
    for (const char* text : {"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%2e%2e"}) CHECK(site.use(text).what() == "401 invalid-ticket");
    // No other route knows it.
    CHECK(site.ask({"GET", "/v1/usage?ticket=" + site.fresh(), "", {}}).what() == "400 invalid-parameter");
    CHECK(site.ask({"POST", "/v1/products/wiki/tickets?ticket=" + site.fresh(), "", {}}).what() == "400 invalid-parameter");
}

TEST_CASE("tickets: what is wrong with the request itself does not use one up, nor do HEAD and OPTIONS") {
    Site site;
    const std::string ticket = site.fresh();
    CHECK(site.use(ticket, {}, "&limit=0").what() == "400 invalid-parameter");
    CHECK(site.use(ticket, {}, "&x=y").what() == "400 invalid-parameter");
    CHECK(site.use(ticket, {{"Accept", "text/html"}}).what() == "406 not-acceptable");
    CHECK(site.use(ticket, {{"Upgrade", "websocket"}}).what() == "400 bad-request");
    CHECK(site.use(ticket, {site.bearer()}).what() == "400 bad-request");
    CHECK(site.use(ticket, {{"Origin", "https://evil.example"}}).what() == "403 forbidden");
    CHECK(site.use(ticket, {}, "", "OPTIONS").status == 204);
    const auto asked = site.delivery->asked().size();
    CHECK(Client(site.edge->port()).ask("HEAD /v1/products/wiki/events?ticket=" + ticket + " HTTP/1.1\r\nHost: edge\r\n\r\n").status == 200);
    CHECK(site.delivery->asked().size() == asked + 1);
    CHECK(site.delivery->asked().back().head_only);
    CHECK(site.use(ticket).status == 200);
    CHECK(site.use(ticket).what() == "401 invalid-ticket");
    // What comes after it was taken does.
    site.delivery->error = Error{Errc::invalid_cursor, "not one", "query:from"};
    const std::string spent = site.fresh();
    CHECK(site.use(spent).what() == "400 invalid-cursor");
    CHECK(site.use(spent).what() == "401 invalid-ticket");
}

TEST_CASE("tickets: for the page that asked, and only pages that may") {
    Site site;
    const Site::Headers page{{"Origin", kPage}}, local{{"Origin", "http://localhost:3000"}};
    const auto by_page = [&] { return site.issue("", page).json().value("ticket", ""); };
    CHECK(site.use(by_page(), page).status == 200);
    CHECK(site.use(by_page(), local).what() == "401 invalid-ticket");
    CHECK(site.use(by_page()).what() == "401 invalid-ticket");
    // Asked for by a server, for a page it names.
    CHECK(site.use(site.fresh(R"({"origin":"http://localhost:3000"})"), local).status == 200);
    CHECK(site.use(site.fresh(R"({"origin":"http://localhost:3000"})"), page).what() == "401 invalid-ticket");
    // A browser does not name the origin when a page reads from its own.
    CHECK(site.use(site.fresh(R"({"origin":")" + kOwn + R"("})")).status == 200);
    CHECK(site.use(site.fresh(R"({"origin":")" + kOwn + R"("})"), page).what() == "401 invalid-ticket");
    CHECK(site.issue(R"({"origin":"https://evil.example"})").pointer() == "/origin");
    CHECK(site.issue("", {{"Origin", "https://evil.example"}}).what() == "403 forbidden");
}

TEST_CASE("tickets: asked for as they should be, by who may read") {
    Site site;
    const auto by = [&](const std::string& client, const std::string& product = "wiki") {
        return site.ask({"POST", "/v1/products/" + product + "/tickets", "", {site.bearer(client)}}).what();
    };
    CHECK(by("reader") == "201");
    CHECK(by("other") == "403 insufficient-scope");
    CHECK(by("partner", "nothing") == "404 not-found");
    CHECK(by("partner", "bare") == "403 no-contract");
    const auto abroad = site.ask({"POST", "/v1/products/abroad/tickets", "", {site.bearer()}});
    CHECK(abroad.what() == "421 misdirected");
    CHECK(abroad.json()["endpoint"] == "https://us.example:8443/v1/products/abroad/events");
    CHECK(site.ask({"POST", "/v1/products/wiki/tickets", "", {}}).what() == "401 unauthenticated");
    CHECK(site.issue("{").what() == "400 invalid-json");
    CHECK(site.issue("[]").what() == "422 invalid-document");
    for (const char* body : {R"({"x":1})", R"({"contract":1})", R"({"contract":""})", R"({"contract":{}})", R"({"contract":"a","contract":"a"})"}) {
        CAPTURE(body);
        CHECK(site.issue(body).what() == "422 invalid-document");
    }
    CHECK(site.issue(R"({"contract":"nope"})").what() == "403 no-contract");
    CHECK(site.issue("{}", {{"Content-Type", "text/plain"}}).what() == "415 unsupported-media-type");
    CHECK(site.issue("{}", {{"Content-Type", "application/json; charset=utf-8"}}).status == 201);
    CHECK(site.issue(std::string(limits::ticket_body_max_bytes + 1, ' ')).what() == "413 body-too-large");
}

TEST_CASE("tickets: end with their time, their token, and where they are kept") {
    Site site;
    auto ticket = site.fresh();
    site.clock->utc += limits::ticket_lifetime_ms;
    CHECK(site.use(ticket).what() == "401 invalid-ticket");
    ticket = site.fresh();
    site.clock->utc += limits::ticket_lifetime_ms - 1;
    CHECK(site.use(ticket).status == 200);
    // Its token is revoked in between.
    ticket = site.fresh();
    auto revoked = configuration();
    revoked.clients[0].tokens_valid_from = {site.clock->utc + 1};
    site.set(revoked);
    CHECK(site.use(ticket).what() == "401 invalid-token");
    site.set(configuration());
    // The token ends sooner than a ticket would.
    const auto bearer = site.bearer();
    site.clock->utc += 3'590'000;
    const auto late = site.ask({"POST", "/v1/products/wiki/tickets", "", {bearer}});
    const auto ends = parse_rfc3339(late.json()["expiresAt"].get<std::string>())->value;
    CHECK(ends <= site.clock->utc + 10'000);
    CHECK(ends > site.clock->utc + 8'000);

    ticket = site.fresh();
    site.kept_tickets->down = true;
    CHECK(site.issue().what() == "503 unavailable");
    CHECK(site.issue().header("Retry-After") == "1");
    CHECK(site.use(ticket).what() == "503 unavailable");
    site.kept_tickets->down = false;
    CHECK(site.use(ticket).status == 200);
}

TEST_CASE("tickets: a redirect to another region does not carry one") {
    Site site;
    const auto there = site.ask({"GET", "/v1/products/abroad/events?limit=5&from=earliest", "", {site.bearer()}});
    CHECK(there.header("Location") == "https://us.example:8443/v1/products/abroad/events?limit=5&from=earliest");
    const auto ticket = site.fresh();
    auto moved = configuration();
    moved.products[0].residency = "us";
    site.set(moved);
    const auto away = site.use(ticket, {}, "&from=earliest");
    CHECK(away.status == 307);
    CHECK(away.header("Location") == "https://us.example:8443/v1/products/wiki/events?from=earliest");
}
