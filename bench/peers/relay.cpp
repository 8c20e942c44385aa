// The floor of a server that is published to: one thread takes bytes from publishers as they come and writes each subscriber all it has not got yet.
// No protocol but one letter to say who one is.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "bench/peers/peer.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr std::size_t kReadAtOnce = 256 * 1024;

class Loop {
  public:
    explicit Loop(std::uint16_t port) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, 4096) != 0) die("cannot listen");
        watch(listener_, EPOLLIN);
    }

    [[noreturn]] void run() {
        std::vector<epoll_event> events(4096);
        for (;;) {
            const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == listener_)
                    accept();
                else if (fd == publisher_)
                    take();
                else
                    meet(fd);
            }
            send();
        }
    }

  private:
    struct Subscriber {
        int fd = -1;
        std::size_t at = 0;
    };

    void watch(int fd, std::uint32_t what) const {
        epoll_event event{what, {.fd = fd}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
    }
    void accept() {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
    // A newcomer says who it is; of a subscriber nothing more is read.
    void meet(int fd) {
        char who = 0;
        const ssize_t n = ::recv(fd, &who, 1, 0);
        if (n < 0) return;
        if (n == 0 || who == 0) {
            std::erase_if(subscribers_, [&](const Subscriber& s) { return s.fd == fd; });
            ::close(fd);
            return;
        }
        if (who == 'P')
            publisher_ = fd;
        else
            subscribers_.push_back({fd, tape_.size()});
        if (::send(fd, "k", 1, MSG_NOSIGNAL) != 1) die("a newcomer is gone");
    }
    void take() {
        static char buffer[kReadAtOnce];
        for (ssize_t n = 0; (n = ::recv(publisher_, buffer, sizeof buffer, 0)) > 0;) tape_.append(buffer, static_cast<std::size_t>(n));
    }
    void send() {
        bool all = true;
        for (Subscriber& s : subscribers_) {
            if (s.at == tape_.size()) continue;
            const ssize_t n = ::send(s.fd, tape_.data() + s.at, tape_.size() - s.at, MSG_NOSIGNAL);
            if (n > 0) s.at += static_cast<std::size_t>(n);
            all = all && s.at == tape_.size();
        }
        if (!all) return;
        tape_.clear();
        for (Subscriber& s : subscribers_) s.at = 0;
    }

    int listener_ = -1, publisher_ = -1;
    const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::string tape_;
    std::vector<Subscriber> subscribers_;
};

class Relay final : public Peer {
  public:
    const char* name() const override { return "relay"; }
    std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const override {
        return std::make_unique<Program>("relay", core, directory + "/relay.log", [port] { Loop(port).run(); });
    }
    std::vector<Step> subscribing() const override { return {{"S", "k"}}; }
    std::vector<Step> publishing() const override { return {{"P", "k"}}; }
    std::string publication(std::string_view message) const override { return std::string(message); }
    Framing framing() const override { return Framing::bytes; }
    std::uint64_t delivered_bytes(std::size_t message) const override { return message; }
};

}  // namespace

std::unique_ptr<Peer> make_relay() { return std::make_unique<Relay>(); }

}  // namespace licet::bench
