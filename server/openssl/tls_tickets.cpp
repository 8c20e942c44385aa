#include "server/openssl/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/limits.h"
#include "server/openssl/handles.h"
#include "server/openssl/hmac.h"

namespace licet::openssl {
namespace {

const TlsTickets& tickets_of(const SSL* ssl) { return *static_cast<const TlsTickets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl))); }

std::int64_t millis(const ASN1_TIME* at) noexcept {
    struct tm parts {};
    return ASN1_TIME_to_tm(at, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) * 1000 : 0;
}

// The session lives on only so long: kept in the ticket, so that a resumed one cannot outlive it either.
std::int64_t good_until(const SSL* ssl, std::int64_t now) noexcept {
    std::int64_t until = now + limits::tls_resumption_max_ms;
    const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
    for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) until = std::min(until, millis(X509_get0_notAfter(sk_X509_value(chain, i))));
    return until;
}

std::optional<std::int64_t> kept_until(SSL_SESSION* session) noexcept {
    void* data = nullptr;
    std::size_t size = 0;
    std::int64_t until = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 || size != sizeof until) return std::nullopt;
    std::memcpy(&until, data, sizeof until);
    return until;
}

int before_sealing(SSL* ssl, void*) {
    SSL_SESSION* session = SSL_get_session(ssl);
    if (kept_until(session)) return 1;  // resumed: nothing was proved anew
    const auto until = good_until(ssl, tickets_of(ssl).clock().utc_now().value);
    return SSL_SESSION_set1_ticket_appdata(session, &until, sizeof until);
}

SSL_TICKET_RETURN after_opening(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t, SSL_TICKET_STATUS status, void*) {
    if (status == SSL_TICKET_FATAL_ERR_MALLOC || status == SSL_TICKET_FATAL_ERR_OTHER) return SSL_TICKET_RETURN_ABORT;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
    const auto until = kept_until(session);
    return until && tickets_of(ssl).clock().utc_now().value < *until ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
}

int seal_or_open(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
    const auto& tickets = tickets_of(ssl);
    const auto now = tickets.period_now();
    auto key = tickets.key_of(now);
    if (sealing != 0) {
        std::memcpy(name, key.name.data(), key.name.size());
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    } else {
        // One back, for tickets that live on; one ahead, for nodes whose clocks are not quite ours.
        for (const std::int64_t period : {now - 1, now + 1})
            if (std::memcmp(name, key.name.data(), key.name.size()) != 0) key = tickets.key_of(period);
        if (std::memcmp(name, key.name.data(), key.name.size()) != 0) return 0;
    }
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
                                     OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    const bool ready =
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, sealing) == 1 && EVP_MAC_CTX_set_params(mac, parameters) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    return ready ? 1 : -1;
}

}  // namespace

TlsTickets::TlsTickets(std::string secret, std::shared_ptr<const Clock> clock) : secret_(std::move(secret)), clock_(std::move(clock)) {}

std::int64_t TlsTickets::period_now() const noexcept { return clock_->utc_now().value / limits::tls_ticket_key_period_ms; }

TlsTickets::Key TlsTickets::key_of(std::int64_t period) const {
    Hmac hmac(as_bytes(secret_));
    const std::string label = "licet/tls-ticket/1/" + std::to_string(period);
    std::array<std::uint8_t, 32> name{};
    Key key{};
    using namespace std::string_view_literals;
    if (!hmac.compute({as_bytes(label), as_bytes("/name"sv)}, name) || !hmac.compute({as_bytes(label), as_bytes("/cipher"sv)}, key.cipher) ||
        !hmac.compute({as_bytes(label), as_bytes("/mac"sv)}, key.mac))
        (void)must<void>(nullptr, "HMAC");
    std::copy_n(name.begin(), key.name.size(), key.name.begin());
    return key;
}

void TlsTickets::install(SSL_CTX* context, const std::shared_ptr<const TlsTickets>& tickets) {
    // One: every resumption brings the next. It goes out with the handshake, while its buffers are there anyway. No early data: it could be replayed.
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, limits::tls_ticket_lifetime_s);
    SSL_CTX_set_app_data(context, const_cast<TlsTickets*>(tickets.get()));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_or_open);
    SSL_CTX_set_session_ticket_cb(context, before_sealing, after_opening, nullptr);
}

}  // namespace licet::openssl
