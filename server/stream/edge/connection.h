// One client connection at the edge: TLS handshake, then request after request, until delivery takes the connection over or it ends. One shard
// thread. Private to edge/.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>

#include "server/stream/edge/edge.h"
#include "server/stream/edge/forwarder.h"
#include "server/stream/edge/response.h"
#include "server/stream/edge/target.h"
#include "server/stream/transport.h"

namespace licet::stream {

namespace http = boost::beast::http;
template <class T>
using Task = boost::asio::awaitable<T>;

// What the connections of one shard share.
struct EdgeShard {
    boost::asio::io_context& io;
    std::size_t index;
    const EdgeOptions& options;
    const EdgeServices& services;
    boost::asio::thread_pool& blocking;
    IngestParser ingest;
    Forwarder forwarder;
    std::size_t connections = 0;
    bool stopping = false;
};

struct Caller {
    app::Token token;
    const ports::Client* client = nullptr;
    std::shared_ptr<const app::Snapshot> snapshot;  // keeps `client`
};

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(EdgeShard& shard, std::unique_ptr<Transport> transport);
    ~Connection();
    // Runs the connection on its own; `first`: an answer owed to the request delivery gave back.
    static void run(EdgeShard& shard, std::unique_ptr<Transport> transport, std::optional<Error> first = std::nullopt);

  private:
    Task<void> serve(std::optional<Error> first);
    Task<bool> handshake();
    Task<bool> read_head();
    Task<bool> read_body(std::size_t limit);  // false: answered or gone
    Task<bool> fill();                        // more bytes; false: the peer or the deadline ended it
    Task<bool> send(std::string bytes);
    Task<bool> answer(Response response);
    void deadline(int ms);

    // Routes. Each answers or hands the connection over; false ends the connection.
    Task<bool> dispatch();
    Task<bool> token();
    Task<bool> publish(const std::string& product);
    Task<bool> subscribe(const std::string& product);
    Task<bool> endpoints(const std::string& product);
    Task<bool> usage();
    Task<bool> forward();

    [[nodiscard]] Result<Caller> caller() const;
    [[nodiscard]] std::optional<Error> query_only(std::initializer_list<std::string_view> known) const;
    [[nodiscard]] std::string header(std::string_view name) const;
    [[nodiscard]] Response refused(const Error& error, const nlohmann::json& members = nullptr) const { return problem(error, request_id_, members); }
    void log_request(int status, std::size_t bytes) const;

    EdgeShard& shard_;
    std::unique_ptr<Transport> transport_;
    boost::asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    struct Parsers {
        std::optional<http::request_parser<http::empty_body>> head;
        std::optional<http::request_parser<http::string_body>> body;
    };
    std::unique_ptr<Parsers> parsers_;
    Target target_;
    std::string request_id_, route_;
    std::string body_;
    bool keep_alive_ = true, body_read_ = false, taken_ = false;
    std::int64_t began_ns_ = 0;
};

}  // namespace licet::stream
