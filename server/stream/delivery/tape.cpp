#include "server/stream/delivery/tape.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::stream {

// A frame is never cut by a chunk's end: a chunk larger than usual holds a frame larger than usual.
void Tape::append(std::string_view bytes) {
    if (chunks_.empty() || (chunks_.back().bytes.size() + bytes.size() > limits::tape_chunk_bytes && !chunks_.back().bytes.empty())) {
        chunks_.push_back({end_, {}, kNever});
        // Small tapes (a response head, a first page) stay small.
        if (chunks_.size() > 1) chunks_.back().bytes.reserve(std::max(limits::tape_chunk_bytes, bytes.size()));
    }
    chunks_.back().bytes += bytes;
    end_ += bytes.size();
}

void Tape::append_raw(std::string_view bytes) { append(bytes); }

// `entry` with what is billed of it alone. Its frame is in the last chunk.
void Tape::note(const Entry& entry, std::uint64_t begin, std::int64_t deadline) {
    const std::uint64_t before = entries_.empty() ? billed_before_ : entries_.back().billed;
    entries_.push_back({entry.offset, entry.end, before + entry.billed, entry.subject});
    head_ = entry.offset + 1;
    if (deadline == kNever) return;
    deadlines_.push_back({begin, entry.end, deadline});
    chunks_.back().deadline = std::min(chunks_.back().deadline, deadline);
}

void Tape::append_event(Offset offset, std::string_view frame, std::uint64_t billed, std::uint64_t subject, std::int64_t deadline) {
    const std::uint64_t begin = end_;
    append(frame);
    note({offset, end_, billed, subject}, begin, deadline);
}

// In one chunk: a TLS record under way must be offered again whole.
void Tape::append_part(const Tape& other, std::uint64_t from, std::uint64_t to) {
    const std::uint64_t moved = end_ - from;
    Chunk chunk{end_, {}, kNever};
    chunk.bytes.reserve(to - from);
    for (std::uint64_t at = from; at < to;) {
        const auto piece = other.bytes(at, to);
        chunk.bytes += piece;
        at += piece.size();
    }
    end_ += chunk.bytes.size();
    chunks_.push_back(std::move(chunk));
    auto at = other.first_ending_after(from);
    std::uint64_t billed = at == other.entries_.begin() ? other.billed_before_ : std::prev(at)->billed;
    auto deadline =
        std::upper_bound(other.deadlines_.begin(), other.deadlines_.end(), from, [](std::uint64_t v, const Deadline& d) { return v < d.end; });
    for (; at != other.entries_.end() && at->end <= to; ++at) {
        const bool has = deadline != other.deadlines_.end() && deadline->end == at->end;
        const std::uint64_t begin = has ? std::max(deadline->begin, from) + moved : 0;
        note({at->offset, at->end + moved, at->billed - billed, at->subject}, begin, has ? deadline++->at : kNever);
        billed = at->billed;
    }
}

Tape::Piece Tape::piece(std::uint64_t at, std::uint64_t limit) const noexcept {
    if (at >= limit) return {};
    auto chunk = std::upper_bound(chunks_.begin(), chunks_.end(), at, [](std::uint64_t v, const Chunk& c) { return v < c.start; });
    --chunk;
    const std::uint64_t in = at - chunk->start;
    return {std::string_view(chunk->bytes).substr(in, std::min<std::uint64_t>(chunk->bytes.size() - in, limit - at)), chunk->deadline};
}

std::uint64_t Tape::fresh_until(std::uint64_t at, std::uint64_t to, std::int64_t now) const noexcept {
    auto d = std::upper_bound(deadlines_.begin(), deadlines_.end(), at, [](std::uint64_t v, const Deadline& one) { return v < one.end; });
    for (; d != deadlines_.end() && d->begin < to; ++d)
        if (d->at <= now) return std::max(at, d->begin);
    return to;
}

std::deque<Tape::Entry>::const_iterator Tape::first_ending_after(std::uint64_t at) const noexcept {
    return std::upper_bound(entries_.begin(), entries_.end(), at, [](std::uint64_t v, const Entry& e) { return v < e.end; });
}

std::uint64_t Tape::position_of(Offset offset) const noexcept {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), offset, [](const Entry& e, Offset o) { return e.offset < o; });
    if (at == entries_.end()) return end_;
    return at == entries_.begin() ? start_ : std::prev(at)->end;
}

Offset Tape::next_event(std::uint64_t at) const noexcept {
    const auto next = first_ending_after(at);
    return next == entries_.end() ? head_ : next->offset;
}

bool Tape::at_boundary(std::uint64_t at) const noexcept { return frame_end(at) == at; }

std::uint64_t Tape::frame_end(std::uint64_t at) const noexcept {
    const auto next = first_ending_after(at);
    const std::uint64_t frame_start = next == entries_.begin() ? start_ : std::prev(next)->end;
    if (at == frame_start && !(cut_ && at == 0)) return at;
    return next == entries_.end() ? end_ : next->end;
}

Tape::Completed Tape::completed(std::uint64_t from, std::uint64_t to) const noexcept {
    const auto first = first_ending_after(from), last = first_ending_after(to);
    Completed out;
    out.events = static_cast<std::uint64_t>(last - first);
    if (out.events > 0) {
        out.first = first->offset;
        out.last = std::prev(last)->offset;
    }
    return out;
}

Tape::Totals Tape::totals(Offset from, Offset to) const noexcept {
    const auto below = [](const Entry& e, Offset o) { return e.offset < o; };
    const auto first = std::lower_bound(entries_.begin(), entries_.end(), from, below),
               last = std::lower_bound(entries_.begin(), entries_.end(), to, below);
    if (first == last) return {};
    const std::uint64_t before = first == entries_.begin() ? billed_before_ : std::prev(first)->billed;
    return {static_cast<std::uint64_t>(last - first), std::prev(last)->billed - before};
}

bool Tape::names(std::uint64_t subject, std::uint64_t after) const noexcept {
    return std::any_of(first_ending_after(after), entries_.end(), [&](const Entry& e) { return e.subject == subject; });
}

bool Tape::names_within(std::uint64_t subject, std::uint64_t from, std::uint64_t to) const noexcept {
    std::uint64_t begin = 0;
    for (auto at = first_ending_after(from); at != entries_.end(); ++at) {
        begin = at == entries_.begin() ? start_ : std::prev(at)->end;
        if (begin >= to) return false;
        if (at->subject == subject) return true;
    }
    return false;
}

std::uint64_t Tape::trimmed_start(std::uint64_t most) const noexcept {
    std::uint64_t start = start_;
    for (std::size_t i = 1; i < chunks_.size() && end_ - start > most; ++i) start = chunks_[i].start;
    return start;
}

void Tape::trim(std::uint64_t most) {
    while (chunks_.size() > 1 && size() > most) {
        chunks_.pop_front();
        start_ = chunks_.front().start;
        while (!entries_.empty() && entries_.front().end <= start_) {
            billed_before_ = entries_.front().billed;
            begin_ = entries_.front().offset + 1;
            entries_.pop_front();
        }
        while (!deadlines_.empty() && deadlines_.front().end <= start_) deadlines_.pop_front();
    }
}

}  // namespace licet::stream
