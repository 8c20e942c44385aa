// Owning handles of OpenSSL objects and the algorithms fetched once; private to this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace licet::openssl {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using MdCtx = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using MacCtx = std::unique_ptr<EVP_MAC_CTX, Freer<EVP_MAC_CTX_free>>;
using CipherCtx = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

// A process without its algorithms cannot decide or redact anything: it ends rather than go on without.
template <class T>
T* must(T* p, const char* what) noexcept {
    if (p == nullptr) {
        std::fprintf(stderr, "licet: OpenSSL has no %s\n", what);
        std::abort();
    }
    return p;
}

// Fetched once: an implicit fetch per call costs more than the digest of a short value.
inline EVP_MD* sha256_md() noexcept {
    static EVP_MD* const md = must(EVP_MD_fetch(nullptr, "SHA256", nullptr), "SHA256");
    return md;
}
inline EVP_MAC* hmac_mac() noexcept {
    static EVP_MAC* const mac = must(EVP_MAC_fetch(nullptr, "HMAC", nullptr), "HMAC");
    return mac;
}
inline EVP_CIPHER* siv_cipher() noexcept {
    static EVP_CIPHER* const cipher = must(EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr), "AES-256-SIV");
    return cipher;
}

}  // namespace licet::openssl
