// The edge over TLS.
#include <openssl/ssl.h>

#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "server/openssl/tls.h"
#include "tests/unit/edge/fixture.h"

using namespace edge_test;

namespace {

// Self-signed, for these tests alone.
constexpr const char* kKey = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6jc50TXUk34BBG+3
2TWwwGtCMlq16FfnrlftLIXo8WChRANCAASaHWM8ERZ9Je7i7Fz779eNPsDemEB8
ifsLEXccfpWzccFE4GfINBpq/dY9R7vgzyCzvq+TK8Khc7zvt3/PHyYg
-----END PRIVATE KEY-----
)";
constexpr const char* kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUS09CsBb45WtAXJ+qbawtho/YIdUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA4NDkwNloYDzIxMjYxMDI4
MDg0OTA2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASaHWM8ERZ9Je7i7Fz779eNPsDemEB8ifsLEXccfpWzccFE4GfINBpq
/dY9R7vgzyCzvq+TK8Khc7zvt3/PHyYgo28wbTAdBgNVHQ4EFgQUZjVCGKs6fCNR
yEJfTl92z8Al4SswHwYDVR0jBBgwFoAUZjVCGKs6fCNRyEJfTl92z8Al4SswDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI
zj0EAwIDSAAwRQIhANqJxD5N8TfoLY6kcKl08ZSYFqcvxffc40L6O7j7YqFlAiAw
DqTSTGZooqZohvweQWX9OsFVoQZNvKu0Q+whUEtnuQ==
-----END CERTIFICATE-----
)";

Setup over_tls() {
    const auto folder = std::filesystem::temp_directory_path() / ("licet-edge-tls-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "key.pem") << kKey;
    std::ofstream(folder / "certificate.pem") << kCertificate;
    Setup setup;
    openssl::TlsOptions options;
    options.certificate_file = (folder / "certificate.pem").string();
    options.key_file = (folder / "key.pem").string();
    options.clock = std::make_shared<TestClock>();
    setup.tls = openssl::make_server_tls(options).value();
    std::filesystem::remove_all(folder);
    return setup;
}

class TlsClient {
  public:
    TlsClient(std::uint16_t port, int version) : tcp_(port), context_(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_min_proto_version(context_, version);
        SSL_CTX_set_max_proto_version(context_, version);
        ssl_ = SSL_new(context_);
        SSL_set_fd(ssl_, tcp_.fd());
        connected = SSL_connect(ssl_) == 1;
    }
    ~TlsClient() {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
    }
    bool send(std::string_view bytes) { return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size()); }
    // Until `end` was seen or the connection ended.
    std::string read_to(std::string_view end) {
        std::string out;
        char buffer[16384];
        for (int got = 0; out.find(end) == std::string::npos && (got = SSL_read(ssl_, buffer, sizeof buffer)) > 0;)
            out.append(buffer, static_cast<std::size_t>(got));
        return out;
    }
    bool ended_cleanly() {
        char byte;
        return SSL_read(ssl_, &byte, 1) <= 0 && (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    bool connected = false;

  private:
    Client tcp_;
    SSL_CTX* context_;
    SSL* ssl_ = nullptr;
};

}  // namespace

TEST_CASE("TLS 1.3 is spoken, nothing older, and plain HTTP not at all") {
    EdgeFixture edge(over_tls());
    TlsClient client(edge.edge->port(), TLS1_3_VERSION);
    REQUIRE(client.connected);
    CHECK(client.send("GET /nowhere HTTP/1.1\r\nHost: edge\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n"));
    const auto first = client.read_to("}");
    CHECK(first.starts_with("HTTP/1.1 404 "));
    CHECK((first + client.read_to("nothing")).rfind("HTTP/1.1 404 ") > 0);
    CHECK(client.ended_cleanly());
    CHECK_FALSE(TlsClient(edge.edge->port(), TLS1_2_VERSION).connected);
    CHECK(Client(edge.edge->port()).ask("GET / HTTP/1.1\r\nHost: edge\r\n\r\n").status == 0);
    CHECK(TlsClient(edge.edge->port(), TLS1_3_VERSION).connected);
}

TEST_CASE("a large body and a large answer pass over TLS") {
    EdgeFixture edge(over_tls());
    edge.delivery->says.clear();
    TlsClient client(edge.edge->port(), TLS1_3_VERSION);
    std::string lines;
    while (lines.size() < 2 * limits::event_max_bytes) lines += "bad\n";
    lines = lines.substr(0, 4 * limits::ingest_batch_max_events);
    CHECK(client.send(Request{"POST", "/v1/products/wiki/events", lines, {edge.bearer(), {"Content-Type", "application/x-ndjson"}}}.bytes()));
    const auto answer = client.read_to("\"type\":\"https://licet.dev/problems/invalid-json\"}");
    CHECK(answer.starts_with("HTTP/1.1 400 "));
    CHECK(answer.size() > 64 * 1024);
}

TEST_CASE("a handshake that does not come is cut off") {
    auto setup = over_tls();
    setup.timeouts.header_ms = 150;
    EdgeFixture edge(setup);
    Client silent(edge.edge->port());
    CHECK(silent.ended());
    Client half(edge.edge->port());
    half.send("\x16\x03\x01\x02");
    CHECK(half.ended());
}
