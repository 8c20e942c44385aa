#include "server/stream/edge/edge.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

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

// Every shard listens on the same address: the kernel spreads connections over them.
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
    if (error) return Error{Errc::unavailable, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message(), {}};
    return acceptor;
}

class RunningEdge final : public Edge, public std::enable_shared_from_this<RunningEdge> {
  public:
    RunningEdge(EdgeOptions options, EdgeServices services)
        : options_(std::move(options)), services_(std::move(services)), blocking_(kBlockingThreads) {}

    Status start(const std::vector<asio::io_context*>& shards) {
        for (std::size_t i = 0; i < shards.size(); ++i) {
            auto acceptor = listen(*shards[i], options_.host, i == 0 ? options_.port : port_, true);
            if (!acceptor) return acceptor.error();
            port_ = acceptor->local_endpoint().port();
            acceptors_.push_back(std::make_unique<tcp::acceptor>(*std::move(acceptor)));
            shards_.push_back(
                std::unique_ptr<EdgeShard>(new EdgeShard{*shards[i], i, options_, services_, blocking_, IngestParser(services_.make_digests()),
                                                         Forwarder(*shards[i], options_.control_port, options_.boot_secret)}));
        }
        auto ops = listen(*shards[0], options_.ops_host, options_.ops_port, false);
        if (!ops) return ops.error();
        ops_port_ = ops->local_endpoint().port();
        ops_ = std::make_unique<tcp::acceptor>(*std::move(ops));
        for (std::size_t i = 0; i < shards.size(); ++i) asio::co_spawn(*shards[i], accept_loop(i), asio::detached);
        asio::co_spawn(*shards[0], ops_loop(), asio::detached);
        return success();
    }

    std::uint16_t port() const noexcept override { return port_; }
    std::uint16_t ops_port() const noexcept override { return ops_port_; }

    void stop_accepting() override {
        for (std::size_t i = 0; i < shards_.size(); ++i)
            asio::post(shards_[i]->io, [self = shared_from_this(), i] {
                self->shards_[i]->stopping = true;
                boost::system::error_code ignored;
                self->acceptors_[i]->close(ignored);
            });
    }
    void stop() override {
        blocking_.stop();
        blocking_.join();
    }

  private:
    asio::awaitable<void> accept_loop(std::size_t index) {
        const auto self = shared_from_this();
        EdgeShard& shard = *shards_[index];
        boost::system::error_code error;
        while (!shard.stopping) {
            tcp::socket socket(shard.io);
            co_await acceptors_[index]->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
            if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
            if (error) {
                // Out of descriptors, most likely: wait for some to come back rather than spin.
                log::error("edge.accept_failed", {{"error", error.message()}});
                asio::steady_timer pause(shard.io, std::chrono::milliseconds(100));
                co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
                continue;
            }
            if (shard.connections >= limits::connections_max_per_shard) continue;  // the socket closes
            std::unique_ptr<ports::TlsSession> tls;
            if (services_.tls) {
                tls = services_.tls->accept(socket.native_handle());
                if (!tls) continue;
            }
            Connection::run(shard, std::make_unique<Transport>(std::move(socket), std::move(tls)));
        }
    }

    asio::awaitable<void> ops_loop() {
        const auto self = shared_from_this();
        boost::system::error_code error;
        for (;;) {
            tcp::socket socket(shards_[0]->io);
            co_await ops_->async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
            if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
            if (!error) asio::co_spawn(shards_[0]->io, serve_ops(std::move(socket), services_), asio::detached);
        }
    }

    const EdgeOptions options_;
    const EdgeServices services_;
    asio::thread_pool blocking_;
    std::uint16_t port_ = 0, ops_port_ = 0;
    std::vector<std::unique_ptr<EdgeShard>> shards_;
    std::vector<std::unique_ptr<tcp::acceptor>> acceptors_;
    std::unique_ptr<tcp::acceptor> ops_;
};

}  // namespace

Result<std::shared_ptr<Edge>> Edge::start(std::vector<asio::io_context*> shards, EdgeOptions options, EdgeServices services) {
    auto edge = std::make_shared<RunningEdge>(std::move(options), std::move(services));
    if (auto started = edge->start(shards); !started) return started.error();
    return std::shared_ptr<Edge>(std::move(edge));
}

}  // namespace licet::stream
