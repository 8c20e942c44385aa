#include "bench/fanout/floor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "bench/support/client.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr int kStalledMs = 60'000;

double thread_cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}  // namespace

Floor::Floor() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 4096) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        die("the floor cannot listen");
    port_ = ntohs(address.sin_port);
}

Floor::~Floor() {
    ::close(listener_);
    ::close(epoll_);
    for (const int fd : sockets_) ::close(fd);
}

void Floor::accept_all(int count) {
    for (int i = 0; i < count; ++i) {
        const int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) die("the floor cannot accept");
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        set_non_blocking(fd);
        watch(fd, EPOLLOUT | EPOLLET);
        sockets_.push_back(fd);
    }
}

double Floor::send_to_all(std::string_view bytes, std::uint64_t batch_bytes, std::uint64_t window, int progress,
                          const std::function<std::uint64_t()>& batches_read) {
    if (!watches_progress_) watch(progress, EPOLLIN | EPOLLET);
    watches_progress_ = true;
    at_.assign(sockets_.size(), 0);
    const double start = thread_cpu_seconds();
    std::vector<epoll_event> events(sockets_.size() + 1);
    std::size_t finished = 0;
    while (finished < sockets_.size()) {
        const std::uint64_t head = std::min<std::uint64_t>(bytes.size(), (batches_read() + window) * batch_bytes);
        bool moved = false;
        for (std::size_t i = 0; i < sockets_.size(); ++i) {
            if (at_[i] >= head) continue;
            const ssize_t n = ::send(sockets_[i], bytes.data() + at_[i], head - at_[i], MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) continue;
            if (n <= 0) die("a subscriber of the floor is gone");
            moved = true;
            at_[i] += static_cast<std::uint64_t>(n);
            finished += at_[i] == bytes.size();
        }
        if (!moved && ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kStalledMs) == 0)
            die("the subscribers of the floor read nothing");
    }
    return thread_cpu_seconds() - start;
}

void Floor::watch(int fd, std::uint32_t what) {
    epoll_event event{what, {.fd = fd}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll");
}

}  // namespace licet::bench
