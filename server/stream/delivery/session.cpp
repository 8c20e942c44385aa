#include "server/stream/delivery/session.h"

#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::size_t kWriteTurnBytes = 1024 * 1024;  // then others have their turn
constexpr std::int64_t kMsNs = 1'000'000;

}  // namespace

Session::Session(Shard& shard, ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback)
    : shard_(shard), request_(std::move(request)), connection_(std::move(connection)), handback_(std::move(handback)) {
    progressed_ns_ = wrote_ns_ = shard_.now_ns();
    page_deadline_ns_ = progressed_ns_ + request_.wait_ms * kMsNs;
}

ports::UsageOf Session::usage_of() const noexcept { return {request_.contract, request_.product, {0}, stream_epoch_}; }

void Session::start() {
    stream_epoch_ = shard_.services().log->bounds({request_.product, {0}}).stream_epoch;
    auto view = shard_.view_for(request_, stream_epoch_);
    if (!view) return refuse(view.error());
    view_ = *std::move(view);
    shard_.entered(view_);
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
        case StartAt::earliest: next_ = bounds.begin; break;
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
                    if (!found) return self->refuse(found.error());
                    self->next_ = *found;
                    self->load_meter();
                });
            };
            if (!shard_.readers().submit(std::move(seek))) refuse({Errc::overloaded, "too many reads wait for the log", {}});
            return;
        }
    }
    load_meter();
}

void Session::load_meter() {
    meter_ = shard_.meters().known(usage_of());
    if (meter_) return settle_suspense();
    auto load = [self = shared_from_this()] {
        auto meter = self->shard_.meters().get(self->usage_of());
        self->shard_.post([self, meter = std::move(meter)] {
            if (!meter) return self->refuse({Errc::unavailable, "the usage ledger cannot be reached", {}});
            self->meter_ = *meter;
            self->settle_suspense();
        });
    };
    if (!shard_.readers().submit(std::move(load))) refuse({Errc::overloaded, "too many reads wait for the ledger", {}});
}

// A start of this node that ended by a crash left open what it had delivered. The subscriber's cursor says what it received: everything this contract was
// entitled to below it. That part is counted now and billed; what lies above is delivered again.
void Session::settle_suspense() {
    const Offset received = next_;
    std::vector<metering::OffsetRange> pieces;
    if (request_.start == StartAt::cursor)
        meter_->with([&](Meter& m) {
            for (const auto& [from, to] : m.suspense.all())
                if (from < received) pieces.push_back({from, std::min(to, received)});
            for (const auto& piece : pieces) m.suspense.remove(piece.from, piece.to);
        });
    if (pieces.empty()) return open_stream();
    const auto piece = pieces.front();
    // One piece at a time; the others go back and are found again.
    meter_->with([&](Meter& m) {
        for (std::size_t i = 1; i < pieces.size(); ++i) m.suspense.add(pieces[i].from, pieces[i].to);
    });
    auto read = [self = shared_from_this(), piece] {
        auto batch = self->shard_.services().log->read({self->request_.product, {0}}, piece.from, limits::catch_up_batch_max_events, limits::catch_up_batch_max_bytes);
        self->shard_.post([self, piece, batch = std::move(batch)] {
            const auto put_back = [&](Offset from) {
                if (from < piece.to) self->meter_->with([&](Meter& m) { m.suspense.add(from, piece.to); });
            };
            if (!batch || (*batch)->entries.empty()) {
                put_back(piece.from);
                return self->refuse(batch ? Error{Errc::unavailable, "the log does not reach the cursor", {}} : batch.error());
            }
            const Offset to = std::min((*batch)->next, piece.to);
            std::vector<metering::OffsetRange> fresh;
            self->meter_->with([&](Meter& m) { m.meter.delivered(piece.from, to, fresh); });
            if (fresh.size() == 1 && fresh[0] == metering::OffsetRange{piece.from, to}) {
                const auto counted = self->view_->count(**batch, to);
                self->shard_.delivered(self->usage_of(), piece.from, to, {counted.events, counted.billed});
            }
            put_back(to);
            self->settle_suspense();
        });
    };
    if (shard_.readers().submit(std::move(read))) return;
    meter_->with([&](Meter& m) { m.suspense.add(piece.from, piece.to); });
    refuse({Errc::overloaded, "too many reads wait for the log", {}});
}

