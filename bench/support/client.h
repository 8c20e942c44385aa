// The client's side of the wire, as little of HTTP as the benchmarks need: loopback sockets, one blocking exchange for tokens, and a publisher
// connection that never blocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace licet::bench {

[[nodiscard]] int connect_loopback(std::uint16_t port);  // blocking, TCP_NODELAY; dies when refused
void set_non_blocking(int fd);
void send_all(int fd, std::string_view bytes);

// POST /oauth/token: a bearer token of the client.
[[nodiscard]] std::string fetch_token(int fd, const std::string& client, const std::string& secret);

// Asks for a WebSocket on the product's events from now on and reads the response head, byte by byte so as to take no frame with it.
void open_websocket(int fd, const std::string& token);

[[nodiscard]] std::string publish_request(const std::string& token, std::string_view ndjson);

// One publish request at a time on a non-blocking connection of its own.
class Publisher {
  public:
    explicit Publisher(int fd) : fd_(fd) { set_non_blocking(fd); }
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool idle() const noexcept { return request_.empty(); }
    // `request` must outlive the exchange. `events`: how many it holds, all of which must be accepted. Returns what advance() does.
    bool begin(std::string_view request, std::size_t events);
    [[nodiscard]] bool wants_to_write() const noexcept { return written_ < request_.size(); }
    // Goes on as far as the socket allows; true when the answer to the request has come (and the publisher is idle again). Dies on any other answer
    // than that every event was accepted.
    bool advance();

  private:
    const int fd_;
    std::string_view request_;
    std::size_t written_ = 0, events_ = 0;
    std::string answer_;
};

}  // namespace licet::bench
