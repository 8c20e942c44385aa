// TLS over a non-blocking file descriptor, as the edge uses it; implemented with OpenSSL in server/openssl (directly on the descriptor:
// asio::ssl::stream costs five times the memory, see docs/performance.md). One session belongs to one shard thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "base/encoding.h"

namespace licet::ports {

enum class TlsState { done, want_read, want_write, closed, failed };

struct TlsIo {
    TlsState state = TlsState::failed;
    std::size_t bytes = 0;  // plaintext read or accepted when state is done
};

class TlsSession {
  public:
    virtual ~TlsSession() = default;
    [[nodiscard]] virtual TlsState handshake() noexcept = 0;
    [[nodiscard]] virtual TlsIo read(std::span<char> into) noexcept = 0;
    // Accepts a prefix of `from`. On want_write the session has taken up to one record (16 KiB) of `from` into encrypted form that is not yet in the
    // kernel: call again with the same bytes, or drop the session without close().
    [[nodiscard]] virtual TlsIo write(std::span<const char> from) noexcept = 0;
    virtual void close_notify() noexcept = 0;  // best effort, does not wait

    // Once the handshake is done.
    [[nodiscard]] virtual bool resumed() const noexcept = 0;
    // The kernel encrypts: a write takes what the socket takes, and nothing is held here when it blocks.
    [[nodiscard]] virtual bool kernel_writes() const noexcept = 0;
    // x5t#S256 (RFC 8705) of the certificate the client proved to hold, now or when the resumed session began; empty without one.
    [[nodiscard]] virtual std::string_view peer_thumbprint() const noexcept = 0;
};

class TlsContext {
  public:
    virtual ~TlsContext() = default;
    [[nodiscard]] virtual std::unique_ptr<TlsSession> accept(int fd) = 0;  // server side; nullptr when out of resources
};

}  // namespace licet::ports
