// The other end of the fan-out: a process of its own with all subscribers and the publisher, told what to do over a socket pair. It must be made
// before the parent has threads.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace licet::bench {

inline constexpr int kSubscribers = 1000;
inline constexpr std::size_t kCaptureMax = 64 * 1024 * 1024;

// One round: `batches` of `batch_bytes` to each subscriber. At most `window` batches are under way: given to the server but not yet read by everyone.
struct Round {
    enum class Kind : std::uint32_t { connect_server, connect_floor, publish_and_read, read_only, exit } kind{};
    std::uint16_t port = 0;
    std::uint32_t contracts = 1;
    std::uint64_t first_event = 0;
    std::uint32_t batches = 0, batch_events = 0, window = 0, publishers = 0;
    std::uint64_t pad = 0;
    std::uint64_t frame_bytes = 0;  // of one delivered event; 0: not known yet, the round is one event and tells it
    std::uint64_t batch_bytes = 0;
};

struct Outcome {
    std::int64_t ns = 0;            // from the first byte published (or the order to read) to the last byte read by the last subscriber
    std::uint64_t bytes = 0;        // each subscriber got
    std::uint64_t frame_bytes = 0;  // of the first frame
    double cpu_seconds = 0;         // this process's: a reader without idle time would be what is measured
};

// Mapped into both processes.
struct SharedPage {
    std::atomic<std::uint64_t> batches_read;  // by every subscriber, in this round
    int progress;                             // an eventfd, written when that has changed
    char capture[kCaptureMax];                // what subscriber 0 got in the last published round
};

class Subscribers {
  public:
    // Forks. `core`: of the subscribers. `secret`: of the clients.
    Subscribers(int core, const std::string& secret);
    ~Subscribers();
    Subscribers(const Subscribers&) = delete;

    void tell(const Round& round);
    [[nodiscard]] Outcome wait();  // dies when the subscribers died
    [[nodiscard]] Outcome run(const Round& round) {
        tell(round);
        return wait();
    }
    [[nodiscard]] std::uint64_t batches_read() const noexcept { return page_->batches_read.load(std::memory_order_acquire); }
    // Readable after batches_read() has changed.
    [[nodiscard]] int progress() const noexcept { return page_->progress; }
    [[nodiscard]] const char* capture() const noexcept { return page_->capture; }

  private:
    SharedPage* page_;
    int link_ = -1;
    pid_t child_ = -1;
};

void announce_progress(SharedPage& page);

// Life of the child.
[[noreturn]] void read_for_ever(SharedPage& page, int link, const std::string& secret);

}  // namespace licet::bench
