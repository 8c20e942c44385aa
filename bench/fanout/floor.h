// The floor: what the kernel allows. One thread, as many sockets, the same bytes already framed in one buffer, one send() per socket of everything it
// has not got yet. No policy, no log, no metering, no framing.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace licet::bench {

class Floor {
  public:
    Floor();  // listens
    ~Floor();
    Floor(const Floor&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    void accept_all(int count);
    // Sends `bytes` to every socket, at most `window` batches ahead of `batches_read()`, and sleeps while there is nothing to send or no room.
    // `progress` becomes readable after batches_read() has changed. Returns the processor time it took, in seconds.
    double send_to_all(std::string_view bytes, std::uint64_t batch_bytes, std::uint64_t window, int progress,
                       const std::function<std::uint64_t()>& batches_read);

  private:
    void watch(int fd, std::uint32_t what);
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::vector<int> sockets_;
    std::vector<std::uint64_t> at_;
    int epoll_ = -1;
    bool watches_progress_ = false;
};

}  // namespace licet::bench
