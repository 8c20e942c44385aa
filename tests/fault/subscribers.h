// The subscribers: many streams (Server-Sent Events and WebSocket), some read slowly, on one thread. Each counts the bytes it received, so that every
// event has its place in what the server wrote. A stream that ends is resumed by its cursor. Used by revocation_race.cc.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>

#include <memory>

#include "tests/fault/http.h"
#include "tests/fault/ledger.h"

namespace race {

class Subscriber {
  public:
    Subscriber(Ledger& ledger, std::uint16_t node, bool websocket, bool slow, const std::string& token, int epoll)
        : ledger_(ledger), node_(node), websocket_(websocket), slow_(slow), token_(token), epoll_(epoll) {}
    ~Subscriber() {
        if (fd_ >= 0) ::close(fd_);
    }
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    [[nodiscard]] bool slow() const { return slow_; }
    [[nodiscard]] std::uint64_t connections() const { return connections_; }
    [[nodiscard]] bool streaming() const { return fd_ >= 0 && head_read_; }

    void connect_when_due(std::int64_t now) {
        if (fd_ >= 0 || now < again_ns_) return;
        again_ns_ = now + 200'000'000;
        connected_ns_ = now_ns();
        if ((fd_ = dial(node_, slow_ ? 16 * 1024 : 0)) < 0) return;
        sockaddr_in own{};
        socklen_t size = sizeof own;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size);
        port_ = ntohs(own.sin_port);
        std::string head = "GET /v1/products/newsroom/events?from=" + (cursor_.empty() ? std::string("latest") : cursor_) +
                           " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + token_ + "\r\n";
        head += websocket_
                    ? "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                      "Sec-WebSocket-Protocol: cloudevents.json\r\n\r\n"
                    : "Accept: text/event-stream\r\n\r\n";
        head_read_ = false;
        received_ = 0;
        in_.clear();
        if (!send_all(fd_, head)) return close();
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
        ++connections_;
        if (slow_) return;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = this;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
    }

    // At most `most` bytes.
    void read(std::size_t most) {
        static char piece[256 * 1024];
        if (fd_ < 0) return;
        const auto n = ::recv(fd_, piece, std::min(most, sizeof piece), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return ended();
        received_ += static_cast<std::uint64_t>(n);
        in_.append(piece, static_cast<std::size_t>(n));
        parse();
    }

  private:
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    // The beginning of a frame counts like the whole: its last byte that came is its place.
    void ended() {
        EventId id;
        if (head_read_ && find_event_id(in_, id)) ledger_.received(id, place(0));
        close();
    }
    [[nodiscard]] Place place(std::size_t unread) const {
        return {websocket_ ? "WebSocket" : "SSE", node_, port_, connected_ns_, received_ - unread, fd_};
    }

    void parse() {
        if (!head_read_) {
            const auto end = in_.find("\r\n\r\n");
            if (end == std::string::npos) return;
            if (!in_.starts_with(websocket_ ? "HTTP/1.1 101" : "HTTP/1.1 200")) {
                if (in_.starts_with("HTTP/1.1 4")) cursor_.clear();
                return close();
            }
            head_read_ = true;
            in_.erase(0, end + 4);
        }
        std::size_t at = 0;
        for (std::size_t end; (end = frame_end(at)) != 0; at = end) {
            const auto frame = std::string_view(in_).substr(at, end - at);
            EventId id;
            if (!find_event_id(frame, id)) continue;
            ledger_.received(id, place(in_.size() - end));
            if (const auto c = frame.find("\"cursor\":\""); c != std::string_view::npos)
                cursor_ = frame.substr(c + 10, frame.find('"', c + 10) - c - 10);
        }
        in_.erase(0, at);
    }
    // 0: not whole yet.
    [[nodiscard]] std::size_t frame_end(std::size_t at) const {
        if (!websocket_) {
            const auto end = in_.find("\n\n", at);
            return end == std::string::npos ? 0 : end + 2;
        }
        if (in_.size() < at + 2) return 0;
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in_[at + i]); };
        std::size_t length = byte(1) & 0x7f, head = 2;
        if (length >= 126) {
            const std::size_t wide = length == 126 ? 2 : 8;
            if (in_.size() < at + 2 + wide) return 0;
            length = 0;
            for (std::size_t i = 0; i < wide; ++i) length = length << 8 | byte(2 + i);
            head += wide;
        }
        return in_.size() < at + head + length ? 0 : at + head + length;
    }

    Ledger& ledger_;
    const std::uint16_t node_;
    const bool websocket_, slow_;
    const std::string& token_;
    const int epoll_;
    int fd_ = -1;
    std::uint32_t port_ = 0;
    std::int64_t connected_ns_ = 0, again_ns_ = 0;
    bool head_read_ = false;
    std::uint64_t received_ = 0, connections_ = 0;
    std::string in_, cursor_;
};

}  // namespace race
