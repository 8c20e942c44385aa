#include "server/openssl/hmac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

namespace licet::openssl {

Hmac::Hmac(Bytes key) : ctx_(EVP_MAC_CTX_new(hmac_mac())) {
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end()};
    static const std::uint8_t empty = 0;  // a null key would mean "keep the key"
    if (ctx_ && EVP_MAC_init(ctx_.get(), key.empty() ? &empty : key.data(), key.size(), params) != 1) ctx_.reset();
}

bool Hmac::compute(std::initializer_list<Bytes> pieces, std::array<std::uint8_t, 32>& out) noexcept {
    if (!ctx_ || EVP_MAC_init(ctx_.get(), nullptr, 0, nullptr) != 1) return false;
    for (const Bytes piece : pieces)
        if (EVP_MAC_update(ctx_.get(), piece.data(), piece.size()) != 1) return false;
    std::size_t size = 0;
    return EVP_MAC_final(ctx_.get(), out.data(), &size, out.size()) == 1 && size == out.size();
}

ports::Sha256 digest(std::initializer_list<Bytes> pieces) noexcept {
    thread_local const MdCtx ctx(must(EVP_MD_CTX_new(), "memory"));
    ports::Sha256 out{};
    bool ok = EVP_DigestInit_ex2(ctx.get(), sha256_md(), nullptr) == 1;
    for (const Bytes piece : pieces) ok = ok && EVP_DigestUpdate(ctx.get(), piece.data(), piece.size()) == 1;
    if (!ok || EVP_DigestFinal_ex(ctx.get(), out.data(), nullptr) != 1) must<void>(nullptr, "working SHA256");
    return out;
}

}  // namespace licet::openssl
