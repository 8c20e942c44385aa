#include "server/stream/edge/connection.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>
#include <chrono>
#include <utility>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/ports/log.h"
#include "server/stream/edge/cors.h"
#include "server/stream/edge/head.h"

namespace licet::stream {

namespace asio = boost::asio;

namespace {

constexpr int kDrainMs = 1'000;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kSlowestAnswerBytesPerMs = 64;  // an answer may take so long, beyond the time for a body

Error too_large(std::size_t limit) { return {Errc::body_too_large, "at most " + std::to_string(limit) + " bytes", {}}; }

}  // namespace

Connection::Connection(EdgeShard& shard, std::unique_ptr<Transport> transport)
    : shard_(shard), keeper_(shard.owner.lock()), transport_(std::move(transport)), timer_(shard.io) {
    shard_.connections.insert(this);
}

Connection::~Connection() {
    release_body();
    shard_.connections.erase(this);
    if (!shard_.connections.empty() || !shard_.emptied) return;
    const auto emptied = std::exchange(shard_.emptied, nullptr);
    emptied();
}

void Connection::run(EdgeShard& shard, std::unique_ptr<Transport> transport, std::optional<Owed> owed) {
    auto self = std::make_shared<Connection>(shard, std::move(transport));
    asio::co_spawn(
        shard.io, [self, owed = std::move(owed)]() mutable { return self->serve(std::move(owed)); }, asio::detached);
}

void Connection::close_if_idle() {
    if (idle_) abort();
}

void Connection::abort() {
    aborted_ = true;
    boost::system::error_code ignored;
    if (transport_) transport_->socket().cancel(ignored);
}

// Whoever waits on the socket is cancelled when the time is up.
void Connection::deadline(int ms) {
    timed_out_ = false;
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        // A later deadline may have been set while this handler was on its way.
        if (error || !self || !self->transport_ || self->timer_.expiry() > std::chrono::steady_clock::now()) return;
        self->timed_out_ = true;
        boost::system::error_code ignored;
        self->transport_->socket().cancel(ignored);
    });
}

Task<void> Connection::serve(std::optional<Owed> owed) {
    const auto self = shared_from_this();
    if (owed) {
        request_id_ = std::move(owed->request_id);
        route_ = std::move(owed->route);
        cors_ = std::move(owed->cors);
        keep_alive_ = owed->keep_alive;
        head_only_ = owed->head_only;
        if (owed->error && !co_await answer(problem(*owed->error, request_id_))) keep_alive_ = false;
    } else if (transport_->secure() && !co_await handshake()) {
        co_return;
    }
    while (keep_alive_ && !shard_.stopping) {
        if (!co_await read_head() || !co_await dispatch()) break;
        if (taken_) co_return;
    }
    timer_.cancel();
    transport_->shutdown();
}

