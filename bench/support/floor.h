// The floor: what the kernel (and OpenSSL, with a certificate) allows. One thread, as many sockets, the same bytes already framed in one buffer, one
// write per socket of everything it has not got yet. No policy, no log, no metering, no framing.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "bench/support/tls.h"

namespace licet::bench {

class Floor {
  public:
    explicit Floor(const Certificate& certificate = {});  // listens
    ~Floor();
    Floor(const Floor&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    void accept_all(int count);
    // Sends `bytes` to every socket, at most `window` batches ahead of `batches_read()`, and sleeps while there is nothing to send or no room.
    // `progress` becomes readable after batches_read() has changed. Returns the processor time it took, in seconds.
    double send_to_all(std::string_view bytes, std::uint64_t batch_bytes, std::uint64_t window, int progress,
                       const std::function<std::uint64_t()>& batches_read);

  private:
    struct Socket {
        int fd = -1;
        SSL* ssl = nullptr;
        std::uint64_t at = 0;
    };
    void watch(int fd, std::uint32_t what);
    // As much as the socket takes of what is there: bytes sent. With TLS one record of 16 KiB per write.
    static std::uint64_t send(const Socket& socket, std::string_view bytes);
    int listener_ = -1;
    std::uint16_t port_ = 0;
    SSL_CTX* tls_ = nullptr;
    std::vector<Socket> sockets_;
    int epoll_ = -1;
    bool watches_progress_ = false;
};

}  // namespace licet::bench
