#include "server/stream/edge/ops.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>

#include "base/limits.h"
#include "server/stream/edge/response.h"

namespace licet::stream {

namespace asio = boost::asio;
namespace http = boost::beast::http;

asio::awaitable<void> serve_ops(asio::ip::tcp::socket socket, const EdgeServices& services) {
    boost::system::error_code error;
    asio::steady_timer deadline(socket.get_executor(), std::chrono::milliseconds(limits::request_header_timeout_ms));
    deadline.async_wait([&socket](const boost::system::error_code& e) {
        boost::system::error_code ignored;
        if (!e) socket.cancel(ignored);
    });
    boost::beast::flat_buffer buffer;
    http::request_parser<http::empty_body> parser;
    parser.header_limit(limits::request_header_max_bytes);
    co_await http::async_read(socket, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
        deadline.cancel();
        co_return;
    }
    const auto target = std::string(parser.get().target());
    Response response = problem({Errc::not_found, "here are /healthz, /readyz and /metrics", {}}, {});
    if (target == "/healthz") response = {200, "text/plain", "ok\n", {}, false};
    if (target == "/metrics") response = {200, "text/plain; version=0.0.4", services.metrics->text(), {}, false};
    if (target == "/readyz") {
        const auto reason = services.not_ready();
        response = reason ? problem({Errc::unavailable, *reason, {}}, {}) : Response{200, "text/plain", "ready\n", {}, false};
    }
    const std::string bytes = serialise(response, {}, false, false);
    co_await asio::async_write(socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    deadline.cancel();
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
}

}  // namespace licet::stream