Task<bool> Connection::handshake() {
    deadline(shard_.options.timeouts.header_ms);
    boost::system::error_code error;
    auto wait = asio::socket_base::wait_read;
    while (!aborted_) {
        co_await transport_->socket().async_wait(wait, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
        co_await shard_.handshake_turns.mine();
        // The deadline passed meanwhile: it ends waits on the socket once, and not this one.
        if (timed_out_ || aborted_) {
            shard_.handshakes[2]->add();
            co_return false;
        }
        const auto state = transport_->tls()->handshake();
        if (state == ports::TlsState::done) {
            shard_.handshakes[transport_->tls()->resumed() ? 1 : 0]->add();
            co_return true;
        }
        if (state != ports::TlsState::want_read && state != ports::TlsState::want_write) {
            shard_.handshakes[2]->add();
            co_return false;
        }
        wait = state == ports::TlsState::want_read ? asio::socket_base::wait_read : asio::socket_base::wait_write;
    }
    co_return false;
}

Task<bool> Connection::fill() {
    while (!aborted_) {
        const auto space = buffer_.prepare(kReadBytes);
        const auto io = transport_->read_some({static_cast<char*>(space.data()), space.size()});
        if (io.state == IoState::done) {
            buffer_.commit(io.bytes);
            co_return true;
        }
        if (io.state != IoState::blocked) co_return false;
        if (buffer_.size() == 0) buffer_.shrink_to_fit();  // who waits holds no memory
        boost::system::error_code error;
        co_await transport_->socket().async_wait(transport_->read_wait(), asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
    }
    co_return false;
}

Task<bool> Connection::send(std::string bytes) {
    std::string_view rest = bytes;
    while (!rest.empty() && !aborted_) {
        const auto io = transport_->write_some({rest.data(), rest.size()});
        if (io.state == IoState::done) {
            rest.remove_prefix(io.bytes);
            continue;
        }
        if (io.state != IoState::blocked) co_return false;
        boost::system::error_code error;
        co_await transport_->socket().async_wait(asio::socket_base::wait_write, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
    }
    co_return rest.empty();
}

Task<bool> Connection::answer(Response response) {
    // A body nobody read is still on its way: the connection cannot go on behind it.
    const bool cut = response.close || broken_ || body_state_ == Body::unread;
    if (cut || shard_.stopping) keep_alive_ = false;
    log_request(response.status, response.body.size());
    release_body();
    deadline(shard_.options.timeouts.body_ms + static_cast<int>(response.body.size() / kSlowestAnswerBytesPerMs));
    const bool sent = co_await send(serialise(response, head_lines(), keep_alive_, head_only_));
    if (sent && cut) co_await drain();
    co_return sent;
}

Task<void> Connection::drain() {
    transport_->shutdown();
    std::size_t drained = 0;
    deadline(kDrainMs);
    buffer_.consume(buffer_.size());
    while (drained < limits::control_body_max_bytes && co_await fill()) {
        drained += buffer_.size();
        buffer_.consume(buffer_.size());
    }
}

// Answers what cannot be read any further; the connection ends.
Task<bool> Connection::turn_away(Error error) {
    broken_ = true;
    co_await answer(refused(error));
    co_return false;
}

Task<bool> Connection::read_head() {
    parser_.reset();
    body_ = {};
    route_.clear();
    cors_.clear();
    head_only_ = broken_ = taken_ = false;
    body_state_ = Body::none;
    began_ns_ = 0;
    std::array<std::uint8_t, 12> id{};
    shard_.services.crypto->random(id);
    request_id_ = base64url(id);

    std::size_t size = 0;
    bool begun = false;
    deadline(shard_.options.timeouts.keep_alive_ms);
    while (size == 0) {
        if (buffer_.size() > 0) {
            if (!begun) deadline(shard_.options.timeouts.header_ms);
            begun = true;
            const auto found = find_head({static_cast<const char*>(buffer_.data().data()), buffer_.size()});
            if (!found) co_return co_await turn_away(found.error());
            size = *found;
            if (size > 0) break;
        }
        idle_ = !begun;
        const bool more = co_await fill();
        idle_ = false;
        if (more) continue;
        if (begun && timed_out_) co_return co_await turn_away({Errc::request_timeout, "the request's head did not come in time", {}});
        co_return false;
    }
    began_ns_ = shard_.services.clock->monotonic_ns();
    if (auto checked = check_head({static_cast<const char*>(buffer_.data().data()), size}); !checked) co_return co_await turn_away(checked.error());
    parser_ = std::make_unique<HeadParser>();
    parser_->header_limit(limits::request_header_max_bytes);
    parser_->body_limit(boost::none);  // each route has its own
    parser_->eager(false);
    boost::system::error_code error;
    const std::size_t used = parser_->put(asio::buffer(buffer_.data(), size), error);
    if (error || used != size || !parser_->is_header_done()) {
        Error why{Errc::bad_request, "the request is not HTTP/1.1", {}};
        if (error) why.detail += ": " + error.message();
        co_return co_await turn_away(std::move(why));
    }
    buffer_.consume(size);
    if (!parser_->is_done()) body_state_ = Body::unread;
    keep_alive_ = parser_->get().keep_alive();
    // Out of the parser: what a chunked body's trailer adds is not part of it.
    head_ = std::move(parser_->get().base());
    head_only_ = head_.method() == http::verb::head;
    if (head_.version() != 11) co_return co_await turn_away({Errc::bad_request, "expected HTTP/1.1", {}});
    if (shard_.stopping) co_return co_await turn_away({Errc::draining, "this node is going down: connect again", {}});
    co_return true;
}

bool Connection::reserve_body(std::size_t bytes) {
    if (shard_.body_bytes + bytes > limits::request_bodies_max_bytes_per_shard) return false;
    shard_.body_bytes += bytes;
    reserved_ = bytes;
    return true;
}

void Connection::release_body() {
    shard_.body_bytes -= reserved_;
    reserved_ = 0;
    body_ = {};
}

Task<bool> Connection::read_body(std::size_t limit) {
    if (body_state_ == Body::none) co_return true;
    if (const auto encoding = header("Content-Encoding"); !encoding.empty() && !boost::beast::iequals(encoding, "identity"))
        co_return co_await turn_away({Errc::unsupported_media_type, "content encodings are not supported", "header:Content-Encoding"});
    const auto length = parser_->content_length();
    if (length && *length > limit) co_return co_await turn_away(too_large(limit));
    if (!reserve_body(length ? *length : limit)) co_return co_await turn_away({Errc::overloaded, "too many bodies are being received", {}});
    if (boost::beast::iequals(header("Expect"), "100-continue") && buffer_.size() == 0) {
        deadline(shard_.options.timeouts.body_ms);
        const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
        if (!sent) co_return false;
    }
    co_return co_await receive_body(limit);
}

Task<bool> Connection::receive_body(std::size_t limit) {
    deadline(shard_.options.timeouts.body_ms);
    http::request_parser<http::string_body> parser(std::move(*parser_));
    parser.body_limit(limit);
    parser.eager(true);
    boost::system::error_code error;
    for (;;) {
        if (buffer_.size() > 0) {
            const std::size_t used = parser.put(buffer_.data(), error);
            buffer_.consume(used);
            if (error == http::error::body_limit) co_return co_await turn_away(too_large(limit));
            if (error && error != http::error::need_more) co_return co_await turn_away({Errc::bad_request, "the body is malformed", {}});
            if (parser.is_done()) break;
            if (used > 0 && !error && buffer_.size() > 0) continue;
            // Lines between chunks count as heads do.
            if (buffer_.size() > limits::request_header_max_bytes) co_return co_await turn_away({Errc::bad_request, "the body is malformed", {}});
        }
        if (co_await fill()) continue;
        if (timed_out_) co_return co_await turn_away({Errc::request_timeout, "the body did not come in time", {}});
        co_return false;
    }
    body_ = std::move(parser.get().body());
    body_state_ = Body::read;
    co_return true;
}

std::string Connection::header(std::string_view name) const {
    const auto at = head_.find(boost::beast::string_view(name.data(), name.size()));
    return at == head_.end() ? std::string() : std::string(at->value());
}

std::string Connection::head_lines() const { return common_headers(shard_.services.clock->utc_now(), request_id_) + cors_; }

// The route's template and nothing of the target: a query may hold a ticket.
void Connection::log_request(int status, std::size_t bytes) const {
    const auto us = began_ns_ == 0 ? 0 : (shard_.services.clock->monotonic_ns() - began_ns_) / 1000;
    log::debug("edge.request", {{"route", route_}, {"status", status}, {"bytes", bytes}, {"us", us}, {"request_id", request_id_}});
    auto& counter = shard_.responses[{route_, status / 100}];
    if (counter == nullptr)
        counter = &shard_.services.metrics->counter("licet_http_responses_total", "Responses by route and status class",
                                                    {{"route", route_.empty() ? "none" : route_}, {"class", std::to_string(status / 100) + "xx"}});
    counter->add();
}

}  // namespace licet::stream
