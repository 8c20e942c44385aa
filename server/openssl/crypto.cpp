#include "server/openssl/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "server/openssl/hmac.h"

namespace licet::openssl {
namespace {

class OpensslCrypto final : public ports::Crypto {
  public:
    ports::Sha256 sha256(Bytes data) const override { return digest({data}); }
    ports::Sha256 hmac_sha256(Bytes key, Bytes data) const override {
        ports::Sha256 out{};
        Hmac mac(key);
        if (!mac.compute({data}, out)) must<void>(nullptr, "working HMAC");
        return out;
    }
    bool equal(Bytes a, Bytes b) const noexcept override { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }
    void random(std::span<std::uint8_t> out) const override {
        if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) must<void>(nullptr, "random bytes");
    }
};

class Ed25519Signer final : public ports::Signer {
  public:
    Ed25519Signer(Key key, std::array<std::uint8_t, 32> public_key) : key_(std::move(key)), public_(public_key) {}
    std::array<std::uint8_t, 64> sign(Bytes message) const override {
        std::array<std::uint8_t, 64> out{};
        std::size_t size = out.size();
        const MdCtx ctx(EVP_MD_CTX_new());
        if (!ctx || EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
            EVP_DigestSign(ctx.get(), out.data(), &size, message.data(), message.size()) != 1 || size != out.size())
            must<void>(nullptr, "working Ed25519");
        return out;
    }
    std::array<std::uint8_t, 32> public_key() const override { return public_; }

  private:
    Key key_;
    std::array<std::uint8_t, 32> public_;
};

class Ed25519Verifier final : public ports::Verifier {
  public:
    explicit Ed25519Verifier(Key key) : key_(std::move(key)) {}
    bool verify(Bytes message, Bytes signature) const noexcept override {
        if (signature.size() != 64) return false;
        const MdCtx ctx(EVP_MD_CTX_new());
        return ctx && EVP_DigestVerifyInit(ctx.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
               EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
    }

  private:
    Key key_;
};

// OpenSSL's SIV context does one message: a prepared template is copied per message, which spares the key schedule.
class AesSiv final : public ports::Siv {
  public:
    explicit AesSiv(Bytes key) : sealer_(EVP_CIPHER_CTX_new()), opener_(EVP_CIPHER_CTX_new()), work_(EVP_CIPHER_CTX_new()) {
        ready_ = sealer_ && opener_ && work_ && EVP_EncryptInit_ex2(sealer_.get(), siv_cipher(), key.data(), nullptr, nullptr) == 1 &&
                 EVP_DecryptInit_ex2(opener_.get(), siv_cipher(), key.data(), nullptr, nullptr) == 1;
    }
    bool seal(Bytes plain, Bytes associated, std::span<std::uint8_t> out) noexcept override {
        int n = 0;
        return ready_ && out.size() == plain.size() + kTag && EVP_CIPHER_CTX_copy(work_.get(), sealer_.get()) == 1 &&
               EVP_EncryptUpdate(work_.get(), nullptr, &n, associated.data(), static_cast<int>(associated.size())) == 1 &&
               EVP_EncryptUpdate(work_.get(), out.data() + kTag, &n, plain.data(), static_cast<int>(plain.size())) == 1 &&
               n == static_cast<int>(plain.size()) && EVP_EncryptFinal_ex(work_.get(), out.data() + kTag + n, &n) == 1 &&
               EVP_CIPHER_CTX_ctrl(work_.get(), EVP_CTRL_AEAD_GET_TAG, kTag, out.data()) == 1;
    }
    bool open(Bytes sealed, Bytes associated, std::span<std::uint8_t> plain) noexcept override {
        int n = 0;
        std::array<std::uint8_t, kTag> tag{};
        if (!ready_ || sealed.size() < kTag || plain.size() != sealed.size() - kTag) return false;
        std::copy_n(sealed.begin(), kTag, tag.begin());
        return EVP_CIPHER_CTX_copy(work_.get(), opener_.get()) == 1 &&
               EVP_CIPHER_CTX_ctrl(work_.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1 &&
               EVP_DecryptUpdate(work_.get(), nullptr, &n, associated.data(), static_cast<int>(associated.size())) == 1 &&
               EVP_DecryptUpdate(work_.get(), plain.data(), &n, sealed.data() + kTag, static_cast<int>(plain.size())) == 1 &&
               n == static_cast<int>(plain.size()) && EVP_DecryptFinal_ex(work_.get(), plain.data() + n, &n) == 1;
    }

  private:
    static constexpr int kTag = 16;
    CipherCtx sealer_, opener_, work_;
    bool ready_ = false;
};

}  // namespace

std::shared_ptr<const ports::Crypto> make_crypto() { return std::make_shared<OpensslCrypto>(); }

Result<std::shared_ptr<const ports::Signer>> make_signer(std::string_view pem) {
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr);
    std::array<std::uint8_t, 32> public_key{};
    std::size_t size = public_key.size();
    if (!key || EVP_PKEY_is_a(key.get(), "ED25519") != 1 || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1)
        return Error{Errc::invalid_document, "not an Ed25519 private key in PEM", {}};
    return std::shared_ptr<const ports::Signer>(std::make_shared<Ed25519Signer>(std::move(key), public_key));
}

Result<std::shared_ptr<const ports::Verifier>> make_verifier(Bytes public_key) {
    Key key(public_key.size() == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()) : nullptr);
    if (!key) return Error{Errc::invalid_document, "not a raw Ed25519 public key of 32 bytes", {}};
    return std::shared_ptr<const ports::Verifier>(std::make_shared<Ed25519Verifier>(std::move(key)));
}

std::unique_ptr<ports::Siv> make_siv(Bytes key) {
    if (key.size() != 64) return nullptr;
    return std::make_unique<AesSiv>(key);
}

}  // namespace licet::openssl
