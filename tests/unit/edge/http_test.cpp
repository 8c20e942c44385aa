// HTTP as the edge reads it: framing, limits, timeouts, and what two parsers could read differently.
#include "base/limits.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

const std::string kGet = "GET /nowhere HTTP/1.1\r\nHost: edge\r\n\r\n";

std::string post(const std::string& headers, const std::string& body, const std::string& authorization) {
    return "POST /v1/products/wiki/events HTTP/1.1\r\nHost: edge\r\nAuthorization: " + authorization + "\r\nContent-Type: application/json\r\n" +
           headers + "\r\n" + body;
}

}  // namespace

TEST_CASE("pipelined requests are answered in order on one connection") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const auto bearer = edge.bearer();
    const Request publish{"POST", "/v1/products/wiki/events", "{\"n\":1}", {bearer, {"Content-Type", "application/json"}}};
    const Request page{"GET", "/v1/products/wiki/events", "", {bearer}};
    client.send(kGet + publish.bytes() + page.bytes() + page.bytes() + publish.bytes() + kGet);
    CHECK(client.receive().what() == "404 not-found");
    CHECK(client.receive().json()["accepted"] == 1);
    CHECK(client.receive().body == "page");
    CHECK(client.receive().body == "page");
    CHECK(client.receive().json()["duplicates"] == 1);
    CHECK(client.receive().what() == "404 not-found");
    CHECK(edge.delivery->asked().size() == 2);
}

TEST_CASE("many requests behind one whose connection was handed over are not lost") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const Request page{"GET", "/v1/products/wiki/events", "", {edge.bearer()}};
    std::string all;
    for (int i = 0; i < 100; ++i) all += page.bytes();
    client.send(all);
    for (int i = 0; i < 100; ++i) REQUIRE(client.receive().body == "page");
    CHECK(client.ask(kGet).status == 404);
}

TEST_CASE("Connection: close is honoured, and every answer names its request") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const auto first = client.ask(kGet), second = client.ask("GET /nowhere HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n");
    CHECK(first.header("Connection") == "keep-alive");
    CHECK(second.header("Connection") == "close");
    CHECK(client.ended());
    CHECK(first.header("Licet-Request-Id").size() == 16);
    CHECK(first.header("Licet-Request-Id") != second.header("Licet-Request-Id"));
    CHECK(first.json()["instance"] == first.header("Licet-Request-Id"));
}

TEST_CASE("HEAD has the head of the answer and no body") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const Request head{"HEAD", "/v1/products/wiki/endpoints", "", {edge.bearer()}}, get{"GET", "/v1/products/wiki/endpoints", "", {edge.bearer()}};
    const auto with = client.ask(get.bytes());
    const auto without = client.ask(head.bytes());
    CHECK(without.status == 200);
    CHECK(without.header("Content-Length") == with.header("Content-Length"));
    CHECK(with.body.size() == std::stoul(without.header("Content-Length")));
    CHECK(client.ask("HEAD /nowhere HTTP/1.1\r\nHost: edge\r\n\r\n").status == 404);
    CHECK(client.ask(kGet).what() == "404 not-found");
}

TEST_CASE("methods that a resource does not know are told which it does") {
    EdgeFixture edge;
    const auto allowed = [&](const std::string& method, const std::string& target) {
        const auto answer = edge.ask({method, target, "", {}});
        CHECK(answer.what() == "405 method-not-allowed");
        return answer.header("Allow");
    };
    CHECK(allowed("DELETE", "/v1/products/wiki/events") == "GET, HEAD, POST, OPTIONS");
    CHECK(allowed("POST", "/v1/products/wiki/endpoints") == "GET, HEAD, OPTIONS");
    CHECK(allowed("PUT", "/v1/usage") == "GET, HEAD, OPTIONS");
    CHECK(allowed("GET", "/oauth/token") == "POST");
    CHECK(allowed("TRACE", "/v1/admin/regions") == "GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS");
    CHECK(allowed("FROBNICATE", "/v1/usage") == "GET, HEAD, OPTIONS");
}

