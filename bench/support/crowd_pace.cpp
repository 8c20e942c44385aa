#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "bench/support/crowd_server.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr int kReadsBetweenLooks = 32;  // at what is due: reading must not hold publishing up

class Pace {
  public:
    Pace(const Order& order, CrowdServer& server, SharedPage& page) : order_(order), server_(server), page_(page) {
        total_ = order.rate > 0 ? static_cast<std::uint64_t>(order.batches) * order.batch_events : 0;
        if (total_ > kSamplesMax) die("more events than samples are kept of");
    }

    Outcome run() {
        // Without live events only heartbeats come, which complete nothing.
        server_.begin(std::max<std::uint64_t>(total_, 1), total_ > 0 ? order_.batch_bytes : 1ull << 40);
        const double cpu = process_cpu_seconds();
        const std::int64_t begun = now_ns();
        for (std::uint32_t i = 0; i < order_.replayers; ++i) add_replay(i);
        start_ = now_ns();
        std::vector<epoll_event> events(server_.subscribers() + order_.replayers + 64);
        while (read_ < total_ || replays_done_ < replays_.size()) {
            const auto wait = publish();
            const timespec timeout{wait / 1'000'000'000, wait % 1'000'000'000};
            const int count = ::epoll_pwait2(server_.epoll(), events.data(), static_cast<int>(events.size()), &timeout, nullptr);
            if (count == 0 && now_ns() - moved_ > kIdleMs * 1'000'000LL)
                die("nothing arrives: " + std::to_string(read_) + " of " + std::to_string(total_) + " events");
            for (int i = 0; i < count; ++i) {
                obey(events[static_cast<std::size_t>(i)].data.u64);
                if (i % kReadsBetweenLooks == kReadsBetweenLooks - 1) (void)publish();
            }
            if (count > 0) moved_ = now_ns();
        }
        Outcome out;
        out.ns = now_ns() - start_;
        out.bytes = server_.received(0);
        out.cpu_seconds = process_cpu_seconds() - cpu;
        out.samples = total_;
        out.replay_ns = replay_end_ - begun;
        while (!server_.sources().empty() && !server_.sources()[0]->idle()) advance();
        return out;
    }

  private:
    struct Replay {
        int fd = -1;
        StreamCounter counter;
        std::uint64_t received = 0;
    };

    void add_replay(std::uint32_t i) {
        const int fd = server_.open_replay(i);
        set_non_blocking(fd);
        epoll_event event{EPOLLIN, {.u64 = kReplayTag + i}};
        if (::epoll_ctl(server_.epoll(), EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
        replays_.push_back({fd, StreamCounter(), 0});
    }

    void obey(std::uint64_t tag) {
        if (tag >= kReplayTag) return read_replay(replays_[tag - kReplayTag]);
        if (tag >= kSourceTag) return advance();
        const std::uint64_t before = read_;
        const std::uint64_t done = server_.read(tag);
        if (total_ == 0 || done == before) return;
        read_ = done;
        const std::int64_t now = now_ns();
        for (std::uint64_t e = before; e < done; ++e) page_.samples[e].read = now;
    }

    void read_replay(Replay& r) {
        if (r.fd < 0) return;
        const auto n = r.counter.take(r.fd);
        if (!n) die("the server closed a replaying connection");
        r.received += *n;
        if (r.received < order_.replay_bytes) return;
        ::close(r.fd);
        r.fd = -1;
        ++replays_done_;
        replay_end_ = now_ns();
    }

    [[nodiscard]] std::int64_t due_at(std::uint64_t event) const {
        return start_ + static_cast<std::int64_t>(static_cast<double>(event) * 1e9 / order_.rate);
    }

    void advance() {
        if (!server_.sources()[0]->advance()) return;
        const std::int64_t now = now_ns();
        for (std::uint64_t e = asked_; e < published_; ++e) page_.samples[e].answered = now;
        asked_ = published_;
    }

    // Whatever is due, in one request, if the last one has been answered. Returns how long to wait for the next that will be due.
    std::int64_t publish() {
        constexpr std::int64_t kLong = 100'000'000;
        if (published_ == total_ || !server_.sources()[0]->idle()) return kLong;
        const std::int64_t now = now_ns();
        if (now < due_at(published_)) return std::min(due_at(published_) - now, kLong);
        const auto due = static_cast<std::uint64_t>(static_cast<double>(now - start_) * order_.rate / 1e9) + 1;
        const std::uint64_t from = published_, to = std::clamp<std::uint64_t>(due, from + 1, std::min(total_, from + order_.batch_events));
        request_ = server_.request(order_, order_.first_event + from, to - from);
        for (std::uint64_t e = from; e < to; ++e) page_.samples[e] = {due_at(e), now, 0, 0};
        published_ = to;
        if (server_.sources()[0]->begin(request_, to - from)) {
            asked_ = to;
            for (std::uint64_t e = from; e < to; ++e) page_.samples[e].answered = now_ns();
            return 0;
        }
        return kLong;
    }

    const Order& order_;
    CrowdServer& server_;
    SharedPage& page_;
    std::string request_;
    std::uint64_t total_ = 0, published_ = 0, asked_ = 0, read_ = 0;
    std::int64_t start_ = 0, moved_ = now_ns(), replay_end_ = 0;
    std::vector<Replay> replays_;
    std::size_t replays_done_ = 0;
};

}  // namespace

Outcome pace(const Order& order, CrowdServer& server, SharedPage& page) { return Pace(order, server, page).run(); }

}  // namespace licet::bench
