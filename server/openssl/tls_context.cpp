#include "server/openssl/tls_context.h"

#include <openssl/err.h>

#include <array>
#include <fstream>
#include <sstream>

#include "base/limits.h"
#include "server/openssl/hmac.h"

namespace licet::openssl {
namespace {

// The edge speaks HTTP/1.1 only (RFC 7301): a client that offers protocols without it is refused at the handshake.
int select_http11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size, void*) {
    static const unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours, in, in_size) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

Status take_client_ca(SSL_CTX* ctx, const TlsOptions& options) {
    std::string trusted;
    if (options.clients != ClientCertificates::off) {
        const Error unreadable{Errc::invalid_document, "cannot read PEM certificates from " + options.client_ca_file, {}};
        std::ifstream in(options.client_ca_file, std::ios::binary);
        std::ostringstream all;
        all << in.rdbuf();
        trusted = all.str();
        const Bio text(BIO_new_mem_buf(trusted.data(), static_cast<int>(trusted.size())));
        X509_STORE* store = SSL_CTX_get_cert_store(ctx);
        int count = 0;
        while (X509* one = text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr) {
            const std::unique_ptr<X509, Freer<X509_free>> owned(one);
            if (X509_STORE_add_cert(store, one) != 1 || SSL_CTX_add_client_CA(ctx, one) != 1) return unreadable;
            ++count;
        }
        // The end of the file is an error of this kind, and of no other.
        const auto last = ERR_peek_last_error();
        const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        if (!in || count == 0 || !at_end) return unreadable;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (options.clients == ClientCertificates::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
        SSL_CTX_set_verify_depth(ctx, limits::tls_client_chain_max);
    }
    // A session is resumed only under the rules it began under: another set of CAs, and the client proves itself anew.
    using namespace std::string_view_literals;
    const std::array<std::uint8_t, 1> rule{static_cast<std::uint8_t>(options.clients)};
    const auto id = digest({as_bytes("licet/tls-session/1\0"sv), Bytes(rule.data(), rule.size()), as_bytes(trusted)});
    if (SSL_CTX_set_session_id_context(ctx, id.data(), SSL_MAX_SID_CTX_LENGTH) != 1)
        return Error{Errc::internal, "OpenSSL took no session context", {}};
    return success();
}

}  // namespace

Result<SslCtx> make_context(const TlsOptions& options, const std::shared_ptr<const TlsTickets>& tickets) {
    ERR_clear_error();
    SslCtx ctx(SSL_CTX_new(TLS_server_method()));
    if (!ctx || SSL_CTX_set_min_proto_version(ctx.get(), TLS1_3_VERSION) != 1) return Error{Errc::internal, "TLS 1.3 is not available", {}};
    // Buffers are released between records (13.7 instead of 30 KB an idle connection); writes may be partial and come from a moved tape chunk.
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
#ifdef SSL_OP_ENABLE_KTLS
    if (options.kernel) SSL_CTX_set_options(ctx.get(), SSL_OP_ENABLE_KTLS);
#endif
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    TlsTickets::install(ctx.get(), tickets);
    SSL_CTX_set_alpn_select_cb(ctx.get(), select_http11, nullptr);
    if (SSL_CTX_use_certificate_chain_file(ctx.get(), options.certificate_file.c_str()) != 1)
        return Error{Errc::invalid_document, "cannot read a PEM certificate chain from " + options.certificate_file, {}};
    if (SSL_CTX_use_PrivateKey_file(ctx.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx.get()) != 1)
        return Error{Errc::invalid_document, "cannot read the certificate's private key from " + options.key_file, {}};
    if (auto taken = take_client_ca(ctx.get(), options); !taken) return taken.error();
    return ctx;
}

UtcMillis end_of_certificate(SSL_CTX* context) {
    struct tm parts {};
    const X509* certificate = SSL_CTX_get0_certificate(context);
    if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
    return {static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

}  // namespace licet::openssl