TEST_CASE("100-continue is sent to who may go on, and not to who may not") {
    EdgeFixture edge;
    const std::string expect = "Expect: 100-Continue\r\nContent-Length: 7\r\n";
    Client welcome(edge.edge->port());
    welcome.send(post(expect, "", edge.bearer().second));
    CHECK(welcome.receive().status == 100);
    CHECK(welcome.ask("{\"n\":1}").json()["accepted"] == 1);
    CHECK(welcome.ask(kGet).status == 404);

    Client stranger(edge.edge->port());
    stranger.send(post(expect, "", "Bearer nonsense"));
    CHECK(stranger.receive().what() == "401 invalid-token");
    CHECK(stranger.ended());

    for (const char* other : {"200-ok", "100-continue, later", "x"}) {
        Client client(edge.edge->port());
        client.send(post(std::string("Expect: ") + other + "\r\nContent-Length: 7\r\n", "", edge.bearer().second));
        CHECK(client.receive().what() == "417 expectation-failed");
        CHECK(client.ended());
    }

    Client hasty(edge.edge->port());
    CHECK(hasty.ask(post(expect, "{\"n\":1}", edge.bearer().second)).status == 200);
}

TEST_CASE("a body comes whole, in pieces, or chunked") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const auto bearer = edge.bearer().second;
    for (const char c : post("Content-Length: 7\r\n", "{\"n\":1}", bearer)) client.send({&c, 1});
    CHECK(client.receive().json()["accepted"] == 1);
    const std::string chunked = post("Transfer-Encoding: chunked\r\n", "3\r\n{\"n\r\n4;x=\"y\"\r\n\":1}\r\n0\r\n\r\n", bearer);
    CHECK(client.ask(chunked).json()["duplicates"] == 1);
    for (const char c : chunked) client.send({&c, 1});
    CHECK(client.receive().json()["duplicates"] == 1);
    CHECK(client.ask(post("transfer-encoding: Chunked\r\n", "0\r\n\r\n", bearer)).what() == "400 invalid-json");
    CHECK(client.ask(kGet).status == 404);
}

TEST_CASE("what a trailer says is not part of the request") {
    EdgeFixture edge;
    Client client(edge.edge->port());
    const auto answer = client.ask(post(
        "Transfer-Encoding: chunked\r\nTrailer: ce-id\r\n",
        "2\r\n{}\r\n0\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\nAuthorization: Bearer x\r\n\r\n", edge.bearer().second));
    CHECK(answer.json()["accepted"] == 1);
    const auto records = edge.log->records();
    REQUIRE(records.size() == 1);
    CHECK(event::StoredEvent::parse(records[0])->source() == "urn:example:feed");
    CHECK(client.ask(kGet).status == 404);
}

