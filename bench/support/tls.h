// TLS for benchmarks: a certificate of this run, and both ends of a connection with OpenSSL directly on the socket. The node has its own
// (server/openssl); this is its clients' side, and the floor's.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>

namespace licet::bench {

struct Certificate {
    std::string certificate, key;  // PEM files
};
// ECDSA P-256, self-signed, written below `directory`.
[[nodiscard]] Certificate make_certificate(const std::string& directory);

// TLS 1.3 only. Live as long as the process.
[[nodiscard]] SSL_CTX* tls_client_context();
[[nodiscard]] SSL_CTX* tls_server_context(const Certificate& certificate);

// Blocking; die when the handshake fails. To be freed with SSL_free, which leaves the socket open.
[[nodiscard]] SSL* tls_connect(int fd);
[[nodiscard]] SSL* tls_accept(SSL_CTX* context, int fd);

}  // namespace licet::bench
