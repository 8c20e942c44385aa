// Keyed digests of the data path: pseudonyms, data subjects, event identities.
#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <vector>

#include "event/json_text.h"
#include "server/openssl/crypto.h"
#include "server/openssl/hmac.h"

namespace licet::openssl {
namespace {

using namespace std::string_view_literals;

template <class Digest>
Digest first_half(const std::array<std::uint8_t, 32>& full) {
    Digest out;
    std::copy_n(full.begin(), out.bytes.size(), out.bytes.begin());
    return out;
}

struct ScopeHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

class HmacPseudonymiser final : public policy::Pseudonymiser {
  public:
    explicit HmacPseudonymiser(Bytes master) : master_(master) {}

    bool hash(std::string_view key_scope, std::string_view value, std::array<std::uint8_t, 32>& out) noexcept override {
        try {
            auto at = scopes_.find(key_scope);
            if (at == scopes_.end()) {
                std::array<std::uint8_t, 32> key{};
                if (!master_.compute({as_bytes("licet/pseudonym/1\0"sv), as_bytes(key_scope)}, key)) return false;
                if (scopes_.size() >= kPseudonymScopesMax) scopes_.clear();
                at = scopes_.emplace(std::string(key_scope), Hmac(key)).first;
            }
            return at->second.compute({as_bytes(value)}, out);
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    bool encrypt(std::string_view key_scope, std::string_view value, std::string& out) noexcept override {
        try {
            ports::Siv* siv = siv_of(key_scope);
            if (siv == nullptr) return false;
            out.resize(value.size() + kSivTag);
            return siv->seal(as_bytes(value), as_bytes(key_scope), {reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
        } catch (...) {
            return false;
        }
    }

    std::optional<std::string> decrypt(std::string_view key_scope, std::string_view sealed) {
        ports::Siv* siv = siv_of(key_scope);
        if (siv == nullptr || sealed.size() < kSivTag) return std::nullopt;
        std::string out(sealed.size() - kSivTag, '\0');
        const bool opened = siv->open(as_bytes(sealed), as_bytes(key_scope), {reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
        return opened ? std::optional(std::move(out)) : std::nullopt;
    }

  private:
    static constexpr std::size_t kSivTag = 16;

    // AES-256-SIV takes two keys: one derivation each, and neither is the scope's pseudonym key.
    ports::Siv* siv_of(std::string_view key_scope) {
        const auto known = sivs_.find(key_scope);
        if (known != sivs_.end()) return known->second.get();
        std::array<std::uint8_t, 64> key{};
        std::array<std::uint8_t, 32> half{};
        for (std::size_t i = 0; i < 2; ++i) {
            if (!master_.compute({as_bytes(i == 0 ? "licet/deterministic/1/mac\0"sv : "licet/deterministic/1/enc\0"sv), as_bytes(key_scope)}, half))
                return nullptr;
            std::copy(half.begin(), half.end(), key.begin() + static_cast<std::ptrdiff_t>(32 * i));
        }
        if (sivs_.size() >= kPseudonymScopesMax) sivs_.clear();
        return sivs_.emplace(std::string(key_scope), make_siv(key)).first->second.get();
    }

    Hmac master_;
    std::unordered_map<std::string, Hmac, ScopeHash, std::equal_to<>> scopes_;
    std::unordered_map<std::string, std::unique_ptr<ports::Siv>, ScopeHash, std::equal_to<>> sivs_;
};

}  // namespace

std::optional<std::string> reveal_deterministic(Bytes master_key, std::string_view key_scope, std::string_view text) {
    const auto sealed = parse_base64url(text);
    const auto plain = sealed ? HmacPseudonymiser(master_key).decrypt(key_scope, *sealed) : std::nullopt;
    if (!plain || plain->empty()) return std::nullopt;
    if (plain->front() == 'j') return plain->substr(1);
    if (plain->front() != 's') return std::nullopt;
    std::string out;
    event::append_json_string(std::string_view(*plain).substr(1), out);
    return out;
}

std::unique_ptr<policy::Pseudonymiser> make_pseudonymiser(Bytes master_key) { return std::make_unique<HmacPseudonymiser>(master_key); }

std::function<SubjectKey(std::string_view, std::string_view)> make_subject_digest(Bytes key) {
    return [key = std::vector<std::uint8_t>(key.begin(), key.end())](std::string_view controller, std::string_view subject) {
        // One prepared context per thread and key: contexts are not shared between threads, and the key seldom changes.
        struct Prepared {
            std::vector<std::uint8_t> key;
            Hmac mac;
        };
        thread_local std::unique_ptr<Prepared> prepared;
        if (!prepared || prepared->key != key) prepared.reset(new Prepared{key, Hmac(key)});
        std::array<std::uint8_t, 32> full{};
        if (!prepared->mac.compute({as_bytes("licet/subject/1\0"sv), as_bytes(controller), as_bytes("\0"sv), as_bytes(subject)}, full))
            must<void>(nullptr, "working HMAC");
        return first_half<SubjectKey>(full);
    };
}

std::function<EventIdentity(ProductNo, std::string_view, std::string_view)> make_event_digest() {
    return [](ProductNo product, std::string_view source, std::string_view id) {
        const std::uint32_t no = product.value;
        const std::array<std::uint8_t, 4> le{static_cast<std::uint8_t>(no), static_cast<std::uint8_t>(no >> 8), static_cast<std::uint8_t>(no >> 16),
                                             static_cast<std::uint8_t>(no >> 24)};
        return first_half<EventIdentity>(digest({as_bytes("licet/event/1\0"sv), le, as_bytes(source), as_bytes("\0"sv), as_bytes(id)}));
    };
}

std::function<std::string(std::string_view)> make_content_digest() {
    return [](std::string_view data) { return hex(Bytes(digest({as_bytes(data)})).first(16)); };
}

}  // namespace licet::openssl
