// View: one entitlement to one product partition on one shard. Decides each event once, encodes it once per wire format. Holds the live tapes its
// sessions stand on. One shard thread; not thread-safe.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "policy/engine.h"
#include "server/ports/crypto.h"
#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/stream/delivery/conflation.h"
#include "server/stream/delivery/deflate.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/delivery/protobuf.h"
#include "server/stream/delivery/roster.h"
#include "server/stream/delivery/slices.h"
#include "server/stream/delivery/tape.h"

namespace licet::stream {

// What views of one shard share.
struct ViewTools {
    std::unique_ptr<policy::Pseudonymiser> pseudonymiser;
    std::unique_ptr<ports::Siv> siv;
    app::SubjectKeys* subject_keys = nullptr;
    std::unique_ptr<ports::SealingCipher> cipher;
    std::unique_ptr<Deflater> deflater;  // made when the first view needs it
    ProtobufEncoder protobuf;
    std::shared_ptr<const Clock> clock;
    ports::Counter* delivered = nullptr;  // decisions
    ports::Counter* withheld = nullptr;
    ports::Counter* failed = nullptr;  // of the withheld: could not be read, redacted or sealed
    app::ShadowCounts* shadow = nullptr;
    std::uint64_t views = 0;  // made so far
    std::function<metering::ViewDigest(std::string_view)> view_digest;
};

// Of its records.
[[nodiscard]] std::size_t bytes_of(const ports::LogBatch& batch) noexcept;

class View {
  public:
    View(ports::LogPosition position, StreamEpoch stream_epoch, std::shared_ptr<const policy::Program> program,
         std::shared_ptr<policy::ConsentIndex> consents, ViewTools& tools);

    [[nodiscard]] ports::LogPosition position() const noexcept { return position_; }
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }  // among the views of a shard; none has it again
    [[nodiscard]] const std::string& key() const noexcept { return program_->view_key(); }
    [[nodiscard]] metering::ViewDigest digest() const noexcept { return digest_; }

    // The live tape of a stream format; made on first use, starting at `head`.
    [[nodiscard]] Tape& live(WireFormat format, Offset head);
    [[nodiscard]] Tape* live_if(WireFormat format) noexcept;
    // New generation: what was encoded before is not written any more. Sessions must have left the tape.
    void restart_live(WireFormat format, Offset head = 0);

    // Takes a batch for the live tapes there are. False: too much is undecided (live_undecided_max_bytes); nothing is now, and the tapes lack it:
    // start them anew behind it.
    [[nodiscard]] bool take_live(std::shared_ptr<const ports::LogBatch> batch);
    // Decides as much of what was taken as is decided in a turn. False: the tapes lack an event, be it that its key is not here: start them anew.
    [[nodiscard]] bool decide_live();
    [[nodiscard]] bool live_decided() const noexcept { return undecided_.empty(); }
    void drop_undecided() noexcept;
    // Decides and encodes entries from `into.head()` on into a tape of the caller's; stops before an entry accepted at or after `until` (0: never),
    // when it is enough, and before one whose key is not here (any more). Returns whether it stopped at `until`. The tape's head says how far it
    // came. `skipped`: of a conflated batch; events say how many they stand for.
    struct Enough {
        std::size_t delivered = SIZE_MAX, bytes = SIZE_MAX, decided = SIZE_MAX;  // bytes of frames
    };
    bool encode(const ports::LogBatch& batch, WireFormat format, Tape& into, UtcMillis until, const Enough& enough, const Skipped* skipped = nullptr);
    // The same for all who come to `from`: up to `before`, as much as is decided in a turn. Null: the key of its first event is not here.
    [[nodiscard]] std::shared_ptr<Slice> slice(const ports::LogBatch& batch, WireFormat format, Offset from, Offset before);
    // Keeps what would be delivered of a batch, from `into.head()` on, at most so many entries; stops when it is full, and before an entry whose key
    // is not here.
    void conflate(const ports::LogBatch& batch, Conflation& into, std::size_t most);

    // Shadows decide what the live tapes get, too, and only count. One for each that contracts of this view have.
    void add_shadow(const app::Rights& rights);
    void clear_shadows() noexcept { shadows_.clear(); }

    struct Counted {
        std::uint64_t events = 0, billed = 0;
    };
    // What would be delivered of a batch's entries in [from, to): for settling suspense.
    [[nodiscard]] Counted count(const ports::LogBatch& batch, Offset from, Offset to);

    Roster roster;          // kept by the shard
    Stretches log;          // kept by its sessions
    bool due = false;       // whether the shard has it in its queue of views with news
    bool deciding = false;  // whether the shard comes again for what is undecided

  private:
    struct Encoded {
        std::string_view cursor, json;
        std::uint64_t billed;
        std::int64_t deadline;  // when it must be decided again
    };
    // Decides one event and writes its delivered JSON; nullopt: withheld, or undecided (key_missing_).
    std::optional<Encoded> decide(const ports::LogEntry& entry);
    // Appends what a decision lets be seen of an event's data; opens it when it must. Anything but permitted: withheld for that reason.
    policy::Reason reveal(policy::Decider& decider, const event::StoredEvent& event, const policy::Decision& decision, std::string& out);
    struct Shadow {
        std::unique_ptr<policy::Decider> decider;
        app::ShadowTally tally = {};
    };
    // What a shadow would have made of the event just decided.
    void compare(const ports::LogEntry& entry, const std::optional<Encoded>& encoded, Shadow& shadow);
    // To the live tapes that have come as far. False: one lacks an event.
    bool append_live(const ports::LogEntry& entry);
    void put(const ports::LogEntry& entry, const std::optional<Encoded>& encoded, WireFormat format, Tape& into);

    const std::uint64_t number_;
    const ports::LogPosition position_;
    const StreamEpoch stream_epoch_;
    const std::shared_ptr<const policy::Program> program_;
    const std::shared_ptr<policy::ConsentIndex> consents_;  // outlives the decider
    ViewTools& tools_;
    const metering::ViewDigest digest_;
    std::unique_ptr<policy::Decider> decider_;
    std::map<std::string, Shadow> shadows_;  // by Rights::key()
    policy::Reason reason_{};                // of the event just decided
    std::uint64_t subject_ = 0;              // whom it names; 0: nobody
    std::string shadow_data_;
    std::uint32_t standing_for_ = 0;  // earlier events of its key, in the event to decide next
    bool key_missing_ = false;        // the event just decided is encrypted under a key that must be fetched first
    app::OpenedData opened_;
    std::array<std::optional<Tape>, kStreamFormats.size()> live_;
    std::deque<std::shared_ptr<const ports::LogBatch>> undecided_;
    std::size_t decided_ = 0;          // entries of the first
    std::size_t undecided_bytes_ = 0;  // of records
    std::string json_, frame_, packed_;
    std::array<char, 64> cursor_{};
};

}  // namespace licet::stream
