// The subscribers' process: opens the connections, publishes through the same door a producer uses, reads everything.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/fanout/subscribers.h"
#include "bench/support/client.h"
#include "bench/support/feed.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr int kIdleMs = 20'000;  // a round in which nothing happens for so long has failed
constexpr std::uint64_t kPublisherTag = 1u << 20;
constexpr char kPing[2] = {static_cast<char>(0x89), 0};  // the heartbeat of a stream that had nothing to say

class Reader {
  public:
    Reader(SharedPage& page, std::string secret) : page_(page), secret_(std::move(secret)) {}

    Outcome obey(const Round& round) {
        switch (round.kind) {
            case Round::Kind::connect_server:
                connect_server(round);
                return {};
            case Round::Kind::connect_floor:
                for (int i = 0; i < kSubscribers; ++i) floor_.add(connect_loopback(round.port), static_cast<std::uint64_t>(i));
                return {};
            case Round::Kind::publish_and_read:
                return play(round, server_, true);
            case Round::Kind::read_only:
                return play(round, floor_, false);
            case Round::Kind::exit:
                break;
        }
        ::_exit(0);
    }

  private:
    struct Sockets {
        int epoll = ::epoll_create1(EPOLL_CLOEXEC);
        std::vector<int> fds;
        void add(int fd, std::uint64_t tag) {
            set_non_blocking(fd);
            epoll_event event{EPOLLIN, {.u64 = tag}};
            if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
            fds.push_back(fd);
        }
    };

    void connect_server(const Round& round) {
        std::vector<std::string> tokens;
        const int fd = connect_loopback(round.port);
        for (std::uint32_t i = 0; i < round.contracts; ++i) tokens.push_back(fetch_token(fd, "reader-" + std::to_string(i), secret_));
        token_ = fetch_token(fd, "publisher", secret_);
        ::close(fd);
        for (int i = 0; i < kSubscribers; ++i) {
            const int socket = connect_loopback(round.port);
            open_websocket(socket, tokens[static_cast<std::size_t>(i) % tokens.size()]);
            server_.add(socket, static_cast<std::uint64_t>(i));
        }
        for (std::uint32_t i = 0; i < round.publishers; ++i) {
            const int socket = connect_loopback(round.port);
            publishers_.push_back(std::make_unique<Publisher>(socket));
            // Edge-triggered: the publisher always goes as far as it can.
            epoll_event event{EPOLLIN | EPOLLOUT | EPOLLET, {.u64 = kPublisherTag + i}};
            if (::epoll_ctl(server_.epoll, EPOLL_CTL_ADD, socket, &event) != 0) die("epoll");
        }
    }

    void prepare_requests(const Round& round) {
        requests_.clear();
        std::uint64_t n = round.first_event;
        for (std::uint32_t b = 0; b < round.batches; ++b) {
            std::string body;
            for (std::uint32_t i = 0; i < round.batch_events; ++i) body.append(document(n++, round.pad)).append("\n");
            requests_.push_back(publish_request(token_, body));
        }
    }

    Outcome play(const Round& round, Sockets& sockets, bool publishing) {
        if (publishing) {
            prepare_requests(round);
            drain(sockets);
        }
        received_.assign(kSubscribers, 0);
        passed_.assign(round.batches + 1, 0);
        const double cpu = process_cpu_seconds();
        const std::int64_t start = now_ns();
        next_request_ = 0;
        std::uint64_t done = 0;  // batches that everyone has
        std::vector<epoll_event> events(kSubscribers + 64);
        while (done < round.batches) {
            if (publishing) publish(round, done);
            const int count = ::epoll_wait(sockets.epoll, events.data(), static_cast<int>(events.size()), kIdleMs);
            if (count == 0) die("nothing arrives: " + std::to_string(done) + " of " + std::to_string(round.batches) + " batches");
            for (int i = 0; i < count; ++i) {
                const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
                if (tag >= kPublisherTag)
                    (void)publishers_[tag - kPublisherTag]->advance();
                else
                    read(round, sockets.fds[tag], tag, publishing);
            }
            while (done < round.batches && passed_[done] == kSubscribers) ++done;
            if (done != page_.batches_read.exchange(done, std::memory_order_acq_rel)) announce_progress(page_);
        }
        Outcome out;
        out.ns = now_ns() - start;
        out.bytes = received_[0];
        out.cpu_seconds = process_cpu_seconds() - cpu;
        if (publishing) out.frame_bytes = frame_bytes();
        while (publishing && !all_idle()) {
            for (auto& p : publishers_)
                if (!p->idle()) (void)p->advance();
        }
        return out;
    }

