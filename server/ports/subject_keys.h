// Keys of data subjects: what keeps them, what wraps them, and the cipher of values. Used by app::SubjectKeys; implemented in server/postgres and
// server/openssl.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "event/sealed.h"
#include "server/ports/catalog.h"

namespace licet::ports {

// 256 bits, overwritten when it goes.
class SecretKey {
  public:
    SecretKey() = default;
    explicit SecretKey(const std::array<std::uint8_t, 32>& bytes) noexcept : bytes_(bytes) {}
    SecretKey(const SecretKey&) = delete;
    SecretKey& operator=(const SecretKey&) = delete;
    ~SecretKey() {
        for (volatile std::uint8_t& byte : bytes_) byte = 0;
    }
    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::array<std::uint8_t, 32>& raw() noexcept { return bytes_; }

  private:
    std::array<std::uint8_t, 32> bytes_{};
};

// The key-encryption keys. One implementation reads them from files; one over PKCS#11 would keep them in a token and wrap there. Thread-safe.
class KeyWrapping {
  public:
    virtual ~KeyWrapping() = default;
    // Names the key that wraps; never says anything about it.
    [[nodiscard]] virtual const std::string& current() const noexcept = 0;
    // `associated` must be given again to unwrap.
    [[nodiscard]] virtual Result<std::string> wrap(Bytes key, Bytes associated) const = 0;
    // Errors: unavailable when this node does not have the key named; corrupt when the wrapped key is not what was wrapped.
    [[nodiscard]] virtual Result<std::shared_ptr<const SecretKey>> unwrap(std::string_view wrapped_under, Bytes wrapped, Bytes associated) const = 0;
};

// The cipher of values under the data key it was last given, or one derived of it since. One thread at a time.
class SealingCipher : public event::ValueCipher {
  public:
    virtual void use(const SecretKey& key) noexcept = 0;
    // Holds no key any more, nor anything made of one.
    virtual void drop() noexcept = 0;
};

// One data key as it is kept. What binds it to its subject is authenticated when it is unwrapped.
struct StoredKey {
    DataKeyId id;
    SubjectKey subject;
    std::string wrapped_under;  // empty: destroyed
    std::string wrapped;        // empty: destroyed
    UtcMillis created{};
    UtcMillis destroyed{};  // value 0: it is not
};

struct ErasedSubjects {
    std::vector<SubjectKey> subjects;
    std::uint64_t last = 0;  // the number of the last erasure there is
};

struct Erasure {
    Changed changed;
    std::uint64_t number = 0;
    UtcMillis at{};                // by the clock of the store
    std::vector<StoredKey> keys;   // all the subject ever had
    std::vector<DataKeyId> fresh;  // of them, those destroyed by this erasure
};

// Regional, like the log: keys never leave the region. Calls block. Thread-safe.
class SubjectKeyStore {
  public:
    virtual ~SubjectKeyStore() = default;
    // The live keys of subjects; a subject without one is left out.
    [[nodiscard]] virtual Result<std::vector<StoredKey>> of_subjects(const std::vector<SubjectKey>& subjects) = 0;
    // Keeps these, but where a subject has a live key that one stays; returns the live keys of all their subjects.
    [[nodiscard]] virtual Result<std::vector<StoredKey>> add(const std::vector<StoredKey>& keys) = 0;
    // Destroyed ones too, without what was destroyed.
    [[nodiscard]] virtual Result<std::vector<StoredKey>> by_id(const std::vector<DataKeyId>& ids) = 0;
    // Destroys every key of the subject: one transaction with its audit line and one regional epoch. Repeatable.
    [[nodiscard]] virtual Result<Erasure> erase(const SubjectKey& subject, const AuditEntry& audit) = 0;
    // Subjects erased by erasures after number `after`, in order.
    [[nodiscard]] virtual Result<ErasedSubjects> erased_after(std::uint64_t after) = 0;
    // Wraps up to `most` keys anew that are not wrapped under `current`; returns how many.
    using Rewrap = std::function<Result<std::string>(const StoredKey& key)>;
    [[nodiscard]] virtual Result<std::size_t> rewrap(const std::string& current, std::size_t most, const Rewrap& rewrap) = 0;
};

}  // namespace licet::ports
