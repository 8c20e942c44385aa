#include "server/openssl/sealing.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "server/openssl/hmac.h"

namespace licet::openssl {
namespace {

constexpr int kNonce = 12, kTag = 16;
static_assert(kNonce + kTag == event::ValueCipher::kOverheadBytes);

// nonce | ciphertext | tag. A nonce is 96 random bits (NIST SP 800-38D section 8.2.2): good for 2^32 values under one key, which is why each event's
// values have one of their own.
class AesGcm final : public ports::SealingCipher {
  public:
    AesGcm() : ctx_(must(EVP_CIPHER_CTX_new(), "cipher context")) {}
    ~AesGcm() override = default;

    void use(const ports::SecretKey& key) noexcept override {
        std::copy_n(key.bytes().begin(), key.bytes().size(), root_.raw().begin());
        given_ = true;
        set(root_);
    }

    void drop() noexcept override {
        EVP_CIPHER_CTX_reset(ctx_.get());
        OPENSSL_cleanse(root_.raw().data(), root_.raw().size());
        given_ = keyed_ = false;
    }

    // HMAC-SHA256 as a key derivation function (NIST SP 800-108 with one block: the context begins with its purpose).
    bool derive(Bytes context) noexcept override {
        ports::SecretKey derived;
        keyed_ = false;
        Hmac mac(root_.bytes());
        return given_ && mac.compute({context}, derived.raw()) && set(derived);
    }

    bool seal(Bytes plain, Bytes associated, std::string& out) noexcept override {
        const std::size_t before = out.size();
        std::uint8_t* at = grow(out, plain.size() + kNonce + kTag);
        int n = 0;
        const bool done = keyed_ && at != nullptr && fits(plain, associated) && RAND_bytes(at, kNonce) == 1 &&
                          EVP_CipherInit_ex2(ctx_.get(), nullptr, nullptr, at, 1, nullptr) == 1 &&
                          EVP_CipherUpdate(ctx_.get(), nullptr, &n, associated.data(), static_cast<int>(associated.size())) == 1 &&
                          EVP_CipherUpdate(ctx_.get(), at + kNonce, &n, plain.data(), static_cast<int>(plain.size())) == 1 &&
                          n == static_cast<int>(plain.size()) && EVP_CipherFinal_ex(ctx_.get(), at + kNonce + n, &n) == 1 &&
                          EVP_CIPHER_CTX_ctrl(ctx_.get(), EVP_CTRL_AEAD_GET_TAG, kTag, at + kNonce + plain.size()) == 1;
        if (!done) out.resize(before);
        return done;
    }

    bool open(Bytes sealed, Bytes associated, std::string& out) noexcept override {
        if (!keyed_ || sealed.size() < kNonce + kTag || !fits(sealed, associated)) return false;
        const std::size_t before = out.size(), size = sealed.size() - kNonce - kTag;
        std::array<std::uint8_t, kTag> tag{};
        std::copy_n(sealed.end() - kTag, kTag, tag.begin());
        std::uint8_t* at = grow(out, size);
        int n = 0;
        const bool done = at != nullptr && EVP_CipherInit_ex2(ctx_.get(), nullptr, nullptr, sealed.data(), 0, nullptr) == 1 &&
                          EVP_CIPHER_CTX_ctrl(ctx_.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1 &&
                          EVP_CipherUpdate(ctx_.get(), nullptr, &n, associated.data(), static_cast<int>(associated.size())) == 1 &&
                          EVP_CipherUpdate(ctx_.get(), at, &n, sealed.data() + kNonce, static_cast<int>(size)) == 1 && n == static_cast<int>(size) &&
                          EVP_CipherFinal_ex(ctx_.get(), at + n, &n) == 1;
        // Nothing of what did not authenticate is kept.
        if (!done) out.resize(before);
        return done;
    }

  private:
    static EVP_CIPHER* gcm_cipher() noexcept {
        static EVP_CIPHER* const cipher = must(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr), "AES-256-GCM");
        return cipher;
    }
    bool set(const ports::SecretKey& key) noexcept {
        return keyed_ = EVP_CipherInit_ex2(ctx_.get(), gcm_cipher(), key.bytes().data(), nullptr, 1, nullptr) == 1;
    }
    static bool fits(Bytes text, Bytes associated) noexcept { return text.size() < INT32_MAX && associated.size() < INT32_MAX; }
    static std::uint8_t* grow(std::string& out, std::size_t bytes) noexcept {
        const std::size_t before = out.size();
        try {
            out.resize(before + bytes);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        return reinterpret_cast<std::uint8_t*>(out.data()) + before;
    }

    CipherCtx ctx_;
    ports::SecretKey root_;
    bool given_ = false, keyed_ = false;
};

class FileKeys final : public ports::KeyWrapping {
  public:
    explicit FileKeys(const std::vector<std::string>& keys) {
        for (const auto& bytes : keys) {
            auto key = std::make_unique<ports::SecretKey>();
            std::copy_n(as_bytes(bytes).begin(), key->raw().size(), key->raw().begin());
            const auto name = digest({as_bytes("licet/key-encryption-key/1"), key->bytes()});
            keys_.emplace_back(hex(Bytes(name).first(8)), std::move(key));
        }
    }
    const std::string& current() const noexcept override { return keys_.front().first; }

    Result<std::string> wrap(Bytes key, Bytes associated) const override {
        AesGcm cipher;
        cipher.use(*keys_.front().second);
        std::string out;
        if (!cipher.seal(key, associated, out)) return Error{Errc::internal, "a key cannot be wrapped", {}};
        return out;
    }
    Result<std::shared_ptr<const ports::SecretKey>> unwrap(std::string_view wrapped_under, Bytes wrapped, Bytes associated) const override {
        for (const auto& [name, key] : keys_) {
            if (name != wrapped_under) continue;
            AesGcm cipher;
            cipher.use(*key);
            std::string plain;
            auto out = std::make_shared<ports::SecretKey>();
            if (!cipher.open(wrapped, associated, plain) || plain.size() != out->raw().size())
                return Error{Errc::corrupt, "a wrapped key does not open", {}};
            std::copy_n(as_bytes(plain).begin(), plain.size(), out->raw().begin());
            OPENSSL_cleanse(plain.data(), plain.size());
            return std::shared_ptr<const ports::SecretKey>(std::move(out));
        }
        return Error{Errc::unavailable, "this node does not have the key-encryption key of a data key", {}};
    }

  private:
    std::vector<std::pair<std::string, std::unique_ptr<ports::SecretKey>>> keys_;
};

}  // namespace

std::unique_ptr<ports::SealingCipher> make_sealing_cipher() { return std::make_unique<AesGcm>(); }

std::shared_ptr<const ports::KeyWrapping> make_key_wrapping(const std::vector<std::string>& keys) {
    if (keys.empty() || std::any_of(keys.begin(), keys.end(), [](const std::string& key) { return key.size() != 32; })) return nullptr;
    return std::make_shared<FileKeys>(keys);
}

}  // namespace licet::openssl
