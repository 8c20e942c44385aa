// A client over one loopback connection that sends exactly the bytes it is told to, and reads what comes back. Waits are bounded: a test that would
// hang fails instead.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edge_test {

struct Answer {
    int status = 0;  // 0: the connection ended without an answer
    std::string head, body;
    bool cut = false;  // the body ended before its last chunk

    [[nodiscard]] std::string header(std::string_view name) const {
        const auto lower = [](std::string text) {
            std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            return text;
        };
        const auto at = lower(head).find("\r\n" + lower(std::string(name)) + ": ");
        if (at == std::string::npos) return {};
        const auto begin = at + 2 + name.size() + 2;
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
    [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
    // "401 unauthenticated" of a problem document, "200" otherwise.
    [[nodiscard]] std::string what() const {
        if (header("Content-Type") != "application/problem+json") return std::to_string(status);
        const auto type = json().value("type", "");
        const bool agrees = json().value("status", 0) == status && json().contains("title") && json().contains("detail");
        return std::to_string(status) + " " + (agrees ? type.substr(type.rfind('/') + 1) : "but not a problem document");
    }
    [[nodiscard]] std::string pointer() const { return json().value("pointer", ""); }
};

class Client {
  public:
    explicit Client(std::uint16_t port, int patience_s = 10) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{patience_s, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~Client() { ::close(socket_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] int fd() const { return socket_; }
    [[nodiscard]] bool connected() const { return connected_; }

    Client& send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) break;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return *this;
    }

    // The next answer; `head_only`: to a HEAD request.
    Answer receive(bool head_only = false) {
        Answer out;
        std::size_t end = 0;
        while ((end = received_.find("\r\n\r\n")) == std::string::npos)
            if (!more()) return out;
        out.head = received_.substr(0, end + 2);
        received_.erase(0, end + 4);
        out.status = std::stoi(out.head.substr(9, 3));
        if (!head_only && out.header("Transfer-Encoding") == "chunked") return out.cut = !receive_chunks(out.body), out;
        const auto length = out.header("Content-Length");
        const std::size_t size = head_only || length.empty() ? 0 : std::stoul(length);
        while (received_.size() < size)
            if (!more()) return {};
        out.body = received_.substr(0, size);
        received_.erase(0, size);
        return out;
    }
    Answer ask(std::string_view request) { return send(request).receive(request.starts_with("HEAD ")); }

    // True once the other side has ended the connection; false when it says something or nothing.
    bool ended() {
        const bool silent = received_.empty();
        return silent && !more() && !timed_out_;
    }

  private:
    bool receive_chunks(std::string& body) {
        for (;;) {
            std::size_t line = 0;
            while ((line = received_.find("\r\n")) == std::string::npos)
                if (!more()) return false;
            const std::size_t size = std::stoul(received_, nullptr, 16);
            while (received_.size() < line + size + 4)
                if (!more()) return false;
            body += received_.substr(line + 2, size);
            received_.erase(0, line + size + 4);
            if (size == 0) return true;
        }
    }
    bool more() {
        char buffer[65536];
        const auto got = connected_ ? ::recv(socket_, buffer, sizeof buffer, 0) : 0;
        timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        if (got <= 0) return false;
        received_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }

    const int socket_;
    bool connected_ = false, timed_out_ = false;
    std::string received_;
};

// A request's bytes. A body brings its Content-Length.
struct Request {
    std::string method = "GET", target = "/", body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string bytes() const {
        std::string out = method + " " + target + " HTTP/1.1\r\nHost: edge\r\n";
        for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
        if (!body.empty()) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        return out + "\r\n" + body;
    }
};

}  // namespace edge_test
