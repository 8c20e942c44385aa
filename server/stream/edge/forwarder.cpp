#include "server/stream/edge/forwarder.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::stream {

namespace asio = boost::asio;
namespace http = boost::beast::http;

struct Forwarder::Exchange {
    Exchange(asio::io_context& io, std::shared_ptr<void> k) : done(io), keeper(std::move(k)) {}
    http::request<http::string_body> request;
    std::string request_id;
    std::optional<Result<Response>> result;
    asio::steady_timer done;  // cancelled when `result` is there
    std::shared_ptr<void> keeper;
};

namespace {

Error unanswered() { return {Errc::unavailable, "the control plane does not answer", {}}; }

// Only what is named here passes, in either direction.
Response to_response(http::response<http::string_body>& response) {
    Response out{static_cast<int>(response.result_int()), std::string(response[http::field::content_type]), std::move(response.body()), {}, false};
    for (const auto field : {http::field::etag, http::field::location, http::field::retry_after, http::field::cache_control,
                             http::field::www_authenticate, http::field::allow, http::field::content_disposition})
        if (const auto value = response[field]; !value.empty()) out.headers.emplace_back(std::string(http::to_string(field)), std::string(value));
    return out;
}

}  // namespace

asio::awaitable<Result<Response>> Forwarder::forward(ForwardRequest in, std::shared_ptr<void> keeper) {
    if (busy_ >= limits::upstream_connections_max_per_shard) co_return Error{Errc::overloaded, "too many requests wait for the control plane", {}};
    auto exchange = std::make_shared<Exchange>(io_, std::move(keeper));
    auto& request = exchange->request;
    request.version(11);
    request.method_string(in.method);
    request.target(in.target);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::connection, "keep-alive");
    if (!in.content_type.empty()) request.set(http::field::content_type, in.content_type);
    if (!in.if_match.empty()) request.set(http::field::if_match, in.if_match);
    request.set("Licet-Boot-Secret", boot_secret_);
    if (!in.client.empty()) request.set("Licet-Client", in.client);
    if (!in.subject.empty()) request.set("Licet-Subject", in.subject);
    request.set("Licet-Request-Id", in.request_id);
    request.body() = std::move(in.body);
    request.content_length(request.body().size());
    exchange->request_id = std::move(in.request_id);
    exchange->done.expires_after(std::chrono::milliseconds(timeout_ms_));
    ++busy_;
    asio::co_spawn(io_, run(exchange), asio::detached);
    boost::system::error_code cancelled;
    if (!exchange->result) co_await exchange->done.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (exchange->result) co_return *std::move(exchange->result);
    log::warn("edge.control_timeout", {{"request_id", exchange->request_id}});
    co_return unanswered();
}

// A connection that the other side has not closed, nor said anything on.
std::unique_ptr<Forwarder::Socket> Forwarder::idle() {
    while (!idle_.empty()) {
        auto socket = std::move(idle_.back());
        idle_.pop_back();
        char byte;
        boost::system::error_code error;
        socket->non_blocking(true, error);
        socket->receive(asio::buffer(&byte, 1), Socket::message_peek, error);
        if (error == asio::error::would_block) return socket;
    }
    return nullptr;
}

asio::awaitable<void> Forwarder::run(std::shared_ptr<Exchange> exchange) {
    std::optional<Result<Response>> result;
    bool fresh = true;
    if (auto socket = idle()) {
        result = co_await attempt(*exchange, std::move(socket), true);
        // It closed at that very moment. Only what may be asked twice is asked again.
        const auto method = exchange->request.method();
        fresh = !result && method != http::verb::post && method != http::verb::patch;
    }
    if (fresh) {
        boost::system::error_code error;
        auto socket = std::make_unique<Socket>(io_);
        co_await socket->async_connect({asio::ip::address_v4::loopback(), port_}, asio::redirect_error(asio::use_awaitable, error));
        if (!error) {
            socket->set_option(asio::ip::tcp::no_delay(true), error);
            result = co_await attempt(*exchange, std::move(socket), false);
        }
    }
    --busy_;
    if (!result) log::warn("edge.control_failed", {{"request_id", exchange->request_id}});
    exchange->result = result ? *std::move(result) : Result<Response>(unanswered());
    exchange->done.cancel();
}

asio::awaitable<std::optional<Result<Response>>> Forwarder::attempt(Exchange& exchange, std::unique_ptr<Socket> given, bool reused) {
    const std::shared_ptr<Socket> socket = std::move(given);
    asio::steady_timer deadline(io_, std::chrono::milliseconds(limits::upstream_abandoned_timeout_ms));
    deadline.async_wait([socket](const boost::system::error_code& e) {
        boost::system::error_code ignored;
        if (!e) socket->cancel(ignored);
    });
    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await http::async_write(*socket, exchange.request, token);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(limits::upstream_response_max_bytes);
    if (!error) co_await http::async_read(*socket, buffer, parser, token);
    deadline.cancel();
    if (error) {
        if (reused && !parser.got_some() && error != asio::error::operation_aborted) co_return std::nullopt;
        log::warn("edge.control_failed", {{"request_id", exchange.request_id}});
        co_return unanswered();
    }
    auto response = parser.release();
    if (response["Licet-Request-Id"] != exchange.request_id) {
        log::error("edge.control_answer_mismatch", {{"request_id", exchange.request_id}});
        co_return unanswered();
    }
    if (response.keep_alive() && buffer.size() == 0 && idle_.size() < kIdleConnectionsMax)
        idle_.push_back(std::make_unique<Socket>(std::move(*socket)));
    co_return to_response(response);
}

}  // namespace licet::stream