void Session::open_stream() {
    metered_ = next_;
    own_ = std::make_unique<Tape>(next_);
    started_ = true;
    // A page is short: a peer that went away is noticed when it is written.
    if (pull()) return gather();
    std::string head;
    if (request_.format == WireFormat::websocket_json) {
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + request_.websocket_accept +
               "\r\nSec-WebSocket-Protocol: cloudevents.json\r\n" + request_.extra_headers + "\r\n";
    } else {
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n" + request_.extra_headers + "\r\nretry: " +
               std::to_string(limits::sse_retry_ms) + "\n\n";
    }
    own_->append_raw(head);
    listen();
    write();
}

void Session::advance() {
    if (ended_ || !started_) return;
    if (pull() && !page_done_) {
        if (page_waiting_) {
            page_waiting_ = false;
            gather();
        }
        return;
    }
    write();
}

// Bytes up to which the meter allows, then wait for whoever is the bottleneck: socket, intent, or new events.
void Session::write() {
    if (ended_ || blocked_) return;
    if (!control_.empty()) write_control();
    if (ended_ || blocked_) return;
    const std::uint64_t turn_start = at_;
    for (;;) {
        Tape& t = tape();
        std::uint64_t limit = t.end();
        if (t.head() > next_ && t.end() > at_) {
            if (!shard_.delivering()) return;
            const Offset until = meter_->with([&](const Meter& m) { return m.meter.sendable_until(next_, t.head()); });
            limit = std::max(t.limit_for(until), t.frame_end(at_));
            want_intent();
            if (limit == at_) return shard_.awaits_intent(shared_from_this());
        }
        if (at_ == limit) break;
        const auto piece = t.bytes(at_, limit);
        const auto io = connection_->write_some({piece.data(), piece.size()});
        if (io.state == IoState::blocked) {
            blocked_ = true;
            progressed_ns_ = shard_.now_ns();
            connection_->wait_writable([self = shared_from_this()](bool ok) {
                self->blocked_ = false;
                if (!ok) return self->gone();
                self->write();
            });
            return;
        }
        if (io.state != IoState::done) return gone();
        const std::uint64_t from = at_;
        at_ += io.bytes;
        wrote(from);
        shard_.bytes_written().add(static_cast<double>(io.bytes));
        if (at_ - turn_start >= kWriteTurnBytes) {
            shard_.post([self = shared_from_this()] { self->advance(); });
            return;
        }
    }
    next();
}

void Session::wrote(std::uint64_t from) {
    wrote_ns_ = progressed_ns_ = shard_.now_ns();
    Tape& t = tape();
    const auto done = t.completed(from, at_);
    if (done.events > 0) {
        std::vector<metering::OffsetRange> fresh;
        meter_->with([&](Meter& m) {
            m.meter.delivered(metered_, done.last + 1, fresh);
            m.suspense.remove(metered_, done.last + 1);
        });
        for (const auto& range : fresh)
            if (const auto totals = t.totals(range.from, range.to); totals.events > 0) shard_.delivered(usage_of(), range.from, range.to, totals);
        metered_ = next_ = done.last + 1;
    }
    if (at_ == t.end()) next_ = std::max(next_, t.head());
}

void Session::want_intent() {
    const auto range = meter_->with([&](Meter& m) { return m.meter.intent_needed(next_); });
    if (range) shard_.journal_intent(usage_of(), *range, meter_);
}

