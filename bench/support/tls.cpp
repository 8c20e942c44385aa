#include "bench/support/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

#include "bench/support/machine.h"

namespace licet::bench {
namespace {

SSL_CTX* context(const SSL_METHOD* method) {
    SSL_CTX* out = SSL_CTX_new(method);
    if (out == nullptr || SSL_CTX_set_min_proto_version(out, TLS1_3_VERSION) != 1) die("TLS");
    SSL_CTX_set_mode(out, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return out;
}

template <class Write>
void write_pem(const std::string& path, Write write) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr || write(file) != 1 || std::fclose(file) != 0) die("cannot write " + path);
}

}  // namespace

Certificate make_certificate(const std::string& directory) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
    if (!key || !made) die("no key");
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 24 * 3600);
    X509_NAME* name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(made.get(), name);
    X509_set_version(made.get(), 2);
    X509_set_pubkey(made.get(), key.get());
    if (X509_sign(made.get(), key.get(), EVP_sha256()) == 0) die("no certificate");
    const Certificate out{directory + "/certificate.pem", directory + "/key.pem"};
    write_pem(out.certificate, [&](std::FILE* f) { return PEM_write_X509(f, made.get()); });
    write_pem(out.key, [&](std::FILE* f) { return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    return out;
}

SSL_CTX* tls_client_context() {
    static SSL_CTX* const made = context(TLS_client_method());
    return made;
}

SSL_CTX* tls_server_context(const Certificate& certificate) {
    SSL_CTX* out = context(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(out, certificate.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(out, certificate.key.c_str(), SSL_FILETYPE_PEM) != 1)
        die("the certificate is not taken");
    SSL_CTX_set_num_tickets(out, 0);  // they would be counted as content
    return out;
}

SSL* tls_connect(int fd) {
    SSL* out = SSL_new(tls_client_context());
    if (out == nullptr || SSL_set_fd(out, fd) != 1 || SSL_connect(out) != 1) die("no TLS connection");
    return out;
}

SSL* tls_accept(SSL_CTX* context, int fd) {
    SSL* out = SSL_new(context);
    if (out == nullptr || SSL_set_fd(out, fd) != 1 || SSL_accept(out) != 1) die("no TLS connection");
    return out;
}

}  // namespace licet::bench