TEST_CASE("malformed and ambiguous requests are refused and the connection ends") {
    EdgeFixture edge;
    const std::string start = "POST /v1/products/wiki/events HTTP/1.1\r\n", host = "Host: edge\r\n", end = "\r\n";
    const std::string smuggled = "GET /v1/usage HTTP/1.1\r\nHost: edge\r\n\r\n";
    const std::vector<std::string> shapes{
        start + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\n" + smuggled,
        start + host + "Content-Length: 4\r\nContent-Length: 4\r\n" + end + "null",
        start + host + "Content-Length: 4\r\nContent-Length: 5\r\n" + end + "null",
        start + host + "Content-Length: 4, 4\r\n" + end + "null",
        start + host + "Content-Length: +4\r\n" + end + "null",
        start + host + "Content-Length: 0x4\r\n" + end + "null",
        start + host + "Content-Length: -1\r\n" + end,
        start + host + "Content-Length: \r\n" + end,
        start + host + "Content-Length: 99999999999999999999\r\n" + end,
        start + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\n",
        start + host + "Transfer-Encoding: gzip, chunked\r\n" + end + "0\r\n\r\n",
        start + host + "Transfer-Encoding: chunked, identity\r\n" + end + "0\r\n\r\n",
        start + host + "Transfer-Encoding: identity\r\n" + end + smuggled,
        start + host + "Transfer-Encoding: xchunked\r\n" + end + smuggled,
        start + host +
            "Transfer-Encoding:\x0b"
            "chunked\r\n" +
            end + "0\r\n\r\n",
        start + host + "Transfer-Encoding : chunked\r\n" + end + "0\r\n\r\n",
        start + host + "X: a\r\n folded\r\n" + end,
        start + host + "X: a\r\n\tfolded\r\n" + end,
        start + " Host: edge\r\n" + end,
        start + "Host: edge\n\r\n",
        "GET / HTTP/1.1\nHost: edge\n\n",
        start + host + "X: a\rb\r\n" + end,
        start + host + std::string("X: a\0b\r\n", 8) + end,
        start + host + "X\r\n" + end,
        start + host + ": x\r\n" + end,
        start + host + "X y: z\r\n" + end,
        start + host + host + end,
        start + end,
        start + "Host:\r\n" + end,
        start + host + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" + end,
        start + host + "Content-Type: application/json\r\nContent-Type: text/plain\r\n" + end,
        "\r\n" + start + host + end,
        "GET / HTTP/1.0\r\nHost: edge\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: edge\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: edge\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: edge\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: edge\r\n\r\n",
        "GET /\r\nHost: edge\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\n\r\n\r\n",
    };
    for (const auto& shape : shapes) {
        CAPTURE(shape);
        Client client(edge.edge->port());
        const auto answer = client.ask(shape);
        CHECK(answer.what() == "400 bad-request");
        CHECK(answer.header("Connection") == "close");
        CHECK(client.ended());
    }
    CHECK(edge.log->records().empty());
}

TEST_CASE("malformed chunks are refused and nothing behind them is read as a request") {
    EdgeFixture edge;
    const std::string smuggled = "GET /nowhere HTTP/1.1\r\nHost: edge\r\n\r\n";
    for (const std::string& body :
         {std::string("4\nnull\r\n0\r\n\r\n"), std::string("4\r\nnullX\r\n0\r\n\r\n"), std::string("4\r\nnull\n0\r\n\r\n"),
          std::string("-4\r\nnull\r\n0\r\n\r\n"), std::string("0x4\r\nnull\r\n0\r\n\r\n"), std::string("FFFFFFFFFFFFFFFFF\r\nnull\r\n"),
          std::string("\r\nnull\r\n0\r\n\r\n"), "4" + std::string(20'000, ' ') + "\r\nnull\r\n0\r\n\r\n", "4;" + std::string(100'000, 'x')}) {
        CAPTURE(body.substr(0, 40));
        Client client(edge.edge->port());
        client.send(post("Transfer-Encoding: chunked\r\n", body + smuggled, edge.bearer().second));
        CHECK(client.receive().what() == "400 bad-request");
        CHECK(client.ended());
    }
    CHECK(edge.log->records().empty());
}

TEST_CASE("targets have one spelling") {
    EdgeFixture edge;
    for (const char* target : {"*", "http://elsewhere/v1/usage", "http://edge", "ftp://edge/v1/usage", "edge:443", "//v1/usage", "/v1//usage",
                               "/v1/usage/", "/v1/./usage", "/v1/x/../usage", "/v1/%2e%2e/usage", "/v1%2fusage", "/v1/us%61ge%", "/v1/usage%00",
                               "/v1/usage#x", "/v1\\usage", "/v1/usage?period=1&period=2", "/v1/usage?a=%zz", "/v1/\x80"}) {
        CAPTURE(target);
        CHECK(edge.ask({"GET", target, "", {edge.bearer()}}).what() == "400 bad-request");
    }
    CHECK(edge.ask({"GET", "/v1/us%61ge", "", {edge.bearer()}}).status == 200);
    CHECK(edge.ask({"GET", "HTTP://Edge/v1/usage?period=2026-11", "", {edge.bearer()}}).status == 200);
    CHECK(edge.ask({"GET", "/v1/usage?peri%6fd=2026-11", "", {edge.bearer()}}).status == 200);
    const auto unknown = edge.ask({"GET", "/v1/usage?colour=red", "", {edge.bearer()}});
    CHECK(unknown.what() == "400 invalid-parameter");
    CHECK(unknown.pointer() == "query:colour");
}

