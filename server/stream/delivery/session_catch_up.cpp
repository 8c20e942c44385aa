// How a session gets from the log to the live tape: in slices, decided in turn with everyone else who catches up, and once for all who are near.
// Alone are those whose tape is like no other's: with an end, or conflated.
#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::size_t kLikelyEventBytes = 2048;  // most are smaller: a read is likely to come as far

}  // namespace

// The tape of its own is written to its end.
void Session::catch_up() {
    if (reading_ || turn_queued_) return;
    if (request_.until.value != 0) {
        const bool over = shard_.services().log->settled() >= request_.until;  // before the bounds are read
        if (next_ >= shard_.services().log->bounds(view_->position()).end) {
            drop_tape();
            if (over) finish(CloseCode::normal, "until");
            return;
        }
    } else if (!conflating_ && !conflated_ && join_live()) {
        return;
    }
    if (batch_ || shares()) return queue_turn();
    read_log();
}

// Whether it stands on the live tape now, or waits for it.
bool Session::join_live() {
    Tape& live = view_->live(request_.format, shard_.services().log->bounds(view_->position()).end);
    if (next_ > live.head()) {  // another shard was faster: wait for this one
        drop_tape();
        return true;
    }
    if (next_ < live.begin()) return false;
    const auto place = live.position_of(next_);
    // Not where it would stand before a frame that time has overtaken: the log is decided anew.
    if (place != live.end() && live.fresh_until(place, place + 1, shard_.services().clock->utc_now().value) == place) return false;
    drop_tape();
    at_ = place;
    live_ = true;
    own_.reset();
    write();
    return true;
}

// Of no further use: what was read is let go, too.
void Session::drop_tape() {
    own_ = std::make_unique<Tape>(next_);
    slice_.reset();
    at_ = 0;
    release();
}

void Session::release() {
    conflating_ = conflating_ || conflated_ || pass_ != nullptr;
    pass_.reset();
    conflated_.reset();
    batch_.reset();
    held_.clear();
    extra_.reset();
    stretch_.reset();
}

// What is left out depends on what comes after it: a change of rights may bring it back.
void Session::conflate_again(std::optional<std::uint64_t> subject) {
    if ((pass_ && (!subject || pass_->names(*subject))) || (conflated_ && (!subject || conflated_->subjects.contains(*subject)))) release();
}

// Nothing that catches up is done at once: live tapes go first, and views have their turns.
void Session::queue_turn() {
    if (turn_queued_) return;
    turn_queued_ = true;
    shard_.later(view_.get(), [self = shared_from_this()] { self->turn(); });
}

void Session::turn() {
    turn_queued_ = false;
    if (ended_ || (pull() && !page_done_)) return;
    const bool idle = !live_ && !pull() && !blocked_ && !leaving_ && !ending_ && !reading_ && at_ == tape().end();
    if (idle && batch_)
        decide_some();
    else if (idle && shares() && !join_live())  // who was told of a change has not looked yet
        share_some();
    write();
}

bool Session::shares() const noexcept { return !pull() && request_.until.value == 0 && !batch_ && !pass_ && !conflating_ && !conflated_; }

// Stands on what is decided of what comes next, by whoever; or decides it, for the others, too.
void Session::share_some() {
    const Slices::Of of{view_->number(), request_.format};
    Slices& slices = shard_.slices();
    if (stretch_ && !stretch_->covers(next_)) stretch_.reset();
    if (next_ < shard_.services().log->bounds(view_->position()).begin) return finish(CloseCode::cursor_gone, "what comes next is no longer kept");
    auto slice = slices.find(of, next_, shard_.services().clock->utc_now());
    if (!slice) {
        if (!stretch_) stretch_ = view_->log.find(next_);
        if (!stretch_) return read_shared();
        auto decided = view_->slice(*stretch_->batch, request_.format, next_, slices.next_begin(of, next_));
        if (!decided) {  // a key is missing that is read along with the log
            stretch_.reset();
            return read_shared();
        }
        slices.keep(of, decided);
        slice = std::move(decided);
    }
    own_.reset();
    slice_ = std::move(slice);
    at_ = slice_->tape.position_of(next_);
    held_since_ns_ = shard_.now_ns();
}

// With whoever has asked for the same.
void Session::read_shared() {
    drop_tape();
    reading_ = true;
    if (const auto under_way = view_->log.likely(next_)) return under_way->waiting.push_back(shared_from_this());
    auto reading = std::make_shared<Stretches::Reading>(Stretches::Reading{next_, next_ + read_bytes_ / kLikelyEventBytes, {shared_from_this()}});
    view_->log.begin(reading);
    const std::size_t most = read_bytes_;
    // All of it goes back to where it lived, whoever is still there.
    auto job = [shard = &shard_, reading = std::move(reading), view = view_, most](Readers::Held held) mutable {
        auto batch = shard->read(view->position(), reading->from, most);
        shard->post([shard, reading = std::move(reading), view = std::move(view), most, held = std::move(held), batch = std::move(batch)]() mutable {
            Result<std::shared_ptr<const Stretch>> read = std::shared_ptr<const Stretch>{};
            if (batch) {
                const std::size_t bytes = bytes_of(**batch);
                auto stretch = std::make_shared<Stretch>(Stretch{reading->from, *std::move(batch), std::move(held), {}});
                if (bytes > most) stretch->extra = shard->readers().charge(Readers::Pool::streams, bytes - most);
                view->log.add(stretch);
                read = std::shared_ptr<const Stretch>(std::move(stretch));
            } else {
                read = batch.error();
            }
            for (const auto& session : std::exchange(reading->waiting, {})) session->stretch_read(reading->from, read);
        });
    };
    read_bytes_ = std::min(2 * read_bytes_, limits::catch_up_batch_max_bytes);
    if (shard_.readers().submit(view_.get(), Readers::Pool::streams, most, std::move(job))) return;
    reading_ = false;
    finish(CloseCode::try_again_later, "too many reads wait for the log");
}