void Session::next() {
    Tape& t = tape();
    if (at_ != t.end()) return;  // the meter holds the rest back
    next_ = std::max(next_, t.head());
    if (pull()) {
        // The page is out: the connection takes the next request.
        ended_ = true;
        shard_.forget(shared_from_this());
        if (request_.keep_alive) handback_(std::move(connection_), std::nullopt);
        else connection_->shutdown();
        return;
    }
    if (until_reached_) return end(CloseCode::normal, "until");
    if (live_) return;  // at the head: the next event wakes us
    if (reading_) return;
    if (request_.until.value == 0) {
        Tape& live = view_->live(request_.format, shard_.services().log->bounds(view_->position()).end);
        if (next_ > live.head()) return;  // another shard was faster: wait for this one
        if (next_ >= live.begin()) {
            at_ = live.position_of(next_);
            live_ = true;
            own_.reset();
            if (at_ != live.end() || next_ != live.head()) write();
            return;
        }
    } else if (next_ >= shard_.services().log->bounds(view_->position()).end) {
        if (shard_.services().clock->utc_now() >= request_.until) end(CloseCode::normal, "until");
        return;
    }
    read_log();
}

void Session::read_log() {
    reading_ = true;
    auto read = [self = shared_from_this(), position = view_->position(), from = next_] {
        auto batch = self->shard_.services().log->read(position, from, limits::catch_up_batch_max_events, limits::catch_up_batch_max_bytes);
        self->shard_.post([self, batch = std::move(batch)] {
            self->reading_ = false;
            if (self->ended_) return;
            if (!batch) return self->end(CloseCode::internal, batch.error().code == Errc::gone ? "events are no longer kept" : "the log cannot be read");
            self->took(**batch);
        });
    };
    if (!shard_.readers().submit(std::move(read))) {
        reading_ = false;
        end(CloseCode::try_again_later, "too many reads wait for the log");
    }
}

void Session::took(const ports::LogBatch& batch) {
    // Decided now, under the view as it is now: a change while the read was under way is respected.
    if (own_->end() != at_) return;  // a frame under way is still being written: read again after it
    own_ = std::make_unique<Tape>(next_);
    at_ = 0;
    until_reached_ = view_->encode(batch, request_.format, *own_, request_.until, SIZE_MAX, SIZE_MAX);
    write();
}

bool Session::under_way() noexcept {
    if (!started_ || !own_) {
        if (!live_) return false;
    }
    return connection_->pending_record() > 0 || !tape().at_boundary(at_);
}

std::uint64_t Session::under_way_end() noexcept {
    Tape& t = tape();
    return t.frame_end(std::min(at_ + connection_->pending_record(), t.end()));
}

void Session::leave_live() {
    if (!live_) return;
    Tape& t = tape();
    auto own = std::make_unique<Tape>(next_);
    // The rest of the frame (and what TLS has taken) goes along, byte for byte.
    if (under_way()) own->append_part(t, at_, under_way_end());
    own_ = std::move(own);
    at_ = 0;
    live_ = false;
}

bool Session::on_subject(std::uint64_t subject) {
    if (!started_ || ended_) return true;
    Tape& t = tape();
    if (!t.names(subject, at_)) return true;
    if (under_way() && t.names_within(subject, at_, std::max(under_way_end(), at_ + 1))) {
        connection_->abort();
        gone();
        return false;
    }
    if (pull()) {
        if (at_ > 0) {
            connection_->abort();  // part of a page that may not be finished
            gone();
            return false;
        }
        own_ = std::make_unique<Tape>(metered_);
        next_ = metered_;
        page_events_ = 0;
        page_done_ = false;
        shard_.post([self = shared_from_this()] { self->gather(); });
        return true;
    }
    if (live_) {
        leave_live();
    } else {
        // The rest of the frame under way stays; everything after it is read and decided again.
        auto rest = std::make_unique<Tape>(next_);
        if (under_way()) rest->append_part(t, at_, under_way_end());
        own_ = std::move(rest);
        at_ = 0;
        until_reached_ = false;
    }
    shard_.post([self = shared_from_this()] { self->advance(); });
    return true;
}

bool Session::on_new_generation(std::shared_ptr<View> view) {
    const bool moved = view != view_;
    if (started_ && !ended_) {
        const bool head_only = !live_ && own_ && own_->totals(0, ~Offset{0}).events == 0;
        if (under_way() && !head_only) {
            connection_->abort();
            gone();
            return false;
        }
        if (pull() && at_ == 0) {
            own_ = std::make_unique<Tape>(metered_);
            next_ = metered_;
            page_events_ = 0;
            page_done_ = false;
            shard_.post([self = shared_from_this()] { self->gather(); });
        } else if (pull()) {
            connection_->abort();
            gone();
            return false;
        } else if (!head_only) {
            own_ = std::make_unique<Tape>(next_);
            at_ = 0;
            live_ = false;
            until_reached_ = false;
            shard_.post([self = shared_from_this()] { self->advance(); });
        }
    }
    if (moved) {
        shard_.left(view_);
        view_ = std::move(view);
        shard_.entered(view_);
    }
    return true;
}

