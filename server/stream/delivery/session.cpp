#include "server/stream/delivery/session.h"

#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::size_t kWriteTurnBytes = 1024 * 1024;  // then others have their turn
constexpr std::int64_t kMsNs = 1'000'000;

template <class Work>
struct AtTheEnd {
    explicit AtTheEnd(Work what) : work(std::move(what)) {}
    ~AtTheEnd() { work(); }
    Work work;
};

}  // namespace

Session::Session(Shard& shard, ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback)
    : shard_(shard),
      request_(std::move(request)),
      connection_(std::move(connection)),
      handback_(std::move(handback)),
      websocket_(request_.format == WireFormat::websocket_json_deflate ? WebsocketReader::Compression::permessage_deflate
                                                                       : WebsocketReader::Compression::off) {
    progressed_ns_ = wrote_ns_ = shard_.now_ns();
    page_deadline_ns_ = progressed_ns_ + request_.wait_ms * kMsNs;
}

ports::UsageOf Session::usage_of() const noexcept { return {request_.contract, request_.product, {0}, stream_epoch_}; }

void Session::advance() {
    if (ended_ || !started_) return;
    if (pull() && !page_done_) {
        if (page_waiting_) {
            page_waiting_ = false;
            gather();
        }
        return;
    }
    if (live_ || leaving_ || ending_ || !control_.empty()) return write();  // last words wait for nothing that is read
    if (!blocked_ && !reading_) queue_turn();
}

// How far may be written now: what the meter allows, and in any case to the end of a frame that was begun.
std::uint64_t Session::writable_until(const Tape& t, Offset due) {
    constexpr Offset kAhead = limits::intent_lease_offsets / 2;
    if (t.head() + kAhead <= sendable_ && due >= sendable_from_) return t.end();
    std::optional<metering::OffsetRange> wanted;
    meter_->with([&](Meter& m) {
        sendable_from_ = due;
        sendable_ = m.meter.sendable_until(due, t.head() + kAhead);
        wanted = m.meter.intent_needed(due);
    });
    if (wanted) shard_.journal_intent(usage_of(), *wanted, meter_);
    return std::max(t.limit_for(sendable_), t.frame_end(at_));
}

// Asked anew before every write: of events, no byte leaves without a look at the clocks.
std::optional<Session::Reach> Session::reach() {
    const Tape& t = tape();
    std::uint64_t limit = ending_ ? under_way_end() : t.end();
    if (at_ >= limit) return Reach{};
    const Offset due = t.next_event(at_);
    if (due >= t.head()) return Reach{t.bytes(at_, limit), false};
    const UtcMillis now = shard_.services().clock->utc_now();
    if (now >= ends_at_) {
        expire_at(now);
        return std::nullopt;
    }
    if (!shard_.may_write(now)) return std::nullopt;
    limit = std::min(limit, writable_until(t, due));
    if (limit == at_) {
        shard_.awaits_intent(shared_from_this());
        return std::nullopt;
    }
    if (allowance_ && !allowed(limit)) return std::nullopt;
    // Of a page nothing is out yet: it can still be gathered anew.
    if (at_ == 0 && pull() && t.fresh_until(0, t.end(), now.value) < t.end()) {
        decide_again();
        return std::nullopt;
    }
    auto piece = t.piece(at_, limit);
    if (now.value >= piece.deadline) {
        const auto fresh = t.fresh_until(at_, at_ + piece.bytes.size(), now.value) - at_;
        if (fresh == 0 || fresh < connection_->pending_record()) {
            decide_again();
            return std::nullopt;
        }
        piece.bytes = piece.bytes.substr(0, fresh);
    }
    return Reach{piece.bytes, true};
}

