#include "server/stream/edge/edge.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <future>
#include <utility>

#include "base/limits.h"
#include "server/ports/log.h"
#include "server/stream/edge/connection.h"
#include "server/stream/edge/ops.h"

namespace licet::stream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::size_t kBlockingThreads = 2;
constexpr int kBacklog = 4096;
constexpr std::array kHandshakeOutcomes{"full", "resumed", "failed"};
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kStopWait = std::chrono::seconds(5);

// `shared`: every shard listens on the same address, and the kernel spreads connections over them.
Result<tcp::acceptor> listen(asio::io_context& io, const std::string& host, std::uint16_t port, bool shared) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    tcp::acceptor acceptor(io);
    const tcp::endpoint endpoint(address, port);
    if (!error) acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    const int on = 1;
    if (!error && shared && ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        error.assign(errno, boost::system::system_category());
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(kBacklog, error);
    if (!error) acceptor.non_blocking(true, error);
    if (error) return Error{Errc::unavailable, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message(), {}};
    return acceptor;
}

class RunningEdge final : public Edge, public std::enable_shared_from_this<RunningEdge> {
  public:
    RunningEdge(EdgeOptions options, EdgeServices services)
        : options_(std::move(options)),
          services_(std::move(services)),
          blocking_(kBlockingThreads, limits::blocking_calls_max),
          ticket_calls_(kBlockingThreads, limits::ticket_calls_max),
          refused_(
              services_.metrics->counter("licet_edge_connections_refused_total", "Connections closed at once: the shard has no place for more")) {}

    Status start(const std::vector<asio::io_context*>& shards) {
        port_ = options_.port;
        // Sharing the port among shards would share it with a second node, too: nobody else may have it.
        if (port_ != 0)
            if (auto alone = listen(*shards[0], options_.host, port_, false); !alone) return alone.error();
        for (std::size_t i = 0; i < shards.size(); ++i) {
            auto acceptor = listen(*shards[i], options_.host, port_, true);
            if (!acceptor) return acceptor.error();
            port_ = acceptor->local_endpoint().port();
            acceptors_.push_back(std::make_unique<tcp::acceptor>(*std::move(acceptor)));
            shards_.push_back(std::unique_ptr<EdgeShard>(
                new EdgeShard{*shards[i], i, options_, services_, blocking_, ticket_calls_, weak_from_this(), IngestParser(services_.make_digests()),
                              services_.make_cipher ? services_.make_cipher() : nullptr,
                              Forwarder(*shards[i], options_.control_port, options_.boot_secret, options_.timeouts.upstream_ms)}));
            for (std::size_t outcome = 0; outcome < kHandshakeOutcomes.size(); ++outcome)
                shards_[i]->handshakes[outcome] = &services_.metrics->counter("licet_tls_handshakes_total", "TLS handshakes by outcome",
                                                                              {{"outcome", kHandshakeOutcomes[outcome]}});
        }
        auto ops = listen(*shards[0], options_.ops_host, options_.ops_port, false);
        if (!ops) return ops.error();
        ops_port_ = ops->local_endpoint().port();
        ops_acceptor_ = std::make_unique<tcp::acceptor>(*std::move(ops));
        ops_.owner = weak_from_this();
        for (std::size_t i = 0; i < shards.size(); ++i) asio::co_spawn(*shards[i], accept_loop(i), asio::detached);
        asio::co_spawn(*shards[0], accept_ops(*ops_acceptor_, ops_), asio::detached);
        return success();
    }

    std::uint16_t port() const noexcept override { return port_; }
    std::uint16_t ops_port() const noexcept override { return ops_port_; }

    void stop_accepting() override {
        ops_.draining = true;
        for (std::size_t i = 0; i < shards_.size(); ++i)
            asio::post(shards_[i]->io, [self = shared_from_this(), i] {
                self->shards_[i]->stopping = true;
                boost::system::error_code ignored;
                self->acceptors_[i]->close(ignored);
                for (auto* connection : self->shards_[i]->connections) connection->close_if_idle();
            });
    }

    void stop() override {
        stop_accepting();
        for (auto* pool : {&blocking_, &ticket_calls_}) {
            pool->calls += pool->max;  // none begins any more
            pool->pool.join();
        }
        std::vector<std::future<void>> ended;
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            auto promise = std::make_shared<std::promise<void>>();
            ended.push_back(promise->get_future());
            asio::post(shards_[i]->io, [self = shared_from_this(), i, promise] {
                if (i == 0) {
                    boost::system::error_code ignored;
                    self->ops_acceptor_->close(ignored);
                }
                auto& shard = *self->shards_[i];
                if (shard.connections.empty()) return promise->set_value();
                shard.emptied = [promise] { promise->set_value(); };
                for (auto* connection : shard.connections) connection->abort();
            });
        }
        const auto until = std::chrono::steady_clock::now() + kStopWait;
        for (auto& one : ended)
            if (one.wait_until(until) != std::future_status::ready) log::warn("edge.stop_incomplete");
    }

  private:
    asio::awaitable<void> accept_loop(std::size_t index) {
        const auto self = shared_from_this();
        EdgeShard& shard = *shards_[index];
        boost::system::error_code error;
        while (!shard.stopping) {
            tcp::socket socket(shard.io);
            co_await acceptors_[index]->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
            // A storm: one at a time would let in one for each turn of all others.
            for (int taken = 1; !error; ++taken) {
                take(shard, std::exchange(socket, tcp::socket(shard.io)));
                if (taken == limits::accepts_per_turn) break;
                acceptors_[index]->accept(socket, error);
            }
            if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
            if (!error || error == asio::error::would_block || error == asio::error::try_again) continue;
            // Out of descriptors, most likely: wait for some to come back rather than spin.
            log::error("edge.accept_failed", {{"error", error.message()}});
            asio::steady_timer pause(shard.io, kAcceptPause);
            co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        }
    }

    void take(EdgeShard& shard, tcp::socket socket) {
        if (*shard.places >= limits::connections_max_per_shard) return refused_.add();  // the socket closes
        std::unique_ptr<ports::TlsSession> tls;
        if (services_.tls) {
            tls = services_.tls->accept(socket.native_handle());
            if (!tls) return refused_.add();
        }
        auto transport = std::make_unique<Transport>(std::move(socket), std::move(tls));
        ++*shard.places;
        transport->keep(std::shared_ptr<void>(shard.places.get(), [places = shard.places](void*) { --*places; }));
        Connection::run(shard, std::move(transport));
    }

    const EdgeOptions options_;
    const EdgeServices services_;
    BlockingPool blocking_, ticket_calls_;
    ports::Counter& refused_;
    Ops ops_{services_};
    std::uint16_t port_ = 0, ops_port_ = 0;
    std::vector<std::unique_ptr<EdgeShard>> shards_;
    std::vector<std::unique_ptr<tcp::acceptor>> acceptors_;
    std::unique_ptr<tcp::acceptor> ops_acceptor_;
};

}  // namespace

Result<std::shared_ptr<Edge>> Edge::start(std::vector<asio::io_context*> shards, EdgeOptions options, EdgeServices services) {
    auto edge = std::make_shared<RunningEdge>(std::move(options), std::move(services));
    if (auto started = edge->start(shards); !started) return started.error();
    return std::shared_ptr<Edge>(std::move(edge));
}

}  // namespace licet::stream