void Session::listen() {
    connection_->wait_readable([self = shared_from_this()](bool ok) {
        if (self->ended_) return;
        if (!ok) return self->gone();
        self->on_readable();
    });
}

void Session::on_readable() {
    std::array<char, 4096> buffer;
    for (int turn = 0; turn < 16; ++turn) {
        const auto io = connection_->read_some(buffer);
        if (io.state == IoState::blocked) break;
        if (io.state != IoState::done) return gone();
        if (request_.format == WireFormat::sse) continue;  // nothing is expected from an SSE client
        auto outcome = websocket_.feed({buffer.data(), io.bytes});
        control_ += outcome.reply;
        if (outcome.error) return end(*outcome.error, "unexpected frame");
        if (outcome.closed) {
            if (!under_way()) write_control();
            if (!ended_) {
                connection_->shutdown();
                gone();
            }
            return;
        }
        if (control_.size() > limits::client_frame_max_bytes) return end(CloseCode::policy_violation, "too many control frames");
        if (!control_.empty() && !blocked_) write_control();
        if (ended_) return;
    }
    listen();
}

void Session::write_control() {
    if (blocked_ || under_way() || control_.empty()) return;
    const auto io = connection_->write_some({control_.data(), control_.size()});
    if (io.state == IoState::done && io.bytes == control_.size()) {
        control_.clear();
        wrote_ns_ = shard_.now_ns();
        return;
    }
    if (io.state == IoState::done || io.state == IoState::blocked) {
        // Part of a control frame is out (or TLS holds it): a tape position cannot express that. A peer whose buffers are so full is not worth more.
        if (io.state == IoState::blocked && connection_->pending_record() == 0) return;
        connection_->abort();
    }
    gone();
}

void Session::tick(UtcMillis now, std::int64_t now_ns) {
    if (ended_ || !started_) return;
    if (blocked_ && now_ns - progressed_ns_ > limits::stalled_write_timeout_ms * kMsNs) {
        connection_->abort();
        return gone();
    }
    if (pull()) {
        if (page_waiting_ && now_ns >= page_deadline_ns_) {
            page_waiting_ = false;
            write_page();
        }
        return;
    }
    if (now >= request_.authorised_until) return end(CloseCode::token_expired, "token expired");
    if (request_.until.value != 0 && !reading_ && own_ && at_ == own_->end()) next();
    if (ended_ || blocked_ || now_ns - wrote_ns_ < limits::heartbeat_interval_ms * kMsNs) return;
    if (request_.format == WireFormat::websocket_json) append_websocket_ping(control_);
    else control_ += ": keep-alive\n\n";
    write_control();
}

void Session::end(CloseCode code, std::string_view reason) {
    if (ended_) return;
    if (!started_) return refuse({Errc::draining, std::string(reason), {}});
    if (pull() || under_way() || blocked_) {
        connection_->abort();
    } else {
        std::string last;
        if (request_.format == WireFormat::websocket_json) append_websocket_close(code, reason, last);
        else last = ": " + std::to_string(static_cast<int>(code)) + " " + std::string(reason) + "\n\n";
        (void)connection_->write_some({last.data(), last.size()});
        connection_->shutdown();
    }
    gone();
}

void Session::refuse(Error error) {
    if (ended_) return;
    ended_ = true;
    shard_.forget(shared_from_this());
    if (started_) {
        connection_->abort();
        return;
    }
    handback_(std::move(connection_), std::move(error));
}

void Session::gone() {
    if (ended_) return;
    ended_ = true;
    shard_.forget(shared_from_this());
    boost::system::error_code ignored;
    connection_->socket().cancel(ignored);
}

}  // namespace licet::stream
