#include "server/openssl/tls.h"

#include <openssl/err.h>

#include <algorithm>
#include <climits>

#include "server/openssl/handles.h"

namespace licet::openssl {
namespace {

using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslCtx = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

class OpensslSession final : public ports::TlsSession {
  public:
    explicit OpensslSession(Ssl ssl) : ssl_(std::move(ssl)) {}

    ports::TlsState handshake() noexcept override {
        ERR_clear_error();
        return state_of(SSL_accept(ssl_.get()));
    }
    ports::TlsIo read(std::span<char> into) noexcept override {
        ERR_clear_error();
        const int n = SSL_read(ssl_.get(), into.data(), clamp(into.size()));
        return n > 0 ? ports::TlsIo{ports::TlsState::done, static_cast<std::size_t>(n)} : ports::TlsIo{state_of(n), 0};
    }
    ports::TlsIo write(std::span<const char> from) noexcept override {
        if (from.empty()) return {ports::TlsState::done, 0};
        ERR_clear_error();
        const int n = SSL_write(ssl_.get(), from.data(), clamp(from.size()));
        return n > 0 ? ports::TlsIo{ports::TlsState::done, static_cast<std::size_t>(n)} : ports::TlsIo{state_of(n), 0};
    }
    void close_notify() noexcept override {
        if (failed_) return;  // after a fatal error the protocol allows no further call
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }

  private:
    static int clamp(std::size_t n) noexcept { return static_cast<int>(std::min<std::size_t>(n, INT_MAX)); }
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
    Ssl ssl_;
    bool failed_ = false;
};

class OpensslContext final : public ports::TlsContext {
  public:
    explicit OpensslContext(SslCtx context) : context_(std::move(context)) {}
    std::unique_ptr<ports::TlsSession> accept(int fd) override {
        Ssl ssl(SSL_new(context_.get()));
        if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
        return std::make_unique<OpensslSession>(std::move(ssl));
    }

  private:
    SslCtx context_;
};

// The edge speaks HTTP/1.1 only (RFC 7301): a client that offers protocols without it is refused at the handshake.
int select_http11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size, void*) {
    static const unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours, in, in_size) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<ports::TlsContext>> make_tls_context(const std::string& certificate_file, const std::string& key_file) {
    SslCtx ctx(SSL_CTX_new(TLS_server_method()));
    if (!ctx || SSL_CTX_set_min_proto_version(ctx.get(), TLS1_3_VERSION) != 1) return Error{Errc::internal, "TLS 1.3 is not available", {}};
    // Buffers are released between records (13.7 instead of 30 KB an idle connection); writes may be partial and come from a moved tape chunk.
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx.get(), 0);  // streams live long: resumption saves nothing, its tickets cost two records per connection
    SSL_CTX_set_alpn_select_cb(ctx.get(), select_http11, nullptr);
    if (SSL_CTX_use_certificate_chain_file(ctx.get(), certificate_file.c_str()) != 1)
        return Error{Errc::invalid_document, "cannot read a PEM certificate chain from " + certificate_file, {}};
    if (SSL_CTX_use_PrivateKey_file(ctx.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx.get()) != 1)
        return Error{Errc::invalid_document, "cannot read the certificate's private key from " + key_file, {}};
    return std::shared_ptr<ports::TlsContext>(std::make_shared<OpensslContext>(std::move(ctx)));
}

}  // namespace licet::openssl
