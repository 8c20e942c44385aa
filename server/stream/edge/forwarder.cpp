#include "server/stream/edge/forwarder.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::stream {

namespace asio = boost::asio;
namespace http = boost::beast::http;

asio::awaitable<Result<Response>> Forwarder::forward(ForwardRequest in) {
    const Error failed{Errc::unavailable, "the control plane does not answer", {}};
    http::request<http::string_body> request;
    request.version(11);
    request.method_string(in.method);
    request.target(in.target);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::connection, "keep-alive");
    if (!in.content_type.empty()) request.set(http::field::content_type, in.content_type);
    if (!in.if_match.empty()) request.set(http::field::if_match, in.if_match);
    if (!in.idempotency_key.empty()) request.set("Idempotency-Key", in.idempotency_key);
    request.set("Licet-Boot-Secret", boot_secret_);
    if (!in.client.empty()) request.set("Licet-Client", in.client);
    request.set("Licet-Request-Id", in.request_id);
    request.body() = std::move(in.body);
    request.content_length(request.body().size());

    boost::system::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    // An idle connection may have been closed by the other side: then, and only for a request that was not answered at all, a fresh one is tried.
    for (int attempt = 0; attempt < 2; ++attempt) {
        std::unique_ptr<asio::ip::tcp::socket> socket;
        const bool reused = attempt == 0 && !idle_.empty();
        if (reused) {
            socket = std::move(idle_.back());
            idle_.pop_back();
        } else {
            socket = std::make_unique<asio::ip::tcp::socket>(io_);
            co_await socket->async_connect({asio::ip::address_v4::loopback(), port_}, token);
            if (error) co_return failed;
            socket->set_option(asio::ip::tcp::no_delay(true), error);
        }
        asio::steady_timer deadline(io_, std::chrono::milliseconds(limits::upstream_timeout_ms));
        deadline.async_wait([raw = socket.get()](const boost::system::error_code& e) {
            boost::system::error_code ignored;
            if (!e) raw->cancel(ignored);
        });
        co_await http::async_write(*socket, request, token);
        boost::beast::flat_buffer buffer;
        http::response_parser<http::string_body> parser;
        parser.body_limit(limits::upstream_response_max_bytes);
        if (!error) co_await http::async_read(*socket, buffer, parser, token);
        deadline.cancel();
        if (error) {
            if (reused && !parser.got_some() && error != asio::error::operation_aborted) continue;
            log::warn("edge.control_failed", {{"request_id", in.request_id}});
            co_return failed;
        }
        auto response = parser.release();
        if (response["Licet-Request-Id"] != in.request_id) {
            log::error("edge.control_answer_mismatch", {{"request_id", in.request_id}});
            co_return failed;
        }
        Response out{
            static_cast<int>(response.result_int()), std::string(response[http::field::content_type]), std::move(response.body()), {}, false};
        for (const auto field : {http::field::etag, http::field::location, http::field::retry_after, http::field::cache_control,
                                 http::field::www_authenticate, http::field::allow})
            if (const auto value = response[field]; !value.empty()) out.headers.emplace_back(std::string(http::to_string(field)), std::string(value));
        if (response.keep_alive() && idle_.size() < kIdleConnectionsMax) idle_.push_back(std::move(socket));
        co_return out;
    }
    co_return failed;
}

}  // namespace licet::stream
