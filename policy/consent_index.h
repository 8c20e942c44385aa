// The in-memory consent registry of the data path: (subject, controller) -> purposes for which consent is valid now. One writer thread (the
// control side, before it asks the shards to acknowledge), any number of wait-free readers. Entries are never removed: a withdrawal clears bits.
// Bounded by what the catalog holds; grows by rebuilding aside and publishing the larger table. Outgrown tables stay until destruction, so that no
// reader needs a lock or a count: together they are smaller than the one in use.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "policy/vocabulary.h"

namespace licet::policy {

class ConsentIndex {
  public:
    explicit ConsentIndex(std::size_t expected_records = 1024);
    ~ConsentIndex();
    ConsentIndex(const ConsentIndex&) = delete;
    ConsentIndex& operator=(const ConsentIndex&) = delete;

    // Valid purposes of a subject, already closed downwards (consent for P covers what is below P). SubjectKey is per controller, so the key names
    // both. No entry: the empty set. Wait-free; any thread.
    [[nodiscard]] PurposeSet valid_purposes(const SubjectKey& subject) const noexcept;
    // Replaces the subject's purposes. One writer at a time.
    void set(const SubjectKey& subject, const PurposeSet& purposes);
    // Revision of the last change the index holds; answers are never older.
    void set_revision(std::uint64_t revision) noexcept { revision_.store(revision, std::memory_order_release); }
    [[nodiscard]] std::uint64_t revision() const noexcept { return revision_.load(std::memory_order_acquire); }
    // While false (start-up, lost catalog), every consent constraint is unknown: withheld.
    void set_ready(bool ready) noexcept { ready_.store(ready, std::memory_order_release); }
    [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
    [[nodiscard]] std::size_t size() const noexcept;

  private:
    struct Table;
    std::vector<std::unique_ptr<Table>> tables_;  // the writer's; the last one is in use
    std::atomic<Table*> table_;
    std::atomic<std::uint64_t> revision_{0};
    std::atomic<bool> ready_{false};
};

}  // namespace licet::policy
