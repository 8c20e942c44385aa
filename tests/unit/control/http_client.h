// A plain HTTP/1.1 client over one connection to loopback, which sends exactly the bytes it is told to. Private to this folder.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace licet::testing {

struct HttpAnswer {
    int status = 0;  // 0: the connection ended without an answer
    std::map<std::string, std::string> headers;
    std::string body;

    [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body); }
    [[nodiscard]] std::string header(const std::string& name) const {
        const auto at = headers.find(name);
        return at == headers.end() ? std::string() : at->second;
    }
    // Of a problem document.
    [[nodiscard]] std::string slug() const {
        const auto type = nlohmann::json::parse(body, nullptr, false);
        if (!type.is_object() || !type.contains("type")) return "not a problem: " + body;
        const auto text = type["type"].get<std::string>();
        return text.substr(text.rfind('/') + 1);
    }
    [[nodiscard]] std::string pointer() const { return json().value("pointer", "none"); }
};

class HttpClient {
  public:
    explicit HttpClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{20, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~HttpClient() { ::close(socket_); }
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    void send(std::string_view bytes) {
        while (connected_ && !bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    HttpAnswer receive() {
        HttpAnswer out;
        std::size_t head_end = 0;
        while ((head_end = received_.find("\r\n\r\n")) == std::string::npos)
            if (!more()) return out;
        const std::string head = received_.substr(0, head_end);
        received_.erase(0, head_end + 4);
        std::size_t line_end = head.find("\r\n");
        out.status = std::stoi(head.substr(9, 3));
        while (line_end != std::string::npos) {
            const auto begin = line_end + 2;
            line_end = head.find("\r\n", begin);
            const auto line = head.substr(begin, line_end == std::string::npos ? line_end : line_end - begin);
            const auto colon = line.find(": ");
            out.headers[line.substr(0, colon)] = colon == std::string::npos ? "" : line.substr(colon + 2);
        }
        const std::size_t size = out.headers.contains("Content-Length") ? std::stoul(out.headers["Content-Length"]) : 0;
        while (received_.size() < size)
            if (!more()) return {};
        out.body = received_.substr(0, size);
        received_.erase(0, size);
        return out;
    }

  private:
    bool more() {
        char buffer[65536];
        const auto got = connected_ ? ::recv(socket_, buffer, sizeof buffer, 0) : 0;
        if (got <= 0) return false;
        received_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }

    const int socket_;
    bool connected_ = false;
    std::string received_;
};

}  // namespace licet::testing
