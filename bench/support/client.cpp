#include "bench/support/client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "bench/support/feed.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

// Size of the whole response in `bytes`, 0 while its head or body is incomplete.
std::size_t response_size(std::string_view bytes) {
    const auto head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    constexpr std::string_view kLength = "Content-Length: ";
    const auto at = bytes.find(kLength);
    if (at == std::string_view::npos || at > head) die("a response without Content-Length:\n" + std::string(bytes.substr(0, head)));
    const std::size_t size = head + 4 + std::strtoull(bytes.data() + at + kLength.size(), nullptr, 10);
    return bytes.size() >= size ? size : 0;
}

std::string_view body_of(std::string_view response) { return response.substr(response.find("\r\n\r\n") + 4); }

}  // namespace

int connect_loopback(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("cannot connect to the server");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void set_non_blocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) die("the server closed a connection");
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string fetch_token(int fd, const std::string& client, const std::string& secret) {
    const std::string body = "grant_type=client_credentials";
    send_all(fd, "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic " + base64(as_bytes(client + ":" + secret)) +
                     "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    std::string answer;
    char buffer[8192];
    while (response_size(answer) == 0) {
        const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) die("the server closed a connection instead of giving a token");
        answer.append(buffer, static_cast<std::size_t>(n));
    }
    const auto json = nlohmann::json::parse(body_of(answer), nullptr, false);
    if (!json.is_object() || !json.contains("access_token")) die("no token: " + answer);
    return json.at("access_token").get<std::string>();
}

std::string websocket_request(const std::string& token, const std::string& from) {
    return std::string("GET /v1/products/") + kProduct + "/events?from=" + from +
           " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: cloudevents.json\r\n"
           "Authorization: Bearer " +
           token + "\r\n\r\n";
}

void greet(int fd, const std::vector<Step>& steps, SSL* ssl) {
    for (const Step& step : steps) {
        if (ssl == nullptr)
            send_all(fd, step.say);
        else if (SSL_write(ssl, step.say.data(), static_cast<int>(step.say.size())) != static_cast<int>(step.say.size()))
            die("a greeting is not taken");
        std::string got;
        for (char c = 0; !got.ends_with(step.until); got += c) {
            const auto n = ssl == nullptr ? ::recv(fd, &c, 1, 0) : SSL_read(ssl, &c, 1);
            if (n != 1 || got.size() > 16384) die("a server greets otherwise than it should: " + got);
        }
        const bool upgrades = step.say.find("\r\nUpgrade: ") != std::string::npos;
        if (step.say.starts_with("GET ") && !got.starts_with(upgrades ? "HTTP/1.1 101 " : "HTTP/1.1 200 ")) die("no stream: " + got);
    }
}

std::string publish_request(const std::string& token, std::string_view ndjson) {
    std::string out = std::string("POST /v1/products/") + kProduct + "/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + token +
                      "\r\nContent-Type: application/x-ndjson\r\nContent-Length: " + std::to_string(ndjson.size()) + "\r\n\r\n";
    return out.append(ndjson);
}

bool Source::begin(std::string_view request, std::size_t events) {
    request_ = request;
    events_ = events;
    written_ = 0;
    return advance();
}

bool Source::advance() {
    while (wants_to_write()) {
        const ssize_t n = ::send(fd_, request_.data() + written_, request_.size() - written_, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) die("the server closed a publisher's connection");
        written_ += static_cast<std::size_t>(n);
    }
    char buffer[8192];
    bool ended = false;
    for (;;) {
        const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) die("the server closed a publisher's connection");
        ended = answered({buffer, static_cast<std::size_t>(n)}) || ended;
    }
    if (request_.empty() || wants_to_write() || !(ended || answered({}))) return false;
    request_ = {};
    written_ = 0;
    return true;
}

bool Publisher::answered(std::string_view bytes) {
    answer_.append(bytes);
    if (response_size(answer_) == 0) return false;
    const auto json = nlohmann::json::parse(body_of(answer_), nullptr, false);
    if (!answer_.starts_with("HTTP/1.1 200 ") || !json.is_object() || json.value("accepted", std::size_t{0}) != events_)
        die("events were not accepted: " + answer_);
    answer_.clear();
    return true;
}

}  // namespace licet::bench
