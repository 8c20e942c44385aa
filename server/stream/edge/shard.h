// What the connections of one shard share. Private to edge/; one shard thread.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "server/stream/edge/edge.h"
#include "server/stream/edge/forwarder.h"
#include "server/stream/edge/handshakes.h"
#include "server/stream/ingest/ingest.h"

namespace licet::stream {

namespace http = boost::beast::http;
class Connection;

// Threads for calls that block, shared by all shards.
struct BlockingPool {
    BlockingPool(std::size_t threads, std::size_t most) : max(most), pool(threads) {}
    const std::size_t max;  // calls under way
    boost::asio::thread_pool pool;
    std::atomic<std::size_t> calls{0};
};

struct EdgeShard {
    boost::asio::io_context& io;
    std::size_t index;
    const EdgeOptions& options;
    const EdgeServices& services;
    BlockingPool& blocking;
    BlockingPool& ticket_calls;
    std::weak_ptr<void> owner;  // keeps this alive for connections
    IngestParser ingest;
    std::unique_ptr<ports::SealingCipher> cipher;  // null: no subject keys on this node
    Forwarder forwarder;
    std::shared_ptr<std::atomic<std::size_t>> places =
        std::make_shared<std::atomic<std::size_t>>(0);                              // connections there are, those delivery has included
    std::shared_ptr<std::size_t> audit_exports = std::make_shared<std::size_t>(0);  // under way
    std::shared_ptr<std::size_t> downloads = std::make_shared<std::size_t>(0);      // of finished exports, under way
    std::size_t body_bytes = 0;                                                     // reserved for request bodies being received
    std::set<Connection*> connections;                                              // at the edge
    std::function<void()> emptied;                                                  // set when the last of them is waited for
    bool stopping = false;
    std::array<ports::Counter*, 3> handshakes{};  // of TLS: full, resumed, failed
    HandshakeTurns handshake_turns{io};
    std::map<std::pair<std::string, int>, ports::Counter*> responses;  // by route and status class
};

}  // namespace licet::stream
