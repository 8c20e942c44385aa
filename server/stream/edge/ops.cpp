#include "server/stream/edge/ops.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
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
using asio::ip::tcp;

namespace {

constexpr auto kAcceptPause = std::chrono::milliseconds(100);

Response respond(const Ops& ops, http::verb method, const std::string& target) {
    if (target != "/healthz" && target != "/metrics" && target != "/readyz")
        return problem({Errc::not_found, "here are /healthz, /readyz and /metrics", {}}, {});
    if (method != http::verb::get && method != http::verb::head) {
        auto response = problem({Errc::method_not_allowed, "allowed here: GET, HEAD", {}}, {});
        response.headers.emplace_back("Allow", "GET, HEAD");
        return response;
    }
    if (target == "/healthz") return {200, "text/plain", "ok\n", {}, false};
    if (target == "/metrics") return {200, "text/plain; version=0.0.4", ops.services.metrics->text(), {}, false};
    if (ops.draining) return problem({Errc::draining, "this node is going down", {}}, {});
    if (const auto reason = ops.services.not_ready()) return problem({Errc::unavailable, *reason, {}}, {});
    return {200, "text/plain", "ready\n", {}, false};
}

asio::awaitable<void> serve(std::shared_ptr<tcp::socket> socket, Ops& ops, [[maybe_unused]] std::shared_ptr<void> keeper) {
    struct Counted {
        std::size_t& count;
        explicit Counted(std::size_t& c) : count(++c) {}
        ~Counted() { --count; }
    } counted(ops.connections);
    boost::system::error_code error;
    asio::steady_timer deadline(socket->get_executor(), std::chrono::milliseconds(limits::request_header_timeout_ms));
    deadline.async_wait([socket](const boost::system::error_code& e) {
        boost::system::error_code ignored;
        if (!e) socket->cancel(ignored);
    });
    boost::beast::flat_buffer buffer;
    http::request_parser<http::empty_body> parser;
    parser.header_limit(limits::request_header_max_bytes);
    co_await http::async_read_header(*socket, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
        const auto method = parser.get().method();
        const auto response = respond(ops, method, std::string(parser.get().target()));
        const std::string bytes = serialise(response, common_headers(ops.services.clock->utc_now(), {}), false, method == http::verb::head);
        co_await asio::async_write(*socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
        socket->shutdown(tcp::socket::shutdown_send, error);
    }
    deadline.cancel();
}

}  // namespace

asio::awaitable<void> accept_ops(tcp::acceptor& acceptor, Ops& ops) {
    const auto keeper = ops.owner.lock();
    boost::system::error_code error;
    while (acceptor.is_open()) {
        auto socket = std::make_shared<tcp::socket>(acceptor.get_executor());
        co_await acceptor.async_accept(*socket, asio::redirect_error(asio::use_awaitable, error));
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
        if (error) {
            asio::steady_timer pause(acceptor.get_executor(), kAcceptPause);
            co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        } else if (ops.connections < limits::ops_connections_max) {
            asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), ops, keeper), asio::detached);
        }
    }
}

}  // namespace licet::stream