    bool all_idle() const {
        for (const auto& p : publishers_)
            if (!p->idle()) return false;
        return true;
    }

    void publish(const Round& round, std::uint64_t done) {
        for (auto& p : publishers_) {
            if (next_request_ == round.batches || next_request_ >= done + round.window) return;
            if (p->idle()) (void)p->begin(requests_[next_request_++], round.batch_events);
        }
    }

    // Subscriber 0 keeps what it got; the others' bytes are counted and dropped by the kernel, so that reading is not what is measured.
    void read(const Round& round, int fd, std::uint64_t index, bool publishing) {
        ssize_t n;
        if (publishing && index == 0) {
            if (received_[0] == kCaptureMax) die("a round is larger than what is kept of it");
            n = ::recv(fd, page_.capture + received_[0], kCaptureMax - received_[0], 0);
        } else {
            n = ::recv(fd, nullptr, 4 * 1024 * 1024, MSG_TRUNC);
        }
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) die("the server closed a subscriber's connection");
        if (publishing && index == 0 && received_[0] == 0 && n >= 2 && page_.capture[0] == kPing[0] && page_.capture[1] == kPing[1])
            std::memmove(page_.capture, page_.capture + 2, static_cast<std::size_t>(n -= 2));
        const std::uint64_t size = round.batch_bytes != 0 ? round.batch_bytes : static_cast<std::uint64_t>(n);
        if (size == 0) return;
        const std::uint64_t before = std::min<std::uint64_t>(received_[index] / size, round.batches);
        received_[index] += static_cast<std::uint64_t>(n);
        const std::uint64_t after = std::min<std::uint64_t>(received_[index] / size, round.batches);
        // A heartbeat that was late for the pause before the round may be counted with it.
        if (received_[index] > round.batches * size + sizeof kPing) die("a subscriber got more than was sent to it");
        for (std::uint64_t b = before; b < after; ++b) ++passed_[b];
    }

    // What came while nobody measured: heartbeats.
    static void drain(Sockets& sockets) {
        for (const int fd : sockets.fds)
            while (::recv(fd, nullptr, 1 << 20, MSG_TRUNC) > 0) {
            }
    }

    std::uint64_t frame_bytes() const {
        const auto byte = [&](int i) { return static_cast<unsigned char>(page_.capture[i]); };
        if (byte(0) != 0x81) die("expected a WebSocket text message");
        if (byte(1) < 126) return 2u + byte(1);
        if (byte(1) == 126) return 4u + (static_cast<std::uint64_t>(byte(2)) << 8 | byte(3));
        die("a message is larger than expected");
    }

    SharedPage& page_;
    const std::string secret_;
    Sockets server_, floor_;
    std::string token_;
    std::vector<std::unique_ptr<Publisher>> publishers_;
    std::vector<std::string> requests_;
    std::size_t next_request_ = 0;
    std::vector<std::uint64_t> received_;
    std::vector<int> passed_;  // per batch: how many subscribers have it whole
};

}  // namespace

void read_for_ever(SharedPage& page, int link, const std::string& secret) {
    Reader reader(page, secret);
    for (;;) {
        Round round;
        const ssize_t n = ::recv(link, &round, sizeof round, 0);
        if (n != sizeof round) ::_exit(0);
        const Outcome out = reader.obey(round);
        if (::send(link, &out, sizeof out, MSG_NOSIGNAL) != sizeof out) ::_exit(0);
    }
}

}  // namespace licet::bench
