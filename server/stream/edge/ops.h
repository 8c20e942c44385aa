// The operations listener: /healthz (the process runs), /readyz (it can do its work), /metrics. Plain HTTP on loopback. Private to edge/.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "server/stream/edge/edge.h"

namespace licet::stream {

[[nodiscard]] boost::asio::awaitable<void> serve_ops(boost::asio::ip::tcp::socket socket, const EdgeServices& services);

}  // namespace licet::stream
