// The data keys of subjects on this node: made at ingest, found for delivery, forgotten when the subject is erased. Unwrapped keys are in memory
// only, at most limits::subject_keys_cached_max. Used by the edge (before an append), delivery (when a view encodes), Governance (erasures) and
// Admin. Thread-safe; what blocks on the store says so.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "server/ports/crypto.h"
#include "server/ports/event_log.h"
#include "server/ports/subject_keys.h"

namespace licet::app {

using HeldKey = std::shared_ptr<const ports::SecretKey>;

class SubjectKeys {
  public:
    struct Parts {
        std::shared_ptr<ports::SubjectKeyStore> store;
        std::shared_ptr<const ports::KeyWrapping> wrapping;
        std::shared_ptr<const ports::Crypto> crypto;
        std::shared_ptr<const Clock> clock;
    };
    explicit SubjectKeys(Parts parts) : parts_(std::move(parts)) {}

    // ---- ingest
    // Whether the keys of all of them are here. Does not block.
    [[nodiscard]] bool holds(const std::vector<SubjectKey>& subjects);
    // Sees to it that each subject has a key here; makes those there are not. Blocks. Errors: unavailable.
    [[nodiscard]] Status provide(std::vector<SubjectKey> subjects);
    // The records with their governed values sealed; those without any stay. Does not block. Error: unavailable when a key is not here (any more).
    [[nodiscard]] Status seal(ProductNo product, std::vector<ports::AppendItem>& items, ports::SealingCipher& cipher);

    // ---- delivery
    enum class State : std::uint8_t {
        absent,  // not here: load() brings it, or says why not
        held,
        erased,
        damaged,  // what was sealed does not open
    };
    struct Found {
        State state = State::absent;
        HeldKey key;
    };
    [[nodiscard]] Found find(const DataKeyId& id);
    // Brings the keys of a batch's sealed events here. Blocks when some are not. Errors: unavailable; then nothing of the batch can be decided.
    [[nodiscard]] Status load(const ports::LogBatch& batch);

    // ---- erasure
    // What was erased since forget() was last told. Blocks.
    [[nodiscard]] Result<ports::ErasedSubjects> erased();
    void forget(const ports::ErasedSubjects& erased);
    // For a node that would not hear of one.
    void forget_all();

    // Wraps anew what is not wrapped under the current key-encryption key; returns how many keys. Blocks.
    [[nodiscard]] Result<std::size_t> rewrap();

    [[nodiscard]] const std::string& wrapped_under() const noexcept { return parts_.wrapping->current(); }
    [[nodiscard]] ports::SubjectKeyStore& store() noexcept { return *parts_.store; }

  private:
    struct Entry {
        SubjectKey subject;
        HeldKey key;  // null: destroyed
        std::list<DataKeyId>::iterator age;
    };
    struct Cache {
        std::unordered_map<DataKeyId, Entry> by_id;
        std::unordered_map<SubjectKey, DataKeyId> current;
        std::list<DataKeyId> ages;     // latest used first
        std::uint64_t erasures = 0;    // number of the last one that is forgotten
        std::uint64_t generation = 0;  // what was read from the store before it moved on may not be kept
        void touch(Entry& entry) { ages.splice(ages.begin(), ages, entry.age); }
        void put(const DataKeyId& id, const SubjectKey& subject, HeldKey key);
        void remove(const DataKeyId& id);
    };
    // Reads keys from the store and keeps them, unless something was erased meanwhile: then reads again.
    template <class Read>
    [[nodiscard]] Status take(Read&& read);
    [[nodiscard]] Result<HeldKey> unwrap(const ports::StoredKey& key) const;
    [[nodiscard]] Result<ports::StoredKey> make(const SubjectKey& subject) const;

    const Parts parts_;
    Guarded<Cache> cache_;
};

// The data of a sealed event, opened where its key is held; else why not. Does not block.
struct OpenedData {
    SubjectKeys::State state = SubjectKeys::State::absent;
    std::string data;
};
void open_event(SubjectKeys* keys, ports::SealingCipher& cipher, ProductNo product, const event::StoredEvent& event, OpenedData& out);
// SubjectKeys::load, also for a node that keeps no keys: then unavailable when something in the batch is sealed.
[[nodiscard]] Status load_keys(SubjectKeys* keys, const ports::LogBatch& batch);

}  // namespace licet::app
