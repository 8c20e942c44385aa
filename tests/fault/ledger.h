// What was withdrawn when, and the judgement of every event that arrives. Written by the threads that withdraw, read by those that receive. Used by
// revocation_race.cc, which says what counts as late.
#pragma once

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fault/kernel_marks.h"

namespace race {

// CLOCK_MONOTONIC, the one clock of this test.
inline std::int64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

// An event's id says whose it is and when it was published: s<subject>-<ns>.
struct EventId {
    std::uint32_t subject = 0;
    std::int64_t published_ns = 0;
};
inline bool find_event_id(std::string_view text, EventId& out) {
    const auto at = text.find("\"id\":\"s");
    if (at == std::string_view::npos) return false;
    const std::string head(text.substr(at + 7, 40));
    return std::sscanf(head.c_str(), "%" SCNu32 "-%" SCNd64, &out.subject, &out.published_ns) == 2;
}

struct Withdrawal {
    enum State : int { standing, called, acknowledged, unconfirmed };
    std::atomic<int> state{standing};
    std::int64_t called_ns = 0, acknowledged_ns = 0;
    std::shared_ptr<const std::vector<Mark>> at_call, at_acknowledgement;  // by port; one reading for all people of a call
};

// Where an event was received: on which connection, and up to which byte of it.
struct Place {
    const char* kind;
    std::uint16_t node_port;
    std::uint32_t port;
    std::int64_t connected_ns;  // taken before connecting
    std::uint64_t offset;
    int fd;  // the subscriber's socket
};

// Whether the server closed the connection, or died: its FIN comes after its last byte.
inline bool closed_by_server(int fd) {
    constexpr int kEstablished = 1;  // of the kernel; <netinet/tcp.h>, which names it, does not go with <linux/tcp.h>
    tcp_info info{};
    socklen_t size = sizeof info;
    return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state != kEstablished;
}

class Ledger {
  public:
    explicit Ledger(std::size_t subjects) : withdrawals_(subjects) {}

    Withdrawal& operator[](std::size_t subject) { return withdrawals_[subject]; }
    [[nodiscard]] std::size_t size() const { return withdrawals_.size(); }

    // Judges an event, or the beginning of one that its connection ended in.
    void received(const EventId& event, const Place& place) {
        ++events;
        if (event.subject >= withdrawals_.size()) return;
        Withdrawal& w = withdrawals_[event.subject];
        const int state = w.state.load(std::memory_order_acquire);
        if (state == Withdrawal::standing || state == Withdrawal::unconfirmed) return;
        // The control: judged by the moment of the call, when nothing was promised yet. A detector that sees must find some.
        if (w.at_call != nullptr && late(event, place, w.called_ns, *w.at_call) != nullptr) ++late_for_the_call;
        if (state != Withdrawal::acknowledged) return;
        if (const char* why = late(event, place, w.acknowledged_ns, *w.at_acknowledgement)) {
            report(event, place, w, why);
        } else {
            ++held_by_the_kernel;
        }
    }
    // Received with a page whose request was sent after `asked_ns`: nothing the kernel held then.
    void paged(const EventId& event, std::uint16_t node_port, std::int64_t asked_ns) {
        ++events;
        if (event.subject >= withdrawals_.size()) return;
        Withdrawal& w = withdrawals_[event.subject];
        if (w.state.load(std::memory_order_acquire) != Withdrawal::acknowledged || w.acknowledged_ns >= asked_ns) return;
        report(event, {"page", node_port, 0, asked_ns, 0, -1}, w, "on a page asked for after the acknowledgement");
    }

    std::atomic<std::uint64_t> events{0}, held_by_the_kernel{0}, late_for_the_call{0}, violations{0};

  private:
    static const char* late(const EventId& event, const Place& place, std::int64_t since_ns, const std::vector<Mark>& marks) {
        if (event.published_ns > since_ns) return "published after it";
        if (place.connected_ns > since_ns) return "on a connection made after it";
        const auto ports = both_ports(place.node_port, place.port);
        const auto at = std::lower_bound(marks.begin(), marks.end(), ports, [](const Mark& m, std::uint32_t p) { return m.ports < p; });
        // The server's socket was gone at the mark: closed, with all it ever wrote in the kernel. (One it has not accepted yet is there.)
        if (at == marks.end() || at->ports != ports) return closed_by_server(place.fd) ? nullptr : "on a connection the server does not have";
        return place.offset > at->written ? "the kernel had not got it" : nullptr;
    }
    void report(const EventId& event, const Place& place, const Withdrawal& w, const char* why) {
        if (++violations > 40) return;
        const auto ms = [&](std::int64_t ns) { return static_cast<double>(ns - w.acknowledged_ns) / 1e6; };
        std::fprintf(stderr, "late: subject %u, %s from :%u, %s: published %.3f ms, connected %.3f ms, received %.3f ms after the acknowledgement\n",
                     event.subject, place.kind, place.node_port, why, ms(event.published_ns), ms(place.connected_ns), ms(now_ns()));
    }

    std::vector<Withdrawal> withdrawals_;
};

}  // namespace race
