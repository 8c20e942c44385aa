// Transport: one client connection, plain or TLS, as non-blocking reads and writes plus readiness waits. The edge reads requests through it (it is an
// AsyncStream for Beast, see edge/), then delivery takes it over for streams and writes tape bytes directly. One shard thread; not thread-safe.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/ports/tls.h"

namespace licet::stream {

enum class IoState : std::uint8_t { done, blocked, closed, failed };
struct IoResult {
    IoState state = IoState::failed;
    std::size_t bytes = 0;
};

class Transport {
  public:
    // `tls` null: plain. The socket is made non-blocking, TCP_NODELAY set.
    Transport(boost::asio::ip::tcp::socket socket, std::unique_ptr<ports::TlsSession> tls);
    ~Transport();  // closes
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    [[nodiscard]] bool secure() const noexcept { return tls_ != nullptr; }
    [[nodiscard]] boost::asio::ip::tcp::socket& socket() noexcept { return socket_; }
    [[nodiscard]] ports::TlsSession* tls() noexcept { return tls_.get(); }

    // Never blocks. `blocked`: wait for readiness and call again; a TLS write must then be repeated with the same bytes (pending_record()).
    [[nodiscard]] IoResult read_some(std::span<char> into) noexcept;
    [[nodiscard]] IoResult write_some(std::span<const char> from) noexcept;
    // Bytes of the last blocked TLS write that the session already holds encrypted (0 for plain, or when nothing is pending). Abandoning them means
    // closing.
    [[nodiscard]] std::size_t pending_record() const noexcept { return pending_record_; }

    // Bytes the kernel has taken and the peer's has not acknowledged.
    [[nodiscard]] std::size_t unsent() noexcept;

    // One outstanding wait of each kind; the handler runs on the shard thread with false when cancelled or closed.
    void wait_readable(std::function<void(bool)> ready);
    void wait_writable(std::function<void(bool)> ready);

    // What a blocked read waits for.
    [[nodiscard]] boost::asio::socket_base::wait_type read_wait() const noexcept;

    // Decrypted bytes not consumed by whoever read before (left-over of the HTTP parser) are returned first by read_some.
    void unread(std::string_view bytes) { unread_.insert(0, bytes); }

    // Kept as long as the connection: its place among those a shard may have.
    void keep(std::shared_ptr<void> place) noexcept { place_ = std::move(place); }

    void shutdown() noexcept;  // TLS close_notify, then FIN
    void abort() noexcept;     // RST, dropping what the kernel has not sent yet

  private:
    boost::asio::ip::tcp::socket socket_;
    std::unique_ptr<ports::TlsSession> tls_;
    std::string unread_;
    std::shared_ptr<void> place_;
    std::size_t pending_record_ = 0;
    bool tls_read_wants_write_ = false;
};

}  // namespace licet::stream
