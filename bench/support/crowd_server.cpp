#include "bench/support/crowd_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/support/feed.h"
#include "bench/support/machine.h"
#include "bench/support/tls.h"

namespace licet::bench {
namespace {

constexpr std::uint64_t kSurplus = 16;
constexpr std::int64_t kSignNs = 5'000'000'000;
constexpr std::uint64_t kNotAnEvent = 64;  // heartbeats are shorter, events are longer

Framing framing_of(Service service, const Peer* peer) {
    if (service == Service::licet_tls || service == Service::floor_tls) return Framing::tls;
    return peer != nullptr ? peer->framing() : Framing::bytes;
}

}  // namespace

CrowdServer::CrowdServer(const Order& order, SharedPage& page, const std::string& secret)
    : page_(page),
      target_(order.target),
      service_(order.service),
      port_(order.port),
      peer_(make_peer(order.service)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (is_node()) {
        const int fd = connect_loopback(order.port);
        for (std::uint32_t i = 0; i < order.contracts; ++i) tokens_.push_back(fetch_token(fd, "reader-" + std::to_string(i), secret));
        token_ = fetch_token(fd, "publisher", secret);
        ::close(fd);
    }
    const Framing framing = framing_of(service_, peer_.get());
    for (std::uint32_t i = 0; i < order.subscribers; ++i) {
        const int fd = connect_loopback(framing == Framing::tls && is_node() ? order.tls_port : order.port);
        SSL* ssl = framing == Framing::tls ? tls_connect(fd) : nullptr;
        if (is_node()) greet(fd, {{websocket_request(tokens_[i % tokens_.size()], "latest"), kHeadEnd}}, ssl);
        if (peer_) greet(fd, peer_->subscribing());
        // From here on records are counted, not opened, but for subscriber 0's.
        if (i == 0 && is_node()) captured_ = ssl;
        if (!is_node()) {
            SSL_free(ssl);
            ssl = nullptr;
        }
        set_non_blocking(fd);
        watch(fd, EPOLLIN, i);
        subscribers_.push_back({fd, ssl, StreamCounter(framing), 0});
    }
    if (is_floor()) return;
    for (std::uint32_t i = 0; i < order.publishers; ++i) {
        const int fd = connect_loopback(order.port);
        if (peer_) greet(fd, peer_->publishing());
        if (peer_)
            sources_.push_back(std::make_unique<Pourer>(fd));
        else
            sources_.push_back(std::make_unique<Publisher>(fd));
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLET, kSourceTag + i);  // edge-triggered: a source always goes as far as it can
    }
}

void CrowdServer::watch(int fd, std::uint32_t what, std::uint64_t tag) const {
    epoll_event event{what, {.u64 = tag}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
}

std::string CrowdServer::request(const Order& order, std::uint64_t first, std::uint64_t events) const {
    std::string body;
    for (std::uint64_t k = first; k < first + events; ++k) {
        const std::string message = document(order.all_consented ? consented_event(k) : k, order.pad);
        body += peer_ ? peer_->publication(message) : message + "\n";
    }
    return peer_ ? peer_->request(body) : publish_request(token_, body);
}

void CrowdServer::give_sign() {
    if (!is_node() || now_ns() - signed_ns_ < kSignNs) return;
    signed_ns_ = now_ns();
    for (const Subscriber& s : subscribers_) {
        const auto n = s.ssl == nullptr ? ::send(s.fd, kPong, sizeof kPong, MSG_NOSIGNAL) : SSL_write(s.ssl, kPong, sizeof kPong);
        if (n != sizeof kPong) die("a subscriber cannot give a sign");
    }
}

void CrowdServer::begin(std::uint64_t units, std::uint64_t unit_bytes) {
    if (!is_floor()) drain();
    for (Subscriber& s : subscribers_) s.received = 0;
    units_ = units;
    unit_bytes_ = unit_bytes;
    with_everybody_ = 0;
    passed_.assign(units + 1, 0);
}

void CrowdServer::drain() {
    char ignored[4096];
    if (captured_ != nullptr)
        while (SSL_read(captured_, ignored, sizeof ignored) > 0) {
        }
    for (Subscriber& s : subscribers_) {
        if (captured_ != nullptr && &s == &subscribers_[0]) continue;
        while (s.counter.take(s.fd).value_or(0) > 0) {
        }
    }
}

// Subscriber 0 of a node keeps what it got. Bytes taken, 0: none now; negative: the connection ended.
std::int64_t CrowdServer::capture() {
    Subscriber& s = subscribers_[0];
    if (s.received == kCaptureMax) die("a round is larger than what is kept of it");
    char* into = page_.capture + s.received;
    std::int64_t n = 0;
    if (captured_ == nullptr) {
        n = ::recv(s.fd, into, kCaptureMax - s.received, 0);
        if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
    } else {
        // All there is: OpenSSL keeps part of a record, and epoll does not tell of that.
        for (int got = 0; (got = SSL_read(captured_, into + n, static_cast<int>(kCaptureMax - s.received - static_cast<std::uint64_t>(n)))) > 0;)
            n += got;
        if (n == 0) return SSL_get_error(captured_, -1) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    if (s.received == 0 && n >= 2 && std::memcmp(into, kPing, sizeof kPing) == 0) std::memmove(into, into + 2, static_cast<std::size_t>(n -= 2));
    return n;
}

std::uint64_t CrowdServer::read(std::uint64_t index) {
    Subscriber& s = subscribers_[index];
    std::uint64_t n = 0;
    if (index == 0 && is_node()) {
        const std::int64_t got = capture();
        if (got < 0) die("the server closed a subscriber's connection");
        n = static_cast<std::uint64_t>(got);
    } else {
        const auto got = s.counter.take(s.fd);
        if (!got) die("the server closed a subscriber's connection");
        n = *got;
    }
    const auto whole = [&] {
        if (unit_bytes_ == 0) return std::uint64_t{s.received > kNotAnEvent ? 1u : 0u};
        return std::min<std::uint64_t>(s.received / unit_bytes_, units_);
    };
    const std::uint64_t before = whole();
    s.received += n;
    const std::uint64_t after = whole();
    // A heartbeat that was late for the pause before the round may be counted with it, and a PING of nats-server.
    if (unit_bytes_ != 0 && s.received > units_ * unit_bytes_ + kSurplus)
        die("a subscriber of server " + std::to_string(target_) + " got " + std::to_string(s.received) + " bytes of " +
            std::to_string(units_ * unit_bytes_));
    for (std::uint64_t b = before; b < after; ++b) ++passed_[b];
    while (with_everybody_ < units_ && passed_[with_everybody_] == subscribers_.size()) ++with_everybody_;
    return with_everybody_;
}

std::uint64_t CrowdServer::frame_bytes() const {
    const auto byte = [&](int i) { return static_cast<unsigned char>(page_.capture[i]); };
    if (byte(0) != 0x81) die("expected a WebSocket text message");
    if (byte(1) < 126) return 2u + byte(1);
    if (byte(1) == 126) return 4u + (static_cast<std::uint64_t>(byte(2)) << 8 | byte(3));
    die("a message is larger than expected");
}

int CrowdServer::open_replay(std::uint64_t index) const {
    const int fd = connect_loopback(port_);
    greet(fd, {{websocket_request(tokens_[index % tokens_.size()], "earliest"), kHeadEnd}});
    return fd;
}

}  // namespace licet::bench
