// The operations listener: /healthz (the process runs), /readyz (it can do its work), /metrics. Plain HTTP on loopback. Private to edge/.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "server/stream/edge/edge.h"

namespace licet::stream {

// What the listener and its connections share.
struct Ops {
    const EdgeServices& services;
    std::weak_ptr<void> owner;  // keeps `services` for connections
    std::atomic<bool> draining{false};
    std::size_t connections = 0;
};

// Accepts until the acceptor is closed. At most limits::ops_connections_max at a time; more are closed at once.
[[nodiscard]] boost::asio::awaitable<void> accept_ops(boost::asio::ip::tcp::acceptor& acceptor, Ops& ops);

}  // namespace licet::stream
