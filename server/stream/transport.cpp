#include "server/stream/transport.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

#include "base/limits.h"

namespace licet::stream {
namespace {

constexpr std::size_t kTlsRecordBytes = 16 * 1024;

}  // namespace

Transport::Transport(boost::asio::ip::tcp::socket socket, std::unique_ptr<ports::TlsSession> tls) : socket_(std::move(socket)), tls_(std::move(tls)) {
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.native_non_blocking(true, ignored);
    socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    // A link that broke without a word: the kernel tells when nothing is acknowledged, heartbeats included.
    const unsigned unacknowledged_ms = limits::unacknowledged_max_ms;
    (void)::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

Transport::~Transport() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

IoResult Transport::read_some(std::span<char> into) noexcept {
    if (into.empty()) return {IoState::done, 0};
    if (!unread_.empty()) {
        const std::size_t n = std::min(into.size(), unread_.size());
        std::memcpy(into.data(), unread_.data(), n);
        unread_.erase(0, n);
        return {IoState::done, n};
    }
    if (!tls_) {
        ssize_t n;
        do n = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
        while (n < 0 && errno == EINTR);
        if (n > 0) return {IoState::done, static_cast<std::size_t>(n)};
        if (n == 0) return {IoState::closed, 0};
        return {errno == EAGAIN || errno == EWOULDBLOCK ? IoState::blocked : IoState::failed, 0};
    }
    const auto io = tls_->read(into);
    tls_read_wants_write_ = io.state == ports::TlsState::want_write;
    switch (io.state) {
        case ports::TlsState::done:
            return {IoState::done, io.bytes};
        case ports::TlsState::want_read:
        case ports::TlsState::want_write:
            return {IoState::blocked, 0};
        case ports::TlsState::closed:
            return {IoState::closed, 0};
        case ports::TlsState::failed:
            break;
    }
    return {IoState::failed, 0};
}

IoResult Transport::write_some(std::span<const char> from) noexcept {
    if (from.empty()) return {IoState::done, 0};
    if (!tls_) {
        ssize_t n;
        do n = ::send(socket_.native_handle(), from.data(), from.size(), MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n >= 0) return {IoState::done, static_cast<std::size_t>(n)};
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoState::blocked, 0};
        return {errno == EPIPE || errno == ECONNRESET ? IoState::closed : IoState::failed, 0};
    }
    // One record a call. One under way is offered again alone: a longer offer would let the session take the next bytes too and not say so. The
    // kernel makes its own records, and holds nothing it has not taken.
    const auto record = tls_->kernel_writes() ? from : from.first(std::min(from.size(), pending_record_ > 0 ? pending_record_ : kTlsRecordBytes));
    const auto io = tls_->write(record);
    switch (io.state) {
        case ports::TlsState::done:
            pending_record_ = 0;
            return {IoState::done, io.bytes};
        case ports::TlsState::want_read:
        case ports::TlsState::want_write:
            pending_record_ = tls_->kernel_writes() ? 0 : record.size();
            return {IoState::blocked, 0};
        case ports::TlsState::closed:
            return {IoState::closed, 0};
        case ports::TlsState::failed:
            break;
    }
    return {IoState::failed, 0};
}

std::size_t Transport::unsent() noexcept {
    int bytes = 0;
    return ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

boost::asio::socket_base::wait_type Transport::read_wait() const noexcept {
    return tls_read_wants_write_ ? boost::asio::socket_base::wait_write : boost::asio::socket_base::wait_read;
}

void Transport::wait_readable(std::function<void(bool)> ready) {
    if (!unread_.empty()) {
        boost::asio::post(socket_.get_executor(), [ready = std::move(ready)] { ready(true); });
        return;
    }
    socket_.async_wait(read_wait(), [ready = std::move(ready)](const boost::system::error_code& error) { ready(!error); });
}

void Transport::wait_writable(std::function<void(bool)> ready) {
    socket_.async_wait(boost::asio::socket_base::wait_write, [ready = std::move(ready)](const boost::system::error_code& error) { ready(!error); });
}

void Transport::shutdown() noexcept {
    if (tls_) tls_->close_notify();
    boost::system::error_code ignored;
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
}

void Transport::abort() noexcept {
    boost::system::error_code ignored;
    socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
}

}  // namespace licet::stream