TEST_CASE("limits answer with a problem document") {
    EdgeFixture edge;
    const auto bearer = edge.bearer();
    CHECK(edge.ask({"GET", "/" + std::string(limits::request_target_max_bytes, 'a'), "", {}}).what() == "414 uri-too-long");
    CHECK(edge.ask({"GET", "/" + std::string(limits::request_target_max_bytes - 1, 'a'), "", {}}).what() == "404 not-found");
    Client long_head(edge.edge->port());
    CHECK(long_head.ask("GET / HTTP/1.1\r\nHost: edge\r\nX: " + std::string(limits::request_header_max_bytes, 'x') + "\r\n\r\n").what() ==
          "431 header-too-large");
    CHECK(long_head.ended());
    const auto fields = [&](std::size_t count) {
        std::string head = "GET /nowhere HTTP/1.1\r\nHost: edge\r\n";
        for (std::size_t i = 1; i < count; ++i) head += "x:\r\n";
        return Client(edge.edge->port()).ask(head + "\r\n").what();
    };
    CHECK(fields(limits::request_headers_max) == "404 not-found");
    CHECK(fields(limits::request_headers_max + 1) == "431 header-too-large");

    // Refused by what is announced, before it is sent.
    Client announced(edge.edge->port());
    announced.send(post("Content-Length: " + std::to_string(limits::ingest_body_max_bytes + 1) + "\r\n", "", bearer.second));
    CHECK(announced.receive().what() == "413 body-too-large");
    CHECK(announced.ended());
    // Refused as it grows.
    Client chunked(edge.edge->port());
    chunked.send(post("Transfer-Encoding: chunked\r\n", "", bearer.second));
    const std::string chunk = "100000\r\n" + std::string(0x100000, ' ') + "\r\n";
    for (std::size_t sent = 0; sent <= limits::ingest_body_max_bytes; sent += 0x100000) chunked.send(chunk);
    CHECK(chunked.receive().what() == "413 body-too-large");

    CHECK(
        edge.ask(
                {"POST", "/oauth/token", std::string(limits::token_body_max_bytes + 1, 'x'), {{"Content-Type", "application/x-www-form-urlencoded"}}})
            .what() == "413 body-too-large");
    CHECK(edge.ask({"PUT", "/v1/admin/regions/eu", std::string(limits::control_body_max_bytes + 1, 'x'), {bearer}}).what() == "413 body-too-large");
    // As much as is allowed is read whole; the event in it is too large, not the body.
    std::string most = "\"" + std::string(limits::ingest_body_max_bytes - 2, 'x') + "\"";
    CHECK(edge.publish(most).what() == "413 event-too-large");
    CHECK(edge.publish("{}", "application/json").status == 200);
    const auto encoded =
        edge.ask({"POST", "/v1/products/wiki/events", "x", {bearer, {"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}}});
    CHECK(encoded.what() == "415 unsupported-media-type");
}

TEST_CASE("who is slow is cut off") {
    Setup setup;
    setup.timeouts = {150, 150, 400, 1000};
    EdgeFixture edge(setup);
    Client silent(edge.edge->port());
    CHECK(silent.ended());  // after keep_alive_ms, without a word

    Client dripping(edge.edge->port());
    dripping.send("GET /nowhere HTTP/1.1\r\n");
    CHECK(dripping.receive().what() == "408 request-timeout");
    CHECK(dripping.ended());

    Client bodiless(edge.edge->port());
    bodiless.send(post("Content-Length: 10\r\n", "12345", edge.bearer().second));
    CHECK(bodiless.receive().what() == "408 request-timeout");
    CHECK(bodiless.ended());

    Client second(edge.edge->port());
    CHECK(second.ask(kGet).status == 404);
    CHECK(second.ended());
}

TEST_CASE("a drop at a time does not buy more time") {
    Setup setup;
    setup.timeouts.header_ms = 300;
    EdgeFixture edge(setup);
    Client client(edge.edge->port(), 1);
    const auto began = std::chrono::steady_clock::now();
    std::thread feeding([&] {
        client.send("GET /nowhere HTTP/1.1\r\nHost: edge\r\nX: ");
        while (std::chrono::steady_clock::now() - began < std::chrono::seconds(5) && ::send(client.fd(), "x", 1, MSG_NOSIGNAL) == 1)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    CHECK(client.receive().what() == "408 request-timeout");
    ::shutdown(client.fd(), SHUT_WR);
    feeding.join();
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(3));
}

TEST_CASE("a draining node ends idle connections, answers what is under way, and says so") {
    EdgeFixture edge;
    Client idle(edge.edge->port()), busy(edge.edge->port());
    CHECK(idle.ask(kGet).status == 404);
    busy.send("GET /nowhere HTTP/1.1\r\nHost: edge\r\n");
    // The edge has these bytes when it has answered a request sent after them.
    CHECK(edge.ask({"GET", "/nowhere", "", {}}).status == 404);
    edge.edge->stop_accepting();
    CHECK(idle.ended());
    CHECK(busy.ask("\r\n").what() == "503 draining");
    CHECK(busy.ended());
    CHECK_FALSE(Client(edge.edge->port()).connected());
    CHECK(Client(edge.edge->ops_port()).ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").what() == "503 draining");
    CHECK(Client(edge.edge->ops_port()).ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
}

TEST_CASE("stop ends connections in the middle of anything") {
    EdgeFixture edge;
    Client head(edge.edge->port()), body(edge.edge->port());
    head.send("GET /");
    body.send(post("Content-Length: 10\r\n", "12345", edge.bearer().second));
    CHECK(edge.ask({"GET", "/nowhere", "", {}}).status == 404);
    edge.edge->stop();
    CHECK(head.ended());
    CHECK(body.ended());
    edge.edge.reset();
}

TEST_CASE("a second node cannot listen where one does") {
    EdgeFixture edge;
    boost::asio::io_context io;
    EdgeServices services;
    services.metrics = edge.metrics;
    services.make_digests = [] { return IngestDigests{}; };
    const auto second = Edge::start({&io}, {"127.0.0.1", edge.edge->port(), "127.0.0.1", 0, 1, "boot", {}}, services);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Errc::unavailable);
}

TEST_CASE("the operations listener") {
    EdgeFixture edge;
    const auto ask = [&](const std::string& method, const std::string& target) {
        return Client(edge.edge->ops_port()).ask(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    };
    CHECK(ask("GET", "/healthz").body == "ok\n");
    CHECK(ask("GET", "/readyz").body == "ready\n");
    CHECK(ask("GET", "/metrics").body == "licet_test 1\n");
    CHECK(ask("HEAD", "/metrics").body.empty());
    CHECK(ask("GET", "/").what() == "404 not-found");
    CHECK(ask("POST", "/metrics").header("Allow") == "GET, HEAD");
    edge.ready = false;
    const auto not_ready = ask("GET", "/readyz");
    CHECK(not_ready.what() == "503 unavailable");
    CHECK(not_ready.json()["detail"] == "not yet");
    // So many at a time; the next one finds the door shut.
    std::vector<std::unique_ptr<Client>> many;
    for (std::size_t i = 0; i < limits::ops_connections_max; ++i) many.push_back(std::make_unique<Client>(edge.edge->ops_port()));
    CHECK(ask("GET", "/healthz").status == 0);
    many.pop_back();
    while (ask("GET", "/healthz").status != 200) std::this_thread::yield();
}
