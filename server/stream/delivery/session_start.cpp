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
            came_with_ = std::make_unique<CursorPosition>(*cursor);
            keep_own(*came_with_);
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
    if (came_with_ && next_ > 0) shard_.acked(usage_of(), meter_, next_, next_);
    since_ = came_with_ ? came_with_->since.value_or(next_) : next_;
    auto unbilled = meter_->with([](Meter& m) { return m.unbilled ? m.unbilled->take() : std::vector<ports::UnbilledRecord>{}; });
    recount_unbilled(std::move(unbilled), [self = shared_from_this()] {
        const auto with = std::exchange(self->came_with_, nullptr);
        self->settle_suspense(with ? std::optional(*with) : std::nullopt, [self] { self->begin(); });
    });
}

// Where a stream began must outlive a crash before anything of it leaves: what lies below, its events' cursors do not speak of. What begins behind an
// offset that is billed needs no such mark, as nothing below that can become suspense.
void Session::begin() {
    const Offset kept = shard_.services().log->bounds({request_.product, {0}}).begin;
    const bool marked = request_.head_only || since_ <= kept ||
                        meter_->with([&](Meter& m) { return m.meter.billed().contains(since_ - 1) || m.beginnings.contains(since_); });
    if (marked) return open_stream();
    shard_.journal_beginning(usage_of(), since_, meter_, [self = shared_from_this()](bool kept_it) {
        if (self->ended_) return;
        if (!kept_it) return self->refuse({Errc::journal_full, "the usage journal accepts nothing at the moment", {}});
        self->open_stream();
    });
}

// Records of this node of which another had billed a part: what the rest comes to is counted, and moves to what is billed. Only where the whole comes
// to what the record says: else rights or the log are not what they were, and it stays unbilled.
void Session::recount_unbilled(std::vector<ports::UnbilledRecord> records, std::function<void()> then) {
    if (records.empty()) return then();
    auto record = std::make_shared<const ports::UnbilledRecord>(std::move(records.back()));
    records.pop_back();
    recount(*record, record->record.from, std::vector<View::Counted>(record->rest.ranges()), {},
            [self = shared_from_this(), record, records = std::move(records), then = std::move(then)](bool counted) mutable {
                if (!counted) self->meter_->with([&](Meter& m) { m.unbilled->add(*record); });
                if (!self->ended_) self->recount_unbilled(std::move(records), std::move(then));
            });
}

void Session::recount(const ports::UnbilledRecord& record, Offset from, std::vector<View::Counted> rests, View::Counted all,
                      std::function<void(bool)> then) {
    const auto& r = record.record;
    const auto plus = [](View::Counted& sum, const View::Counted& part) {
        sum.events += part.events;
        sum.billed += part.billed;
    };
    if (from >= r.to) {
        if (all.events != r.events || all.billed != r.bytes) return then(true);
        std::vector<ports::UsageRecord> moved;
        std::size_t at = 0;
        for (const auto& [begin, end] : record.rest.all()) {
            moved.push_back({ports::UsageKind::recounted, r.contract, r.product, r.partition, r.stream_epoch, begin, end, rests[at].events,
                             rests[at].billed, r.at, r.view});
            ++at;
        }
        return then(shard_.journal_recount(std::move(moved)));
    }
    auto read = [self = shared_from_this(), &record, from, rests, all, plus, then]() mutable {
        auto batch = self->shard_.read({self->request_.product, {0}}, from, limits::catch_up_batch_max_bytes);
        self->shard_.post([self, &record, from, rests = std::move(rests), all, plus, then = std::move(then), batch = std::move(batch)]() mutable {
            if (self->ended_ || !batch || (*batch)->entries.empty() || (*batch)->next <= from) return then(false);
            const Offset to = std::min((*batch)->next, record.record.to);
            plus(all, self->view_->count(**batch, from, to));
            std::size_t at = 0;
            for (const auto& [begin, end] : record.rest.all())
                plus(rests[at++], self->view_->count(**batch, std::max(begin, from), std::min(end, to)));
            self->recount(record, to, std::move(rests), all, std::move(then));
        });
    };
    if (!shard_.readers().submit(view_.get(), std::move(read))) then(false);
}

// Sent again is not yet a replay: what was on its way when a connection broke, or goes to two of a contract's streams, costs nothing; and a cursor
// does not say which of them it is of. It is one where the partner asks for the past.
Offset Session::replays_until() const {
    const bool past = request_.start == StartAt::earliest || request_.start == StartAt::since;
    return past ? shard_.services().log->bounds({request_.product, {0}}).end : 0;
}

// A start of this node that ended by a crash left open what it had delivered. What the partner has received of it for sure (Meter::received) is
// counted now, and billed on the day it was delivered; the rest is delivered again to whoever has not got it, or stays suspense. Then `then`.
void Session::settle_suspense(std::optional<CursorPosition> cursor, std::function<void()> then) {
    const Offset kept = shard_.services().log->bounds({request_.product, {0}}).begin;  // what the log dropped can no longer be counted
    const auto sure = meter_->with([&](Meter& m) {
        auto out = m.received(cursor, kept);
        if (out) m.suspense.remove(out->range.from, out->range.to);
        return out;
    });
    if (!sure) return then();
    const auto put_back = [meter = meter_, end = sure->range.to](Offset from) {
        if (from < end) meter->with([&](Meter& m) { m.suspense.add(from, end); });
    };
    auto read = [self = shared_from_this(), sure = *sure, cursor, put_back, then = std::move(then)]() mutable {
        const auto [from, end] = sure.range;
        auto batch = self->shard_.read({self->request_.product, {0}}, from, limits::catch_up_batch_max_bytes);
        self->shard_.post([self, from, end, at = sure.at, cursor, put_back, then = std::move(then), batch = std::move(batch)]() mutable {
            if (self->ended_) return put_back(from);
            if (!batch || (*batch)->entries.empty()) {
                put_back(from);
                return self->refuse(batch ? Error{Errc::unavailable, "the log does not reach the cursor", {}} : batch.error());
            }
            const Offset to = std::min((*batch)->next, end);
            self->settle(**batch, {from, to}, at);
            put_back(to);
            self->settle_suspense(std::move(cursor), std::move(then));
        });
    };
    if (shard_.readers().submit(view_.get(), std::move(read))) return;
    put_back(sure->range.from);
    refuse({Errc::overloaded, "too many reads wait for the log", {}});
}

void Session::settle(const ports::LogBatch& batch, metering::OffsetRange range, std::optional<UtcMillis> at) {
    std::vector<metering::OffsetRange> fresh;
    meter_->with([&](Meter& m) { m.meter.delivered(range.from, range.to, fresh); });
    View::Counted all;
    for (const auto& part : fresh) {
        const auto counted = count_received(batch, part.from, part.to);
        shard_.settled(usage_of(), part.from, part.to, {counted.events, counted.billed}, view_->digest(),
                       at.value_or(shard_.services().clock->utc_now()));
        all.events += counted.events;
        all.billed += counted.billed;
    }
    if (allowance_) allowance_->purse().add(all.events, all.billed);
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
