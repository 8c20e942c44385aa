// Forwards whole, bounded, normalised requests to the control plane on loopback and reads whole responses. Keeps a few connections per shard. What
// was asked is always read to its end, even when nobody waits for it any more: closing early could misroute another answer there. Private to edge/;
// one shard thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/stream/edge/response.h"

namespace licet::stream {

struct ForwardRequest {
    std::string method, target, content_type, if_match, client, subject, request_id, body;
};

class Forwarder {
  public:
    static constexpr std::size_t kIdleConnectionsMax = 16;
    Forwarder(boost::asio::io_context& io, std::uint16_t port, std::string boot_secret, int timeout_ms)
        : io_(io), port_(port), boot_secret_(std::move(boot_secret)), timeout_ms_(timeout_ms) {}

    // `keeper` keeps this object until the answer is read. Errors: overloaded (limits::upstream_connections_max_per_shard), unavailable (no
    // connection, timeout, a response that is not ours).
    [[nodiscard]] boost::asio::awaitable<Result<Response>> forward(ForwardRequest request, std::shared_ptr<void> keeper);

  private:
    using Socket = boost::asio::ip::tcp::socket;
    struct Exchange;
    boost::asio::awaitable<void> run(std::shared_ptr<Exchange> exchange);
    // One attempt. Absent: the connection had been closed before it carried anything back.
    boost::asio::awaitable<std::optional<Result<Response>>> attempt(Exchange& exchange, std::unique_ptr<Socket> socket, bool reused);
    [[nodiscard]] std::unique_ptr<Socket> idle();

    boost::asio::io_context& io_;
    const std::uint16_t port_;
    const std::string boot_secret_;
    const int timeout_ms_;
    std::size_t busy_ = 0;
    std::vector<std::unique_ptr<Socket>> idle_;
};

}  // namespace licet::stream
