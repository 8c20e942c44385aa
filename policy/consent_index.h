// The in-memory consents of the data path: (subject, controller) -> purposes for which consent is valid, now and as time passes. One writer (the
// control side, before it asks the shards to acknowledge), any number of readers that wait for nobody. A subject once known is never removed: a
// withdrawal leaves it the empty set. Bounded by what the catalog holds; memory per subject is in docs/benchmarks.md.
//
// That consent runs out needs nobody's doing: a reader states the time, and from the moment on is told what is left. advance() exists to say whose
// consent ran out, for what was decided before.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "policy/consent_sets.h"
#include "policy/consent_table.h"
#include "policy/slot_pool.h"
#include "policy/vocabulary.h"

namespace licet::policy {

// What is consented to before a moment; a subject's steps are in order of time, and after the last nothing is.
struct ConsentStep {
    static constexpr UtcMillis forever{INT64_MAX};
    UtcMillis until;
    PurposeSet purposes;
};

class ConsentIndex {
  public:
    ConsentIndex() = default;
    ConsentIndex(const ConsentIndex&) = delete;
    ConsentIndex& operator=(const ConsentIndex&) = delete;

    // Purposes of a subject valid at `now`, closed downwards (consent for P covers what is below P). SubjectKey is per controller, so the key names
    // both. No entry: the empty set. Never older than the last set() that returned. Any thread.
    [[nodiscard]] PurposeSet valid_purposes(const SubjectKey& subject, UtcMillis now) const noexcept;

    // The writer, one at a time.
    // Replaces what the subject consents to.
    void set_steps(const SubjectKey& subject, std::span<const ConsentStep> steps);
    void set(const SubjectKey& subject, const PurposeSet& purposes);  // without an end
    // Several entries that are read together, as one change: a reader that saw the count even before it read and the same after saw none half made.
    using Entry = std::pair<SubjectKey, std::vector<ConsentStep>>;
    void set_related(std::span<const Entry> entries);
    [[nodiscard]] std::uint64_t related_changes() const noexcept { return related_changes_.load(std::memory_order_acquire); }
    // Ends what ran out by `now`, and says whose purposes that changed. For good: a clock that is set back revives nothing, here or in a later set().
    [[nodiscard]] std::vector<SubjectKey> advance(UtcMillis now);
    // The earliest moment for which advance() may have something to do; none: never.
    [[nodiscard]] std::optional<UtcMillis> next_end() const;

    // Revision of the last change the index holds; answers are never older.
    void set_revision(std::uint64_t revision) noexcept { revision_.store(revision, std::memory_order_release); }
    [[nodiscard]] std::uint64_t revision() const noexcept { return revision_.load(std::memory_order_acquire); }
    // While false (start-up, lost catalog), every consent constraint is unknown: withheld.
    void set_ready(bool ready) noexcept { ready_.store(ready, std::memory_order_release); }
    [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }

    [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }  // subjects
    [[nodiscard]] std::size_t distinct_sets() const noexcept { return sets_.size(); }

  private:
    // A table value: the number of a set, or with kEnding that of an Ending.
    using Value = std::uint32_t;
    static constexpr Value kEnding = 1u << 31;
    struct Ending {  // before `until` one thing, then another; belongs to one subject
        std::atomic<std::int64_t> until{0};
        std::atomic<std::uint32_t> before{0};  // a set
        std::atomic<Value> after{0};
    };
    struct Moment {
        std::int64_t until;
        SubjectKey subject;
        bool operator<(const Moment& other) const noexcept { return until > other.until; }  // the earliest is on top
    };

    [[nodiscard]] Value store(std::span<const ConsentStep> steps);
    void release(Value value);
    void put(const SubjectKey& subject, Value value);
    [[nodiscard]] Value value_of(const SubjectKey& subject) const {
        return table_.read(subject, [](Value v) { return v; }).value_or(ConsentSets::empty);
    }
    [[nodiscard]] bool ends_at(const Moment& moment) const;
    void forget_stale_moments();

    ConsentSets sets_;
    SlotPool<Ending, 14, 8192> endings_;
    ConsentTable table_;
    // A heap; what a later set() overtook is dropped when it comes up, or when more than half are such. A deque: grows without copying.
    std::deque<Moment> moments_;
    std::size_t ending_subjects_ = 0;
    std::atomic<std::int64_t> ended_{INT64_MIN};     // latest moment advanced to
    std::atomic<std::uint64_t> related_changes_{0};  // odd while one is being made
    std::atomic<std::uint64_t> revision_{0};
    std::atomic<bool> ready_{false};
};

}  // namespace licet::policy
