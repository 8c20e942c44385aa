// How a session begins: where it starts, what its contract was billed before, what an ended start of the node left open; then the response head.
#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {

void Session::start() {
    stream_epoch_ = shard_.services().log->bounds({request_.product, {0}}).stream_epoch;
    auto view = shard_.view_for(request_, stream_epoch_);
    if (!view) return refuse(view.error());
    view_ = *std::move(view);
    shard_.entered(shared_from_this());
    place();
}

void Session::place() {
    const ports::LogPosition position{request_.product, {0}};
    const auto bounds = shard_.services().log->bounds(position);
    switch (request_.start) {
        case StartAt::latest: {
            const Tape* live = pull() ? nullptr : view_->live_if(request_.format);
            next_ = live != nullptr ? live->head() : bounds.end;
            break;
        }
        case StartAt::earliest:
            next_ = bounds.begin;
            break;
        case StartAt::cursor: {
            const auto cursor = open_cursor(shard_.siv(), request_.cursor);
            if (!cursor) return refuse(cursor.error());
            if (cursor->product != request_.product) return refuse({Errc::invalid_cursor, "the cursor is of another product", "query:from"});
            if (cursor->stream_epoch != bounds.stream_epoch) return refuse({Errc::gone, "the log this cursor is of is no longer kept", "query:from"});
            if (cursor->next < bounds.begin) return refuse({Errc::gone, "events after this cursor are no longer kept", "query:from"});
            if (cursor->next > bounds.end) return refuse({Errc::invalid_cursor, "the cursor is past the end of the log", "query:from"});
            next_ = cursor->next;
            break;
        }
        case StartAt::since: {
            auto seek = [self = shared_from_this(), position] {
                auto found = self->shard_.services().log->seek(position, self->request_.since);
                self->shard_.post([self, found = std::move(found)] {
                    if (self->ended_) return;
                    if (!found) return self->refuse(found.error());
                    self->next_ = *found;
                    self->load_meter();
                });
            };
            if (!shard_.readers().submit(view_.get(), std::move(seek))) refuse({Errc::overloaded, "too many reads wait for the log", {}});
            return;
        }
    }
    load_meter();
}

void Session::load_meter() {
    if (awaits_allowance()) return;
    meter_ = shard_.meters().known(usage_of());
    if (meter_) return metered();
    auto load = [self = shared_from_this()] {
        auto meter = self->shard_.meters().get(self->usage_of());
        self->shard_.post([self, meter = std::move(meter)] {
            if (self->ended_) return;
            if (!meter) return self->refuse({Errc::unavailable, "the usage ledger cannot be reached", {}});
            self->meter_ = *meter;
            self->metered();
        });
    };
    if (!shard_.readers().submit(view_.get(), std::move(load))) refuse({Errc::overloaded, "too many reads wait for the ledger", {}});
}

void Session::metered() {
    if (shard_.replays_billed(request_.contract)) replay_until_ = replays_until();
    if (allowance_) allowance_->paid_below(replay_until_);
    const Offset received = request_.start == StartAt::cursor ? next_ : 0;
    if (received > 0) shard_.acked(usage_of(), meter_, received, received);
    settle_suspense(received, [self = shared_from_this()] { self->open_stream(); });
}

// Sent again is not yet a replay: what was on its way when a connection broke, or goes to two of a contract's streams, costs nothing; and a cursor
// does not say which of them it is of. It is one where the partner asks for the past.
Offset Session::replays_until() const {
    const bool past = request_.start == StartAt::earliest || request_.start == StartAt::since;
    return past ? shard_.services().log->bounds({request_.product, {0}}).end : 0;
}

