#include "server/openssl/tls.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <fstream>

#include "server/openssl/tls_context.h"

namespace licet::openssl {
namespace {

using SharedContext = std::shared_ptr<SSL_CTX>;

class OpensslSession final : public ports::TlsSession {
  public:
    OpensslSession(Ssl ssl, std::shared_ptr<const TlsTickets> tickets) : ssl_(std::move(ssl)), tickets_(std::move(tickets)) {}

    ports::TlsState handshake() noexcept override {
        ERR_clear_error();
        const auto state = state_of(SSL_accept(ssl_.get()));
        if (state != ports::TlsState::done) return state;
#ifdef SSL_OP_ENABLE_KTLS
        kernel_ = BIO_get_ktls_send(SSL_get_wbio(ssl_.get())) != 0;
#endif
        return take_certificate() ? state : ports::TlsState::failed;
    }
    ports::TlsIo read(std::span<char> into) noexcept override {
        ERR_clear_error();
        const int n = SSL_read(ssl_.get(), into.data(), clamp(into.size()));
        return n > 0 ? ports::TlsIo{ports::TlsState::done, static_cast<std::size_t>(n)} : ports::TlsIo{state_of(n), 0};
    }
    ports::TlsIo write(std::span<const char> from) noexcept override {
        if (from.empty()) return {ports::TlsState::done, 0};
        if (kernel_) return send(from);
        ERR_clear_error();
        const int n = SSL_write(ssl_.get(), from.data(), clamp(from.size()));
        return n > 0 ? ports::TlsIo{ports::TlsState::done, static_cast<std::size_t>(n)} : ports::TlsIo{state_of(n), 0};
    }
    void close_notify() noexcept override {
        if (failed_) return;  // after a fatal error the protocol allows no further call
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    bool resumed() const noexcept override { return SSL_session_reused(ssl_.get()) == 1; }
    bool kernel_writes() const noexcept override { return kernel_; }
    std::string_view peer_thumbprint() const noexcept override { return thumbprint_; }

  private:
    static int clamp(std::size_t n) noexcept { return static_cast<int>(std::min<std::size_t>(n, INT_MAX)); }

    // Plain bytes to the socket, which makes records of them. Not by SSL_write: it would remember where a blocked write's bytes lie, and a tape
    // moves.
    ports::TlsIo send(std::span<const char> from) noexcept {
        ssize_t n;
        do n = ::send(SSL_get_fd(ssl_.get()), from.data(), from.size(), MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n >= 0) return {ports::TlsState::done, static_cast<std::size_t>(n)};
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {ports::TlsState::want_write, 0};
        failed_ = true;
        return {errno == EPIPE || errno == ECONNRESET ? ports::TlsState::closed : ports::TlsState::failed, 0};
    }
    bool take_certificate() noexcept {
        const std::unique_ptr<X509, Freer<X509_free>> certificate(SSL_get1_peer_certificate(ssl_.get()));
        if (!certificate) return true;
        std::array<unsigned char, 32> sha{};
        unsigned size = 0;
        if (SSL_get_verify_result(ssl_.get()) != X509_V_OK || X509_digest(certificate.get(), sha256_md(), sha.data(), &size) != 1) {
            failed_ = true;
            return false;
        }
        thumbprint_ = base64url(sha);
        return true;
    }
    ports::TlsState state_of(int result) noexcept {
        if (result > 0) return ports::TlsState::done;
        switch (SSL_get_error(ssl_.get(), result)) {
            case SSL_ERROR_WANT_READ:
                return ports::TlsState::want_read;
            case SSL_ERROR_WANT_WRITE:
                return ports::TlsState::want_write;
            case SSL_ERROR_ZERO_RETURN:
                return ports::TlsState::closed;
            default:
                failed_ = true;
                return ports::TlsState::failed;
        }
    }
    const Ssl ssl_;
    const std::shared_ptr<const TlsTickets> tickets_;  // the session's context names them
    std::string thumbprint_;
    bool failed_ = false, kernel_ = false;
};

class ReloadableTls final : public ServerTls {
  public:
    explicit ReloadableTls(TlsOptions options)
        : options_(std::move(options)), tickets_(std::make_shared<const TlsTickets>(options_.ticket_secret, options_.clock)) {}

    Status reload() override {
        auto made = make_context(options_, tickets_);
        if (!made) return made.error();
        context_.store(SharedContext(made->release(), SSL_CTX_free));
        return success();
    }
    UtcMillis not_after() const override { return end_of_certificate(context_.load().get()); }

    std::unique_ptr<ports::TlsSession> accept(int fd) override {
        const auto context = context_.load();
        Ssl ssl(SSL_new(context.get()));
        if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
        return std::make_unique<OpensslSession>(std::move(ssl), tickets_);
    }

  private:
    const TlsOptions options_;
    const std::shared_ptr<const TlsTickets> tickets_;
    std::atomic<SharedContext> context_;  // swapped whole; sessions keep the one they began with
};

}  // namespace

Result<std::shared_ptr<ServerTls>> make_server_tls(TlsOptions options) {
    if (options.ticket_secret.empty()) {
        options.ticket_secret.resize(32);
        if (RAND_bytes(reinterpret_cast<unsigned char*>(options.ticket_secret.data()), 32) != 1) return Error{Errc::internal, "no randomness", {}};
    }
    auto tls = std::make_shared<ReloadableTls>(std::move(options));
    if (auto loaded = tls->reload(); !loaded) return loaded.error();
    return std::shared_ptr<ServerTls>(std::move(tls));
}

bool kernel_has_tls() {
    std::ifstream in("/proc/sys/net/ipv4/tcp_available_ulp");
    for (std::string one; in >> one;)
        if (one == "tls") return true;
    return false;
}

}  // namespace licet::openssl
