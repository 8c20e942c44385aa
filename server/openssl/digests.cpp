// Keyed digests of the data path: pseudonyms, data subjects, event identities.
#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <vector>

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

  private:
    Hmac master_;
    std::unordered_map<std::string, Hmac, ScopeHash, std::equal_to<>> scopes_;
};

}  // namespace

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
