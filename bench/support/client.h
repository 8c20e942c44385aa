// The client's side of the wire, as little of HTTP as the benchmarks need: loopback sockets, one blocking exchange for tokens, and a publisher
// connection that never blocks.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace licet::bench {

[[nodiscard]] int connect_loopback(std::uint16_t port);  // blocking, TCP_NODELAY; dies when refused
void set_non_blocking(int fd);
void send_all(int fd, std::string_view bytes);

// POST /oauth/token: a bearer token of the client.
[[nodiscard]] std::string fetch_token(int fd, const std::string& client, const std::string& secret);

// A request for a WebSocket on the product's events. `from`: latest, earliest or a cursor.
[[nodiscard]] std::string websocket_request(const std::string& token, const std::string& from);
// Part of a greeting: say this, then wait until that has come.
struct Step {
    std::string say, until;
};
inline constexpr const char* kHeadEnd = "\r\n\r\n";
// Blocking, byte by byte so as to take nothing of what follows. A request that is answered otherwise than by 101, or 200 where it asks for no
// upgrade, is the end. `ssl` null: plain.
void greet(int fd, const std::vector<Step>& steps, SSL* ssl = nullptr);

[[nodiscard]] std::string publish_request(const std::string& token, std::string_view ndjson);

// What publishes over a non-blocking connection of its own, one request at a time.
class Source {
  public:
    explicit Source(int fd) : fd_(fd) { set_non_blocking(fd); }
    virtual ~Source() = default;
    Source(const Source&) = delete;
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool idle() const noexcept { return request_.empty(); }
    [[nodiscard]] bool wants_to_write() const noexcept { return written_ < request_.size(); }
    // `request` must outlive the exchange. `events`: how many it holds. Returns what advance() does.
    bool begin(std::string_view request, std::size_t events);
    // Goes on as far as the socket allows; true when the request has ended (and the source is idle again).
    bool advance();

  protected:
    virtual bool answered(std::string_view bytes) = 0;  // what came; whether the request that was written has ended
    std::size_t events_ = 0;

  private:
    const int fd_;
    std::string_view request_;
    std::size_t written_ = 0;
};

// A producer of the node: a request ends with its answer. Dies on any other than that every event was accepted.
class Publisher final : public Source {
  public:
    using Source::Source;

  private:
    bool answered(std::string_view bytes) override;
    std::string answer_;
};

// A producer for servers that do not answer, or whose answers say nothing: a request ends when it is written.
class Pourer final : public Source {
  public:
    using Source::Source;

  private:
    bool answered(std::string_view) override { return true; }
};

}  // namespace licet::bench
