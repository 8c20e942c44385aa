#include "bench/connections/opener.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "bench/peers/peer.h"
#include "bench/support/feed.h"
#include "bench/support/machine.h"
#include "bench/support/tls.h"

namespace licet::bench {
namespace {

constexpr std::uint32_t kOfOneAddress = 20'000;  // connections from one loopback address: it has about 28,000 ports
constexpr std::uint64_t kEventBytes = 150;       // an event is longer, heartbeats are not
constexpr std::int64_t kStallNs = 30'000'000'000;

class Client {
  public:
    explicit Client(std::string secret) : secret_(std::move(secret)) {}

    OpenOutcome obey(const OpenOrder& order) {
        if (order.kind == OpenOrder::Kind::open) return open(order);
        if (order.kind == OpenOrder::Kind::event) return event(order);
        for (Connection& c : connections_) close(c);
        connections_.clear();
        return {};
    }

  private:
    enum class State : std::uint8_t { connecting, securing, greeting, open, lost };
    struct Connection {
        int fd = -1;
        State state = State::connecting;
        std::uint8_t step = 0;
        std::uint32_t script = 0;
        SSL* ssl = nullptr;
        std::int64_t began = 0;
        std::uint64_t received = 0;
        std::string got;
    };

    void prepare(const OpenOrder& order) {
        if (!scripts_.empty()) return;
        if (order.service != Service::licet && order.service != Service::licet_tls) {
            scripts_ = {make_peer(order.service)->subscribing()};
            return;
        }
        answers_pings_ = true;
        const int fd = connect_loopback(order.port);
        for (std::uint32_t i = 0; i < order.contracts; ++i)
            scripts_.push_back({{websocket_request(fetch_token(fd, "reader-" + std::to_string(i), secret_), "latest"), kHeadEnd}});
        token_ = fetch_token(fd, "publisher", secret_);
        ::close(fd);
    }

    OpenOutcome open(const OpenOrder& order) {
        prepare(order);
        const std::size_t wanted = connections_.size() + order.count;
        connections_.reserve(wanted);
        took_us_.clear();
        waiting_ = 0;
        const double cpu = process_cpu_seconds();
        const std::int64_t start = now_ns();
        const auto due = [&](std::uint64_t i) {
            return order.rate > 0 ? start + static_cast<std::int64_t>(static_cast<double>(i) * 1e9 / order.rate) : now_ns();
        };
        std::uint64_t begun = 0;
        moved_ = start;
        while (begun < order.count || waiting_ > 0) {
            for (; begun < order.count && waiting_ < order.in_flight && due(begun) <= now_ns(); ++begun) begin(order, due(begun));
            const std::int64_t pause =
                begun < order.count && waiting_ < order.in_flight ? std::max<std::int64_t>(due(begun) - now_ns(), 0) : 100'000'000;
            turn(pause);
            if (now_ns() - moved_ > kStallNs) die("connections hang: " + std::to_string(waiting_));
        }
        OpenOutcome out = state();
        out.ns = now_ns() - start;
        out.cpu_seconds = process_cpu_seconds() - cpu;
        std::sort(took_us_.begin(), took_us_.end());
        if (!took_us_.empty()) {
            out.p50_us = took_us_[took_us_.size() / 2];
            out.p99_us = took_us_[took_us_.size() * 99 / 100];
            out.max_us = took_us_.back();
        }
        return out;
    }

    OpenOutcome event(const OpenOrder& order) {
        for (Connection& c : connections_) c.received = 0;
        have_event_ = 0;
        const std::int64_t start = now_ns();
        Publisher publisher(connect_loopback(order.port));
        const std::string request = publish_request(token_, document(consented_event(next_event_++), 64) + "\n");
        bool answered = publisher.begin(request, 1);
        const auto lost = state().lost;
        for (moved_ = start; have_event_ + lost < connections_.size() || !answered;) {
            if (!publisher.idle()) answered = publisher.advance() || answered;
            turn(1'000'000);
            if (now_ns() - moved_ > kStallNs) die("an event did not reach everybody");
        }
        ::close(publisher.fd());
        OpenOutcome out = state();
        out.ns = now_ns() - start;
        return out;
    }

    OpenOutcome state() const {
        OpenOutcome out;
        for (const Connection& c : connections_) {
            out.open += c.state == State::open;
            out.lost += c.state == State::lost;
        }
        return out;
    }

    void begin(const OpenOrder& order, std::int64_t began) {
        const auto index = static_cast<std::uint32_t>(connections_.size());
        Connection c;
        c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c.fd < 0) die("no descriptor for another connection");
        const int on = 1;
        ::setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / kOfOneAddress);
        if (::bind(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("cannot bind to a loopback address");
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(order.service == Service::licet_tls ? order.tls_port : order.port);
        if (::connect(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) die("cannot connect");
        c.script = index % static_cast<std::uint32_t>(scripts_.size());
        c.began = began;
        if (order.service == Service::licet_tls) {
            c.ssl = SSL_new(tls_client_context());
            if (c.ssl == nullptr || SSL_set_fd(c.ssl, c.fd) != 1) die("no TLS connection");
            SSL_set_connect_state(c.ssl);
        }
        epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = index}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) != 0) die("epoll");
        connections_.push_back(std::move(c));
        ++waiting_;
    }

