#include "bench/support/floor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

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

Floor::Floor(const Certificate& certificate) : tls_(certificate.key.empty() ? nullptr : tls_server_context(certificate)) {
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
    for (const Socket& s : sockets_) {
        SSL_free(s.ssl);
        ::close(s.fd);
    }
    SSL_CTX_free(tls_);
}

void Floor::accept_all(int count) {
    for (int i = 0; i < count; ++i) {
        const int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) die("the floor cannot accept");
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        SSL* ssl = tls_ == nullptr ? nullptr : tls_accept(tls_, fd);
        set_non_blocking(fd);
        watch(fd, EPOLLOUT | EPOLLET);
        sockets_.push_back({fd, ssl});
    }
}

std::uint64_t Floor::send(const Socket& socket, std::string_view bytes) {
    if (socket.ssl == nullptr) {
        const ssize_t n = ::send(socket.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0 && errno != EAGAIN) die("a subscriber of the floor is gone");
        return n > 0 ? static_cast<std::uint64_t>(n) : 0;
    }
    std::uint64_t sent = 0;
    while (sent < bytes.size()) {
        const int n = SSL_write(socket.ssl, bytes.data() + sent, static_cast<int>(std::min<std::size_t>(bytes.size() - sent, INT_MAX)));
        if (n <= 0) {
            if (SSL_get_error(socket.ssl, n) != SSL_ERROR_WANT_WRITE) die("a subscriber of the floor is gone");
            break;
        }
        sent += static_cast<std::uint64_t>(n);
    }
    return sent;
}

double Floor::send_to_all(std::string_view bytes, std::uint64_t batch_bytes, std::uint64_t window, int progress,
                          const std::function<std::uint64_t()>& batches_read) {
    if (!watches_progress_) watch(progress, EPOLLIN | EPOLLET);
    watches_progress_ = true;
    for (Socket& s : sockets_) s.at = 0;
    const double start = thread_cpu_seconds();
    std::vector<epoll_event> events(sockets_.size() + 1);
    std::size_t finished = 0;
    while (finished < sockets_.size()) {
        const std::uint64_t head = std::min<std::uint64_t>(bytes.size(), (batches_read() + window) * batch_bytes);
        bool moved = false;
        for (Socket& s : sockets_) {
            if (s.at >= head) continue;
            const std::uint64_t n = send(s, bytes.substr(s.at, head - s.at));
            moved = moved || n > 0;
            s.at += n;
            finished += n > 0 && s.at == bytes.size();
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
