// Forwards whole, bounded, normalised requests to the control plane on loopback and reads whole responses. Keeps a few connections per shard; one
// that misbehaves in any way is dropped. Private to edge/; one shard thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/stream/edge/response.h"

namespace licet::stream {

struct ForwardRequest {
    std::string method, target, content_type, if_match, idempotency_key, client, request_id, body;
};

class Forwarder {
  public:
    static constexpr std::size_t kIdleConnectionsMax = 16;
    Forwarder(boost::asio::io_context& io, std::uint16_t port, std::string boot_secret)
        : io_(io), port_(port), boot_secret_(std::move(boot_secret)) {}

    // Errors: unavailable (no connection, timeout, a response that is not ours).
    [[nodiscard]] boost::asio::awaitable<Result<Response>> forward(ForwardRequest request);

  private:
    boost::asio::io_context& io_;
    const std::uint16_t port_;
    const std::string boot_secret_;
    std::vector<std::unique_ptr<boost::asio::ip::tcp::socket>> idle_;
};

}  // namespace licet::stream