    void turn(std::int64_t pause) {
        const timespec timeout{0, static_cast<long>(pause)};
        const int count = ::epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
        if (count > 0) moved_ = now_ns();
        for (int i = 0; i < count; ++i) {
            const epoll_event& e = events_[static_cast<std::size_t>(i)];
            Connection& c = connections_[e.data.u64];
            if (c.state == State::connecting && (e.events & EPOLLOUT) != 0) c.state = c.ssl != nullptr ? State::securing : State::greeting;
            if (c.state == State::securing) secure(c);
            if (c.state == State::greeting) greet(c);
            if (c.state == State::open) read(c);
        }
    }

    void secure(Connection& c) {
        const int n = SSL_connect(c.ssl);
        if (n == 1)
            c.state = State::greeting;
        else if (const int error = SSL_get_error(c.ssl, n); error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            lose(c);
    }

    void greet(Connection& c) {
        const auto& steps = scripts_[c.script];
        while (c.state == State::greeting) {
            const Step& step = steps[c.step / 2];
            if (c.step % 2 == 0) {  // to say
                if (!step.say.empty() && write(c, step.say) != static_cast<std::int64_t>(step.say.size())) return lose(c);
                ++c.step;
            }
            while (c.got.find(step.until) == std::string::npos) {
                char buffer[4096];
                const std::int64_t n = receive(c, buffer, sizeof buffer);
                if (n == 0) return;
                if (n < 0) return lose(c);
                c.got.append(buffer, static_cast<std::size_t>(n));
            }
            if (step.say.starts_with("GET ") && !c.got.starts_with("HTTP/1.1 101 ")) return lose(c);
            c.got.erase(0, c.got.find(step.until) + step.until.size());
            if (++c.step == 2 * steps.size()) opened(c);
        }
    }

    void opened(Connection& c) {
        c.state = State::open;
        c.got = {};
        took_us_.push_back(static_cast<double>(now_ns() - c.began) / 1e3);
        --waiting_;
    }

    void read(Connection& c) {
        for (;;) {
            const ssize_t n = ::recv(c.fd, nullptr, 1 << 20, MSG_TRUNC);
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) {
                close(c);
                return;
            }
            // What comes is counted, not opened: little is a heartbeat, and who does not answer those is taken for gone.
            if (n < static_cast<ssize_t>(kEventBytes) && answers_pings_) (void)write(c, std::string(kPong, sizeof kPong));
            const bool had = c.received >= kEventBytes;
            c.received += static_cast<std::uint64_t>(n);
            have_event_ += !had && c.received >= kEventBytes;
        }
    }

    static std::int64_t write(Connection& c, const std::string& text) {
        return c.ssl == nullptr ? ::send(c.fd, text.data(), text.size(), MSG_NOSIGNAL) : SSL_write(c.ssl, text.data(), static_cast<int>(text.size()));
    }
    // Bytes; 0: none now; negative: ended.
    static std::int64_t receive(Connection& c, char* into, std::size_t most) {
        if (c.ssl == nullptr) {
            const ssize_t n = ::recv(c.fd, into, most, 0);
            return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
        }
        const int n = SSL_read(c.ssl, into, static_cast<int>(most));
        return n > 0 ? n : SSL_get_error(c.ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    void lose(Connection& c) {
        --waiting_;
        close(c);
    }
    static void close(Connection& c) {
        SSL_free(c.ssl);
        c.ssl = nullptr;
        if (c.fd >= 0) ::close(c.fd);
        c.fd = -1;
        c.state = State::lost;
    }

    const std::string secret_;
    const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<epoll_event> events_ = std::vector<epoll_event>(1024);
    std::vector<std::vector<Step>> scripts_;  // one for each contract
    std::string token_;
    bool answers_pings_ = false;
    std::vector<Connection> connections_;
    std::vector<double> took_us_;
    std::size_t waiting_ = 0, have_event_ = 0;
    std::int64_t moved_ = 0;
    std::uint64_t next_event_ = 0;
};

}  // namespace

Opener::Opener(int core, const std::string& secret) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) die("cannot make a pair of sockets");
    child_ = ::fork();
    if (child_ < 0) die("cannot fork");
    if (child_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(pair[0]);
        pin_to(core);
        Client client(secret);
        for (OpenOrder order; ::recv(pair[1], &order, sizeof order, 0) == sizeof order;) {
            const OpenOutcome out = client.obey(order);
            if (::send(pair[1], &out, sizeof out, MSG_NOSIGNAL) != sizeof out) break;
        }
        ::_exit(0);
    }
    ::close(pair[1]);
    link_ = pair[0];
}

Opener::~Opener() {
    ::close(link_);
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
}

void Opener::tell(const OpenOrder& order) {
    if (::send(link_, &order, sizeof order, MSG_NOSIGNAL) != sizeof order) die("who opens connections is gone");
}

OpenOutcome Opener::wait() {
    OpenOutcome out;
    if (::recv(link_, &out, sizeof out, 0) != sizeof out) die("who opens connections is gone");
    return out;
}

}  // namespace licet::bench