// Where rights changed meanwhile: what was read is not decided, and the next turn looks for itself.
void Session::stretch_read(Offset from, const Result<std::shared_ptr<const Stretch>>& read) {
    reading_ = false;
    if (ended_ || leaving_) return;
    if (!read && from == next_) return could_not_read(read.error());
    if (read && (*read)->covers(next_)) stretch_ = *read;
    queue_turn();
}

void Session::could_not_read(const Error& error) {
    if (error.code == Errc::gone) return finish(CloseCode::cursor_gone, "what comes next is no longer kept");
    if (error.code == Errc::unavailable) return finish(CloseCode::try_again_later, "keys cannot be reached");
    finish(CloseCode::internal, "the log cannot be read");
}

void Session::read_log() {
    reading_ = true;
    const bool goes_on = pass_ != nullptr;  // with what it holds
    if (!goes_on) drop_tape();
    if (conflating_ && !goes_on) begin_pass();
    const Offset from = pass_ ? pass_->head() : next_;
    auto read = [self = shared_from_this(), position = view_->position(), from, most = read_bytes_](Readers::Held held) mutable {
        Shard& shard = self->shard_;
        if (self->ended_) return shard.post([self = std::move(self)] {});  // it goes where it lived
        auto batch = shard.read(position, from, most);
        shard.post([self = std::move(self), from, most, held = std::move(held), batch = std::move(batch)] {
            self->reading_ = false;
            if (self->ended_ || self->leaving_) return;
            if (!batch) return self->could_not_read(batch.error());
            self->took(from, *batch, held, most);
        });
    };
    const std::size_t bytes = read_bytes_ + (pass_ ? limits::conflation_pass_max_bytes : 0);
    const bool asked = goes_on ? shard_.readers().submit(view_.get(), [read]() mutable { read({}); })
                               : shard_.readers().submit(view_.get(), Readers::Pool::streams, bytes, std::move(read));
    if (asked) return;
    reading_ = false;
    finish(CloseCode::try_again_later, "too many reads wait for the log");
}

// Decided in its turn, under the view as it is then: a change while the read was under way is respected.
void Session::took(Offset from, std::shared_ptr<const ports::LogBatch> batch, Readers::Held held, std::size_t asked) {
    if (from == (pass_ ? pass_->head() : next_)) {
        // An event may be larger than a batch was to be, and what goes on with a pass has asked for nothing.
        const std::size_t bytes = bytes_of(*batch);
        // In the place of the batch before: a pass is of many, and has one at a time.
        const std::size_t counted = held ? asked : 0;
        extra_ = bytes > counted ? shard_.readers().charge(Readers::Pool::streams, bytes - counted) : nullptr;
        if (held) {
            held_.push_back(std::move(held));
            held_since_ns_ = shard_.now_ns();
        }
        batch_ = std::move(batch);
        read_bytes_ = std::min(2 * read_bytes_, limits::catch_up_batch_max_bytes);
    }
    if (batch_) return queue_turn();
    write();  // begun anew meanwhile
}

void Session::decide_some() {
    own_ = std::make_unique<Tape>(next_);
    at_ = 0;
    if (conflating_ && !pass_ && !conflated_) {
        held_.push_back(shard_.readers().charge(Readers::Pool::streams, limits::conflation_pass_max_bytes));
        begin_pass();
    }
    if (pass_) return gather_pass();
    until_reached_ = view_->encode(*batch_, request_.format, *own_, request_.until,
                                   {SIZE_MAX, limits::catch_up_slice_max_bytes, limits::catch_up_slice_max_events}, conflated_.get());
    // Where it did not move, a key is missing that is read along with the log.
    if (!until_reached_ && own_->head() > next_ && own_->head() < batch_->next) return;
    batch_.reset();
    conflated_.reset();
}

void Session::begin_pass() {
    pass_ = std::make_unique<Conflation>(next_, shard_.services().log->bounds(view_->position()).end);
    overrun_ = false;
}

// Reads on until the end of the log, or as much as a pass may hold; then it is decided once more, as it is written.
void Session::gather_pass() {
    const Offset before = pass_->head();
    view_->conflate(*batch_, *pass_, limits::catch_up_slice_max_events);
    const bool stuck = pass_->head() == before;
    if (!stuck && !pass_->full() && pass_->head() < batch_->next) return;
    batch_.reset();
    if (!stuck && !pass_->full() && !pass_->complete()) return;
    conflating_ = !pass_->complete();
    auto whole = pass_->take(view_->position());
    pass_.reset();
    batch_ = std::move(whole.batch);
    conflated_ = std::make_unique<Skipped>(std::move(whole.skipped));
}

// Others wait for what a subscriber holds that does not read: it keeps its place, and reads again when it comes to it.
void Session::give_way(std::int64_t now_ns) {
    if (live_ || (held_.empty() && !slice_ && !stretch_) || now_ns - held_since_ns_ < limits::catch_up_held_max_ms * std::int64_t{1'000'000}) return;
    if (!shard_.readers().short_of(Readers::Pool::streams)) return;
    keep_frame_only();
    release();
    read_bytes_ = limits::catch_up_batch_first_bytes;
}

}  // namespace licet::stream
