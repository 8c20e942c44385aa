// Everybody else: a process of its own with all subscribers and publishers of every server that is compared, told what to do over a socket pair. It
// must be made before the parent has threads.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace licet::bench {

inline constexpr int kSubscribers = 1000;
inline constexpr std::size_t kCaptureMax = 64 * 1024 * 1024;
inline constexpr std::size_t kSamplesMax = 1u << 18;

// A masked pong with nothing in it, asked for or not (RFC 6455, section 5.5.3): a sign of life.
inline constexpr char kPong[6] = {static_cast<char>(0x8a), static_cast<char>(0x80), 0, 0, 0, 0};

enum class Service : std::uint32_t { licet, licet_tls, floor, floor_tls, relay, nats, nchan, redis, ws, centrifugo, mercure };

struct Order {
    enum class Kind : std::uint32_t {
        connect,  // to server `target`, which is a `service`: subscribers, and `publishers`
        play,     // publish (but for a floor) `batches` of `batch_events`, `window` of them at most under way: published but not yet read by everyone
        pace,     // publish `batches` x `batch_events` events, one every 1e9 / `rate` ns, all that are due in one request; measure each
        replay,   // `replayers` more subscribers read `replay_bytes` each from the beginning of the log, and go; meanwhile pace, when there is a rate
        exit
    } kind{};
    std::uint32_t target = 0;
    Service service{};
    std::uint16_t port = 0, tls_port = 0;
    std::uint32_t contracts = 1, publishers = 1, subscribers = kSubscribers;
    std::uint64_t first_event = 0;
    bool all_consented = false;  // publish only events that name somebody with consent, counted from `first_event` as the first of them
    std::uint32_t batches = 0, batch_events = 0, window = 0;
    std::uint64_t pad = 0;
    std::uint64_t batch_bytes = 0;  // each subscriber gets of a batch, as they are counted; 0: not known yet, the round is one event and tells it
    double rate = 0;
    std::uint32_t replayers = 0;
    std::uint64_t replay_bytes = 0;
};

struct Outcome {
    std::int64_t ns = 0;            // from the first byte published (or the order to read) to the last byte read by the last subscriber
    std::uint64_t bytes = 0;        // each subscriber got
    std::uint64_t frame_bytes = 0;  // of the first frame
    double cpu_seconds = 0;         // this process's: a reader without idle time would be what is measured
    std::uint64_t samples = 0;
    std::int64_t replay_ns = 0;
};

// When an event was due, its request written, the request answered, the event read by the last subscriber.
struct Sample {
    std::int64_t due, written, answered, read;
};

// Mapped into both processes.
struct SharedPage {
    std::atomic<std::uint64_t> batches_read;  // by every subscriber, in this round
    int progress;                             // an eventfd, written when that has changed
    Sample samples[kSamplesMax];              // of the last paced round
    char capture[kCaptureMax];                // what subscriber 0 got in the last round published to a node
};

class Crowd {
  public:
    // Forks. `core`: of the crowd. `secret`: of the node's clients.
    Crowd(int core, const std::string& secret);
    ~Crowd();
    Crowd(const Crowd&) = delete;

    void tell(const Order& order);
    [[nodiscard]] Outcome wait();  // dies when the crowd died
    [[nodiscard]] Outcome run(const Order& order) {
        tell(order);
        return wait();
    }
    [[nodiscard]] std::uint64_t batches_read() const noexcept { return page_->batches_read.load(std::memory_order_acquire); }
    // Readable after batches_read() has changed.
    [[nodiscard]] int progress() const noexcept { return page_->progress; }
    [[nodiscard]] const char* capture() const noexcept { return page_->capture; }
    [[nodiscard]] const Sample* samples() const noexcept { return page_->samples; }

  private:
    SharedPage* page_;
    int link_ = -1;
    pid_t child_ = -1;
};

void announce_progress(SharedPage& page);

// Life of the child.
[[noreturn]] void live_as_crowd(SharedPage& page, int link, const std::string& secret);

}  // namespace licet::bench
