// One client connection at the edge: TLS handshake, then request after request, until delivery takes the connection over or it ends. One shard
// thread. Private to edge/.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/stream/edge/response.h"
#include "server/stream/edge/shard.h"
#include "server/stream/edge/target.h"

namespace licet::stream {

template <class T>
using Task = boost::asio::awaitable<T>;

// Where a product's events are resident when that is not here, else empty; and what a refusal tells of it, when this node knows.
[[nodiscard]] std::string elsewhere(const app::Snapshot& snapshot, const std::string& product);
[[nodiscard]] nlohmann::json endpoint_members(const app::Snapshot& snapshot, const std::string& product, const std::string& region);

struct Caller {
    app::Token token;
    const ports::Client* client = nullptr;
    std::shared_ptr<const app::Snapshot> snapshot;  // keeps `client`
};

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    // What delivery gave a connection back for: the answer owed to the request it was given.
    struct Owed {
        std::optional<Error> error;
        std::string request_id, route, cors;
        bool keep_alive = true, head_only = false;
    };

    Connection(EdgeShard& shard, std::unique_ptr<Transport> transport);
    ~Connection();
    static void run(EdgeShard& shard, std::unique_ptr<Transport> transport, std::optional<Owed> owed = std::nullopt);

    void close_if_idle();  // between requests
    void abort();          // whatever it is doing on the socket ends

  private:
    using HeadParser = http::request_parser<http::empty_body>;
    enum class Body : std::uint8_t { none, unread, read };

    Task<void> serve(std::optional<Owed> owed);
    Task<bool> handshake();
    Task<bool> read_head();                   // false: answered or gone
    Task<bool> read_body(std::size_t limit);  // the same
    Task<bool> receive_body(std::size_t limit);
    Task<bool> fill();  // more bytes; false: the peer or the deadline ended it
    Task<bool> send(std::string bytes);
    Task<bool> answer(Response response);
    Task<bool> send_head_of_chunks(const char* content_type);  // of an answer whose size is not known yet
    Task<void> drain();  // takes what is in flight, so that closing does not reset the connection before the answer was read
    Task<bool> turn_away(Error error);
    void deadline(int ms);
    [[nodiscard]] bool reserve_body(std::size_t bytes);
    void release_body();

    // Routes. Each answers or hands the connection over; false ends the connection.
    Task<bool> dispatch();
    Task<bool> token();
    Task<bool> publish(const std::string& product);
    Task<Status> seal(ProductNo product, std::vector<ports::AppendItem>& items);
    Task<bool> subscribe(const std::string& product);
    Task<bool> endpoints(const std::string& product);
    Task<bool> preflight(const std::string& allow);
    Task<bool> ticket(const std::string& product);
    [[nodiscard]] Task<Result<Caller>> ticket_holder(const std::string& product);
    [[nodiscard]] std::optional<Error> foreign_page(bool websocket) const;
    Task<bool> usage();
    Task<bool> audit_export(std::string_view role);
    Task<bool> export_content(const std::string& id, std::string_view role);
    Task<bool> forward();
    Task<bool> import_consents(const std::string& name);
    [[nodiscard]] Task<Response> ask(std::string method, std::string target, std::string body);
    [[nodiscard]] Task<bool> send_parts(const std::string& target, std::optional<Response>& refusal);
    void hand_over(ReadRequest request);

    [[nodiscard]] Result<Caller> caller();
    [[nodiscard]] Result<app::SubjectToken> subject_caller();
    [[nodiscard]] Result<Caller> publisher(const std::string& product);
    [[nodiscard]] Result<std::map<std::string, std::string, std::less<>>> ce_headers() const;
    [[nodiscard]] std::optional<Error> query_only(std::initializer_list<std::string_view> known) const;
    [[nodiscard]] std::string header(std::string_view name) const;
    [[nodiscard]] Response refused(const Error& error, const nlohmann::json& members = nullptr) const { return problem(error, request_id_, members); }
    [[nodiscard]] Response not_allowed(const std::string& allow) const;
    [[nodiscard]] std::string head_lines() const;  // what every answer's head says
    void log_request(int status, std::size_t bytes) const;

    EdgeShard& shard_;
    const std::shared_ptr<void> keeper_;  // of the shard
    std::unique_ptr<Transport> transport_;
    boost::asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;

    // The request at hand.
    std::unique_ptr<HeadParser> parser_;  // holds where the body begins
    http::request_header<> head_;
    Target target_;
    std::string request_id_, route_, cors_, body_;
    Body body_state_ = Body::none;
    std::size_t reserved_ = 0;  // of the shard's bytes for bodies
    std::int64_t began_ns_ = 0;
    bool keep_alive_ = true, head_only_ = false, broken_ = false, taken_ = false;

    std::string verified_text_;           // the last token whose signature was verified here
    std::optional<app::Token> verified_;  // what it says

    bool idle_ = false, timed_out_ = false, aborted_ = false;
};

}  // namespace licet::stream
