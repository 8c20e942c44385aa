// A blocking HTTP/1.1 client on one kept-alive connection to loopback, for the threads that publish, pull and withdraw. Used by revocation_race.cc
// and tests/soak.
#pragma once

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace race {

// A connected TCP socket, or -1.
inline int dial(std::uint16_t port, int receive_buffer = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
        ::close(fd);
        return -1;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

inline bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

class Http {
  public:
    Http(std::uint16_t port, int timeout_s) : port_(port), timeout_s_(timeout_s) {}
    ~Http() { close(); }
    Http(const Http&) = delete;
    Http& operator=(const Http&) = delete;

    // The status; 0 when there was no whole answer, and then the connection is made anew. The body is in body().
    int request(std::string_view method, std::string_view path, std::string_view token, std::string_view type, std::string_view body) {
        if (fd_ < 0 && (fd_ = dial(port_)) < 0) return 0;
        const timeval limit{timeout_s_, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        std::string head(method);
        head.append(" ").append(path).append(" HTTP/1.1\r\nHost: 127.0.0.1");
        if (!token.empty()) head.append("\r\nAuthorization: Bearer ").append(token);
        if (!type.empty()) head.append("\r\nContent-Type: ").append(type);
        head.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
        if (!send_all(fd_, head)) return close();
        return answer();
    }
    [[nodiscard]] const std::string& body() const { return body_; }
    [[nodiscard]] std::string_view header(std::string_view name) const {
        const auto at = head_.find(std::string("\r\n").append(name).append(": "));
        if (at == std::string::npos) return {};
        const auto from = at + name.size() + 4;
        return std::string_view(head_).substr(from, head_.find("\r\n", from) - from);
    }

  private:
    int close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
        return 0;
    }
    int answer() {
        std::string in;
        char piece[65536];
        std::size_t end;
        while ((end = in.find("\r\n\r\n")) == std::string::npos) {
            const auto n = ::recv(fd_, piece, sizeof piece, 0);
            if (n <= 0) return close();
            in.append(piece, static_cast<std::size_t>(n));
        }
        head_ = in.substr(0, end + 2);
        int status = 0;
        std::from_chars(in.data() + 9, in.data() + 12, status);
        std::size_t length = 0;
        const auto text = header("Content-Length");
        std::from_chars(text.data(), text.data() + text.size(), length);
        body_ = in.substr(end + 4);
        while (body_.size() < length) {
            const auto n = ::recv(fd_, piece, sizeof piece, 0);
            if (n <= 0) return close();
            body_.append(piece, static_cast<std::size_t>(n));
        }
        if (header("Connection") == "close") close();
        return status;
    }

    const std::uint16_t port_;
    const int timeout_s_;
    int fd_ = -1;
    std::string head_, body_;
};

}  // namespace race