// A start of this node that ended by a crash left open what it had delivered. The subscriber's cursor says what it received: everything this contract
// was entitled to below it; so does what its streams acknowledged before. That part is counted now and billed; what lies above is delivered again.
// Then `then`; without it the stream ends.
void Session::settle_suspense(Offset received, std::function<void()> then) {
    const Offset kept = shard_.services().log->bounds({request_.product, {0}}).begin;  // what the log dropped can no longer be counted
    std::vector<metering::OffsetRange> pieces;
    meter_->with([&](Meter& m) {
        if (m.suspense.ranges() == 0) return;
        auto sure = m.acked;
        sure.add(0, received);
        for (const auto& [from, to] : m.suspense.all())
            for (const auto& [begin, end] : sure.all())
                if (const auto at = std::max({from, begin, kept}); at < std::min(to, end)) pieces.push_back({at, std::min(to, end)});
        for (const auto& piece : pieces) m.suspense.remove(piece.from, piece.to);
    });
    if (pieces.empty()) return then();
    const auto piece = pieces.front();
    // One piece at a time; the others go back and are found again.
    meter_->with([&](Meter& m) {
        for (std::size_t i = 1; i < pieces.size(); ++i) m.suspense.add(pieces[i].from, pieces[i].to);
    });
    auto read = [self = shared_from_this(), piece, received, then = std::move(then)]() mutable {
        auto batch = self->shard_.read({self->request_.product, {0}}, piece.from, limits::catch_up_batch_max_bytes);
        self->shard_.post([self, piece, received, then = std::move(then), batch = std::move(batch)]() mutable {
            const auto put_back = [&](Offset from) {
                if (from < piece.to) self->meter_->with([&](Meter& m) { m.suspense.add(from, piece.to); });
            };
            if (self->ended_) return put_back(piece.from);
            if (!batch || (*batch)->entries.empty()) {
                put_back(piece.from);
                return self->refuse(batch ? Error{Errc::unavailable, "the log does not reach the cursor", {}} : batch.error());
            }
            const Offset to = std::min((*batch)->next, piece.to);
            std::vector<metering::OffsetRange> fresh;
            self->meter_->with([&](Meter& m) { m.meter.delivered(piece.from, to, fresh); });
            Tape::Totals all;
            for (const auto& range : fresh) {
                const auto counted = self->count_received(**batch, range.from, range.to);
                self->shard_.delivered(self->usage_of(), range.from, range.to, {counted.events, counted.billed}, self->view_->digest());
                all.events += counted.events;
                all.billed += counted.billed;
            }
            put_back(to);
            if (self->allowance_) self->allowance_->purse().add(all.events, all.billed);
            self->settle_suspense(received, std::move(then));
        });
    };
    if (shard_.readers().submit(view_.get(), std::move(read))) return;
    meter_->with([&](Meter& m) { m.suspense.add(piece.from, piece.to); });
    refuse({Errc::overloaded, "too many reads wait for the log", {}});
}

// Where the contract conflates, what a slow stream was sent may have been the latest of each key alone: no more is billed.
View::Counted Session::count_received(const ports::LogBatch& batch, Offset from, Offset to) {
    const auto* lag = shard_.lag_limits(request_.contract);
    if (lag == nullptr || lag->then != ports::LagLimits::Then::conflate) return view_->count(batch, from, to);
    Conflation latest(from, to);
    ports::LogBatch piece;
    piece.position = batch.position;
    piece.next = to;
    for (const auto& entry : batch.entries)
        if (entry.offset >= from && entry.offset < to) piece.entries.push_back(entry);
    view_->conflate(piece, latest, piece.entries.size());
    return view_->count(*latest.take(batch.position).batch, from, to);
}

void Session::open_stream() {
    if (allowance_) {
        const auto now = shard_.services().clock->utc_now();
        if (allowance_->purse().exhausted(now)) return refuse(quota_error());
        if (!pull()) request_.extra_headers += allowance_->purse().headers(now);
    }
    first_ = metered_ = next_;
    own_ = std::make_unique<Tape>(next_);
    started_ = true;
    // A page is short: a peer that went away is noticed when it is written.
    if (pull()) return gather();
    if (request_.head_only) {
        own_->append_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n" +
                         request_.extra_headers + "\r\n");
        return write();
    }
    std::string head;
    if (is_websocket(request_.format)) {
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + request_.websocket_accept +
               "\r\nSec-WebSocket-Protocol: " + (request_.format == WireFormat::websocket_protobuf ? "cloudevents.proto" : "cloudevents.json") +
               "\r\n" + (request_.websocket_extensions.empty() ? "" : "Sec-WebSocket-Extensions: " + request_.websocket_extensions + "\r\n") +
               request_.extra_headers + "\r\n";
    } else {
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n" + request_.extra_headers +
               "\r\nretry: " + std::to_string(limits::sse_retry_ms) + "\n\n";
    }
    own_->append_raw(head);
    forget_the_start();
    listen();
    write();
}

// An open stream may last, and there may be tens of thousands: what only its start needed goes.
void Session::forget_the_start() {
    handback_ = nullptr;
    request_.snapshot.reset();
    for (auto* text : {&request_.cursor, &request_.websocket_accept, &request_.websocket_extensions, &request_.extra_headers})
        std::string().swap(*text);
}

}  // namespace licet::stream
