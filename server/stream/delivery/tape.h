// Tape: framed bytes of consecutive events of one view in one wire format, contiguous in bounded chunks, with an index from bytes to offsets, events,
// billed bytes and data subjects. A live tape is shared by all sessions of a view; a session that catches up has one of its own. One shard thread;
// not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace licet::stream {

class Tape {
  public:
    struct Entry {  // one delivered event
        Offset offset;
        std::uint64_t end;      // byte position just past its frame
        std::uint64_t billed;   // data bytes of this and all entries before it on this tape
        std::uint64_t subject;  // low 64 bits of its data subject's key; 0: none
    };

    // Covers offsets from `begin` on. `cut`: its first bytes are the rest of a frame whose beginning was written from another tape.
    static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
    explicit Tape(Offset begin, bool cut = false) : begin_(begin), head_(begin), cut_(cut) {}

    // Bytes that belong to no event: response heads, page brackets.
    void append_raw(std::string_view bytes);
    // `deadline`: from that moment (UTC, ms) on its frame may not be written as it is.
    void append_event(Offset offset, std::string_view frame, std::uint64_t billed, std::uint64_t subject, std::int64_t deadline = kNever);
    // The frames of another tape that end in (from, to], the first one from byte `from` on, contiguous. Precondition: `to` ends a frame.
    void append_part(const Tape& other, std::uint64_t from, std::uint64_t to);
    // Everything below `offset` was decided: what is not on the tape was withheld.
    void advance(Offset offset) noexcept { head_ = offset; }

    [[nodiscard]] Offset begin() const noexcept { return begin_; }         // first offset covered
    [[nodiscard]] Offset head() const noexcept { return head_; }           // first offset not covered
    [[nodiscard]] std::uint64_t start() const noexcept { return start_; }  // first byte kept
    [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return end_ - start_; }

    // Contiguous bytes from `at`, at most up to `limit`. Precondition: start() <= at <= limit <= end().
    [[nodiscard]] std::string_view bytes(std::uint64_t at, std::uint64_t limit) const noexcept { return piece(at, limit).bytes; }
    struct Piece {
        std::string_view bytes;
        std::int64_t deadline = kNever;  // the earliest of its chunk: before it, all of it may be written
    };
    [[nodiscard]] Piece piece(std::uint64_t at, std::uint64_t limit) const noexcept;
    // Byte position up to which what begins in [at, to) may be written at `now`: the beginning of the first frame past its deadline, `at` when that
    // is inside of it.
    [[nodiscard]] std::uint64_t fresh_until(std::uint64_t at, std::uint64_t to, std::int64_t now) const noexcept;

    // Byte position of the first frame at or after `offset`.
    [[nodiscard]] std::uint64_t position_of(Offset offset) const noexcept;
    // Byte position up to which only events below `offset` are written.
    [[nodiscard]] std::uint64_t limit_for(Offset offset) const noexcept { return offset >= head_ ? end_ : position_of(offset); }
    // The first event whose frame is not wholly below byte `at`; head() when there is none.
    [[nodiscard]] Offset next_event(std::uint64_t at) const noexcept;
    // Whether a frame ends at `at` (or none began).
    [[nodiscard]] bool at_boundary(std::uint64_t at) const noexcept;
    // End of the frame that `at` is inside of, or `at` itself at a boundary.
    [[nodiscard]] std::uint64_t frame_end(std::uint64_t at) const noexcept;
    // Entries whose frames end in (from, to]: what a write from byte `from` to byte `to` completed.
    struct Completed {
        std::uint64_t events = 0;
        Offset first = 0, last = 0;  // meaningful when events > 0
    };
    [[nodiscard]] Completed completed(std::uint64_t from, std::uint64_t to) const noexcept;
    struct Totals {
        std::uint64_t events = 0, billed = 0;
    };
    // Of the events with offsets in [from, to).
    [[nodiscard]] Totals totals(Offset from, Offset to) const noexcept;
    // Whether a frame that ends after byte `after` names the subject (its low 64 bits).
    [[nodiscard]] bool names(std::uint64_t subject, std::uint64_t after) const noexcept;
    // Whether a frame that overlaps bytes [from, to) names the subject.
    [[nodiscard]] bool names_within(std::uint64_t subject, std::uint64_t from, std::uint64_t to) const noexcept;

    // Drops whole chunks from the front until at most `most` bytes are kept; begin() and start() move up to the first whole frame kept.
    void trim(std::uint64_t most);
    // What start() would be after trim(most).
    [[nodiscard]] std::uint64_t trimmed_start(std::uint64_t most) const noexcept;

  private:
    struct Chunk {
        std::uint64_t start;
        std::string bytes;
        std::int64_t deadline = kNever;
    };
    struct Deadline {  // of the few entries that have one
        std::uint64_t begin, end;
        std::int64_t at;
    };
    [[nodiscard]] std::deque<Entry>::const_iterator first_ending_after(std::uint64_t at) const noexcept;
    void append(std::string_view bytes);
    void note(const Entry& entry, std::uint64_t begin, std::int64_t deadline);

    Offset begin_, head_;
    bool cut_;
    std::uint64_t start_ = 0, end_ = 0;
    std::uint64_t billed_before_ = 0;  // billed of entries already dropped
    std::deque<Chunk> chunks_;
    std::deque<Entry> entries_;
    std::deque<Deadline> deadlines_;
};

}  // namespace licet::stream
