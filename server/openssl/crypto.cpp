#include "server/openssl/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <vector>

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

using Block = std::array<std::uint8_t, 16>;

void add(Block& to, const std::uint8_t* from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] ^= from[i];
}

// RFC 5297, section 2.3: multiplication by x, without a branch on the value.
Block doubled(const Block& in) {
    Block out;
    for (std::size_t i = 0; i < 15; ++i) out[i] = static_cast<std::uint8_t>(in[i] << 1 | in[i + 1] >> 7);
    out[15] = static_cast<std::uint8_t>(in[15] << 1 ^ (0x87 & -(in[0] >> 7)));
    return out;
}

// AES-256-SIV (RFC 5297). A cursor is sealed for every event and view, and OpenSSL's own context does one message: copying a prepared one costs ten
// times the cipher (ADR 0022). So sealing applies the mode here, over OpenSSL's AES; opening, which is rare, is OpenSSL's alone.
class AesSiv final : public ports::Siv {
  public:
    explicit AesSiv(Bytes key) : opener_(EVP_CIPHER_CTX_new()), work_(EVP_CIPHER_CTX_new()), mac_(aes(key.first(32))), stream_(aes(key.last(32))) {
        ready_ = opener_ && work_ && mac_ && stream_ && EVP_DecryptInit_ex2(opener_.get(), siv_cipher(), key.data(), nullptr, nullptr) == 1 &&
                 encipher(mac_, zero_.data(), 1);
        first_subkey_ = doubled(zero_);
        second_subkey_ = doubled(first_subkey_);
        const Block zeros{};
        ready_ = ready_ && cmac(zeros, nullptr, empty_);
    }
    bool seal(Bytes plain, Bytes associated, std::span<std::uint8_t> out) noexcept override {
        if (!ready_ || plain.empty() || out.size() != plain.size() + kTag || !s2v(plain, associated, tag_)) return false;
        std::copy(tag_.begin(), tag_.end(), out.begin());
        // Counter mode from the tag, two bits of which are cleared (section 2.5): the last 31 bits cannot overflow.
        Block counter = tag_;
        counter[8] &= 0x7f;
        counter[12] &= 0x7f;
        std::array<std::uint8_t, 8 * kTag> key_stream;
        for (std::size_t at = 0; at < plain.size();) {
            const std::size_t n = std::min(plain.size() - at, key_stream.size()), blocks = (n + kTag - 1) / kTag;
            for (std::size_t i = 0; i < blocks; ++i) {
                std::copy(counter.begin(), counter.end(), key_stream.begin() + static_cast<std::ptrdiff_t>(i * kTag));
                for (std::size_t byte = kTag; byte-- > 12;)
                    if (++counter[byte] != 0) break;
            }
            if (!encipher(stream_, key_stream.data(), blocks)) return false;
            for (std::size_t i = 0; i < n; ++i) out[kTag + at + i] = plain[at + i] ^ key_stream[i];
            at += n;
        }
        return true;
    }
    bool open(Bytes sealed, Bytes associated, std::span<std::uint8_t> plain) noexcept override {
        int n = 0;
        Block tag{};
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

    static CipherCtx aes(Bytes key) {
        CipherCtx ctx(EVP_CIPHER_CTX_new());
        if (!ctx || EVP_EncryptInit_ex2(ctx.get(), EVP_aes_256_ecb(), key.data(), nullptr, nullptr) != 1) return nullptr;
        EVP_CIPHER_CTX_set_padding(ctx.get(), 0);
        return ctx;
    }
    static bool encipher(const CipherCtx& aes, std::uint8_t* blocks, std::size_t count) noexcept {
        int n = 0;
        return EVP_EncryptUpdate(aes.get(), blocks, &n, blocks, static_cast<int>(count * kTag)) == 1 && n == static_cast<int>(count * kTag);
    }

    // CMAC (RFC 4493, section 2.4) of `text`, of which the last 16 bytes are first added to `last` when it is given.
    bool cmac(Bytes text, const Block* last, Block& out) noexcept {
        out = {};
        const std::size_t xor_from = last != nullptr ? text.size() - kTag : text.size();
        std::size_t at = 0;
        for (;;) {
            const std::size_t n = std::min<std::size_t>(text.size() - at, kTag);
            Block block{};
            std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(at), n, block.begin());
            for (std::size_t i = 0; i < n; ++i)
                if (at + i >= xor_from) block[i] ^= (*last)[at + i - xor_from];
            at += n;
            if (at == text.size()) {
                if (n < kTag) block[n] ^= 0x80;
                add(block, (n < kTag ? second_subkey_ : first_subkey_).data());
            }
            add(out, block.data());
            if (!encipher(mac_, out.data(), 1)) return false;
            if (at == text.size()) return true;
        }
    }
    // S2V (section 2.4) of one piece of associated data and the text.
    bool s2v(Bytes plain, Bytes associated, Block& out) noexcept {
        if (!std::equal(associated.begin(), associated.end(), associated_.begin(), associated_.end()) || !associated_known_) {
            Block mac;
            if (!cmac(associated, nullptr, mac)) return false;
            chain_ = doubled(empty_);
            add(chain_, mac.data());
            associated_.assign(associated.begin(), associated.end());
            associated_known_ = true;
        }
        if (plain.size() >= kTag) return cmac(plain, &chain_, out);
        Block text = doubled(chain_), padded{};
        std::copy(plain.begin(), plain.end(), padded.begin());
        padded[plain.size()] = 0x80;
        add(text, padded.data());
        return cmac(text, nullptr, out);
    }

    CipherCtx opener_, work_, mac_, stream_;
    Block zero_{}, first_subkey_{}, second_subkey_{}, empty_{};  // zero_: enciphered; empty_: the CMAC of a block of zeros
    std::vector<std::uint8_t> associated_;                       // of the message before, and what it comes to
    Block chain_{}, tag_{};
    bool ready_ = false, associated_known_ = false;
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
