// Slices: what streams of a view that are behind have been decided, kept a while for the others who come to the same place, and the pieces of the log
// they were decided from. Who catches up shares its reads and decisions with whoever is near, as those on a live tape do. Kept by a shard for all its
// views; one shard thread.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "server/ports/event_log.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/delivery/readers.h"
#include "server/stream/delivery/tape.h"

namespace licet::stream {

class Session;

// A piece of the log as it was read. Nothing is decided of it: changes of rights do not touch it.
struct Stretch {
    Offset from = 0;
    std::shared_ptr<const ports::LogBatch> batch;
    Readers::Held held, extra;  // bytes of the readers' pool; extra: beyond what was asked for
    [[nodiscard]] bool covers(Offset at) const noexcept { return from <= at && at < batch->next; }
};

// Of one view in one wire format; does not change once it is kept.
struct Slice {
    explicit Slice(Offset begin) : tape(begin) {}
    Tape tape;
    std::vector<std::uint64_t> subjects;    // whom the events decided name, withheld ones too; sorted, low 64 bits
    UtcMillis decided_at{}, holds_until{};  // as far as the rules go; 0: for ever. Frames have deadlines of their own
    Readers::Held held;                     // once it is kept no longer, for who still holds it
};

class Slices {
  public:
    explicit Slices(Readers& readers) : readers_(readers) {}

    struct Of {
        std::uint64_t view;  // View::number()
        WireFormat format;
        auto operator<=>(const Of&) const = default;
    };
    // The one that says what comes at `from`, as of `now`; null: to be decided.
    [[nodiscard]] std::shared_ptr<const Slice> find(const Of& of, Offset from, UtcMillis now);
    // Where the next one behind `from` begins; ~0: there is none.
    [[nodiscard]] Offset next_begin(const Of& of, Offset from) const;
    void keep(const Of& of, std::shared_ptr<Slice> slice);

    // Rights of a subject changed: what was decided of it is for nobody who comes later. All: of everyone.
    void forget_subject(std::uint64_t subject);
    void forget_all();

  private:
    using Key = std::pair<Of, Offset>;
    struct Kept {
        std::shared_ptr<Slice> slice;
        std::list<Key>::iterator used;
    };
    using Map = std::map<Key, Kept>;
    [[nodiscard]] static std::size_t bytes(const Slice& slice) noexcept;
    Map::iterator forget(Map::iterator at);

    Readers& readers_;
    Map kept_;
    std::list<Key> used_;  // longest ago first
    std::size_t bytes_ = 0;
};

// The stretches of a view that somebody holds, and the reads under way.
class Stretches {
  public:
    [[nodiscard]] std::shared_ptr<const Stretch> find(Offset at);
    void add(const std::shared_ptr<const Stretch>& stretch);

    // A read under way and who waits for it.
    struct Reading {
        Offset from = 0, likely_to = 0;
        std::vector<std::shared_ptr<Session>> waiting;
    };
    // One that is likely to reach `at`; null: none.
    [[nodiscard]] std::shared_ptr<Reading> likely(Offset at);
    void begin(const std::shared_ptr<Reading>& reading) { readings_[reading->from] = reading; }

  private:
    std::map<Offset, std::weak_ptr<const Stretch>> held_;  // by from
    std::map<Offset, std::weak_ptr<Reading>> readings_;
};

}  // namespace licet::stream
