// TLS over a non-blocking file descriptor, as the edge uses it; implemented with OpenSSL in server/openssl (directly on the descriptor:
// asio::ssl::stream costs five times the memory, see docs/performance.md). One session belongs to one shard thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

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
};

class TlsContext {
  public:
    virtual ~TlsContext() = default;
    [[nodiscard]] virtual std::unique_ptr<TlsSession> accept(int fd) = 0;  // server side; nullptr when out of resources
};

}  // namespace licet::ports