// As much as the meter allows and the socket takes; then waits for whoever holds it back: socket, intent, or new events.
void Session::write() {
    if (ended_ || blocked_) return;
    const AtTheEnd on_return([this] {
        if (allowance_) leave_unbegun();
    });
    write_control();
    if (ended_ || blocked_ || leaving_) return;
    const std::uint64_t turn_start = at_;
    for (;;) {
        if (ending_ && !under_way()) return end(ending_->code, ending_->reason);
        const auto what = reach();
        if (!what) return;
        if (what->bytes.empty()) break;
        const auto io = connection_->write_some({what->bytes.data(), what->bytes.size()});
        if (io.state == IoState::blocked) return wait_for_room();
        if (io.state != IoState::done) return gone();
        const std::uint64_t from = at_;
        at_ += io.bytes;
        wrote(from);
        shard_.bytes_written().add(static_cast<double>(io.bytes));
        // Stopped between the look and the write for longer than the lease: what the kernel has not sent yet is taken back.
        if (what->events && !shard_.lease_held()) return abort();
        if (at_ - turn_start >= kWriteTurnBytes) {
            shard_.post([self = shared_from_this()] { self->advance(); });
            return;
        }
    }
    next();
}

void Session::wait_for_room() {
    blocked_ = true;
    progressed_ns_ = shard_.now_ns();
    shard_.look_soon(*this);
    if (at_head_) behind_since_ns_ = progressed_ns_;
    at_head_ = false;
    if (stretch_) {  // who knows when there will be room: the memory is for those who have some
        stretch_.reset();
        read_bytes_ = limits::catch_up_batch_first_bytes;
    }
    connection_->wait_writable([self = shared_from_this()](bool ok) {
        self->blocked_ = false;
        if (self->ended_) return;
        if (!ok) return self->gone();
        self->advance();  // not write(): a page may be gathered anew by now
    });
}

void Session::wrote(std::uint64_t from) {
    wrote_ns_ = shard_.now_ns();
    const Tape& t = tape();
    const auto done = t.completed(from, at_);
    if (done.events > 0) {
        std::vector<metering::OffsetRange> fresh;
        meter_->with([&](Meter& m) {
            m.meter.delivered(metered_, done.last + 1, fresh);
            m.suspense.remove(metered_, done.last + 1);
        });
        // A tape shared with others may have, in between, what was withheld from this one when it passed there.
        for (const auto& range : fresh)
            shard_.delivered(usage_of(), range.from, range.to, t.totals(std::max(range.from, done.first), range.to), view_->digest());
        if (metered_ < replay_until_) note_replayed(done, fresh);
        metered_ = next_ = done.last + 1;
        if (allowance_) allowance_->wrote(metered_, fresh);
    }
    if (at_ == t.end()) next_ = std::max(next_, t.head());
}

// What of a write was billed before, up to where delivering again is a replay.
void Session::note_replayed(const Tape::Completed& done, const std::vector<metering::OffsetRange>& fresh) {
    metering::IntervalSet again;
    again.add(metered_, std::min(done.last + 1, replay_until_));
    for (const auto& range : fresh) again.remove(range.from, range.to);
    for (const auto& [from, to] : again.all()) {
        const auto totals = tape().totals(std::max(from, done.first), to);
        if (totals.events > 0) shard_.replayed(usage_of(), from, to, totals, view_->digest());
    }
}

void Session::next() {
    const Tape& t = tape();
    if (at_ != t.end()) return;  // the meter holds the rest back
    next_ = std::max(next_, t.head());
    if (pull()) {
        // The page is out: the connection takes the next request.
        if (!request_.keep_alive) return linger();
        ended_ = true;
        release();
        shard_.forget(shared_from_this());
        handback_(std::move(connection_), std::nullopt);
        return;
    }
    if (request_.head_only) return linger();
    if (until_reached_) return finish(CloseCode::normal, "until");
    if (live_) {  // at the head: the next event wakes us
        at_head_ = true;
        behind_since_ns_ = 0;
        overrun_ = conflating_ = false;
        return;
    }
    catch_up();
}

}  // namespace licet::stream
