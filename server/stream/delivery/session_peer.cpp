// What passes between a session and its peer besides events: control frames, heartbeats, and the end.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::int64_t kMsNs = 1'000'000;

// What a request is answered that ends before its stream has begun.
Errc error_of(CloseCode code) {
    switch (code) {
        case CloseCode::token_expired:
        case CloseCode::token_revoked:
            return Errc::invalid_token;
        case CloseCode::policy_violation:
            return Errc::no_contract;
        case CloseCode::service_restart:
            return Errc::draining;
        case CloseCode::try_again_later:
            return Errc::unavailable;
        case CloseCode::quota_exhausted:
            return Errc::quota_exhausted;
        default:
            return Errc::internal;
    }
}

}  // namespace

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
        if (io.state == IoState::blocked) return listen();
        if (io.state != IoState::done) return gone();
        pinged_ns_ = 0;
        if (!is_websocket(request_.format) || leaving_) continue;  // nothing is expected, nothing is answered
        const auto outcome = websocket_.feed({buffer.data(), io.bytes});
        control_ += outcome.reply;
        if (outcome.error) return end(*outcome.error, "unexpected frame");
        for (const auto& message : outcome.messages) {
            on_message(message);
            if (ended_ || leaving_) return;
        }
        if (control_.size() > limits::client_message_max_bytes) return end(CloseCode::policy_violation, "too many control frames");
        if (!blocked_) write_control();
        if (ended_) return;
        if (outcome.closed) return linger();
    }
    // TLS may hold more that the socket no longer announces.
    shard_.post([self = shared_from_this()] {
        if (!self->ended_) self->on_readable();
    });
}

// {"ack": cursor}: everything below was received. What this stream wrote is metered as it is written; what an earlier one, of a node that crashed,
// may have sent is settled as by a resume from the cursor.
void Session::on_message(const WebsocketReader::Message& message) {
    const auto refuse_message = [&] { end(CloseCode::unsupported_data, "expected {\"ack\": cursor}, of this stream"); };
    if (message.binary || message.payload.size() > limits::client_ack_max_bytes) return refuse_message();
    const auto ack = nlohmann::json::parse(message.payload, nullptr, false);
    if (!ack.is_object() || ack.size() != 1 || !ack.contains("ack") || !ack["ack"].is_string()) return refuse_message();
    const auto cursor = open_cursor(shard_.siv(), ack["ack"].get_ref<const std::string&>());
    if (!cursor || cursor->product != request_.product || cursor->stream_epoch != stream_epoch_ || cursor->next > next_) return refuse_message();
    shard_.acked(usage_of(), meter_, std::min(first_, cursor->next), cursor->next);
    if (cursor->next > first_ || cursor->next <= acked_) return;
    acked_ = cursor->next;
    acked_with_ = std::make_unique<CursorPosition>(*cursor);
    keep_own(*acked_with_);
    settle_acked();
}

void Session::settle_acked() {
    if (ended_ || settling_ || !acked_with_) return;
    settling_ = true;
    const CursorPosition with = *std::exchange(acked_with_, nullptr);
    settle_suspense(with, [self = shared_from_this()] {
        self->settling_ = false;
        self->settle_acked();
    });
}

// Between frames; once begun, before anything else.
void Session::write_control() {
    while (!control_.empty()) {
        if (blocked_ || under_way()) return;
        const auto io = connection_->write_some({control_.data(), control_.size()});
        if (io.state == IoState::blocked) {
            control_under_way_ = control_under_way_ || connection_->pending_record() > 0;
            return wait_for_room();
        }
        if (io.state != IoState::done) return gone();
        control_.erase(0, io.bytes);
        control_under_way_ = !control_.empty();
        wrote_ns_ = shard_.now_ns();
    }
    if (leaving_) linger();
}

std::optional<Session::Ending> Session::due_to_end(std::int64_t now_ns) {
    const auto over = [&](std::int64_t since_ns, std::int64_t limit_ms) { return now_ns - since_ns > limit_ms * kMsNs; };
    if (shard_.delivering()) {
        paused_ns_ = 0;
    } else {
        if (behind_since_ns_ != 0) behind_since_ns_ = now_ns;  // its lag is not its own
        if (paused_ns_ == 0) paused_ns_ = now_ns;
        if (over(paused_ns_, limits::delivery_pause_max_ms)) return Ending{CloseCode::try_again_later, "this node may not deliver at the moment"};
    }
    if (blocked_ && behind_since_ns_ != 0 && over(behind_since_ns_, limits::subscriber_lag_max_ms))
        return Ending{CloseCode::lagging, "slower than the stream"};
    return std::nullopt;
}

void Session::tick(std::int64_t now_ns) {
    if (ended_ || !started_) return;
    const bool stalled = blocked_ && now_ns - progressed_ns_ > limits::stalled_write_timeout_ms * kMsNs;
    if (stalled || ((ending_ || leaving_) && now_ns > ending_deadline_ns_)) return abort();
    if (leaving_) return;
    if (!ending_)
        if (const auto why = due_to_end(now_ns)) return finish(why->code, why->reason);
    if (pull()) {
        if (reading_ && held_.empty() && now_ns - held_since_ns_ > limits::pull_wait_max_ms * kMsNs) {
            started_ = false;
            return refuse({Errc::overloaded, "too many pages are being read", {}});
        }
        if (page_done_ && now_ns > page_write_deadline_ns_) return abort();  // others wait for the memory
        if (request_.until.value != 0) advance();                            // it may have passed
        return;
    }
    if (request_.until.value != 0 && !reading_ && own_ && at_ == own_->end()) next();
    look_at_lag();
    if (!ended_ && allowance_) tell_quotas();  // others draw on it, too
    if (!ended_ && blocked_) give_way(now_ns);
    // A link that broke says nothing: the kernel finds out by what it cannot deliver, and this by what nobody answers.
    // While the kernel has bytes the peer has not taken, the answer cannot come, and the kernel itself counts (TCP_USER_TIMEOUT).
    if (pinged_ns_ != 0 && connection_->unsent() > 0) pinged_ns_ = now_ns;
    if (!ended_ && pinged_ns_ != 0 && now_ns - pinged_ns_ > limits::pong_timeout_ms * kMsNs) return abort();
    if (ended_ || blocked_ || !control_.empty() || now_ns - wrote_ns_ < limits::heartbeat_interval_ms * kMsNs) return;
    if (is_websocket(request_.format)) {
        append_websocket_ping(control_);
        if (pinged_ns_ == 0) pinged_ns_ = now_ns;
    } else {
        control_ += ": keep-alive\n\n";
    }
    write_control();
}

// Who stands at the head of the live tape waits for an event or a heartbeat, and nothing else.
std::int64_t Session::rests_until(std::int64_t now_ns) const noexcept {
    const std::int64_t soon = now_ns + 1000 * kMsNs;
    if (!live_ || blocked_ || allowance_ || behind_since_ns_ != 0 || ending_ || leaving_ || !control_.empty()) return soon;
    const std::int64_t heartbeat = wrote_ns_ + limits::heartbeat_interval_ms * kMsNs;
    return std::max(soon, pinged_ns_ == 0 ? heartbeat : std::min(heartbeat, pinged_ns_ + limits::pong_timeout_ms * kMsNs));
}

// Behind an event it is that event's, as everyone has it.
std::string Session::cursor_at(Offset next, Offset since, bool behind_event) const {
    const CursorPosition position{request_.product, {0}, stream_epoch_, next, since, request_.contract};
    if (!behind_event) return seal_reader_cursor(shard_.siv(), position);
    std::string out(kCursorText, '\0');
    return seal_cursor(shard_.siv(), position, out.data()) ? out : std::string();
}

// What another contract received says nothing of this one.
void Session::keep_own(CursorPosition& cursor) const {
    if (cursor.since && cursor.contract != request_.contract) cursor.since = cursor.next;
}

// The cursor covers what was withheld since the last event, as a page's does: who resumes from it misses nothing and need not be decided for again.
std::string Session::last_words(CloseCode code, std::string_view reason) {
    const std::string cursor = cursor_at(next_, std::min(since_, next_), metered_ == next_ && metered_ > first_);
    std::string out;
    if (request_.format == WireFormat::sse)
        append_sse_end(code, reason, cursor, retry_ms_, out);
    else
        append_websocket_close(code, reason, cursor, retry_ms_, out);
    return out;
}

void Session::restart(int retry_ms) {
    retry_ms_ = retry_ms;
    end(CloseCode::service_restart, "this node is restarting");
}

void Session::end(CloseCode code, std::string_view reason) {
    if (ended_ || leaving_) return;
    if (pull() && at_ == 0 && connection_->pending_record() == 0) started_ = false;  // nothing of the page is out: it can still be refused
    if (!started_) return refuse({error_of(code), std::string(reason), {}});
    if (blocked_) return abort();
    leave(code, reason);
}

void Session::leave(CloseCode code, std::string_view reason) {
    if (pull() || control_under_way_ || under_way()) return abort();
    // No event leaves any more; the last words may have to wait for room. Nothing of a tape or of the log is needed for them.
    keep_frame_only();
    release();
    leaving_ = true;
    shard_.look_soon(*this);
    ending_deadline_ns_ = shard_.now_ns() + limits::stalled_write_timeout_ms * kMsNs;
    control_ += last_words(code, reason);  // pongs that are due go first
    write_control();
}

void Session::expire(CloseCode code, std::string_view reason) {
    if (ended_ || leaving_) return;
    if (!started_ || (pull() && at_ == 0)) return end(code, reason);
    leave(code, reason);
}

void Session::expire_at(UtcMillis now) {
    if (now >= request_.authorised_until) return expire(CloseCode::token_expired, "token expired");
    if (now >= ends_at_) expire(CloseCode::policy_violation, "the contract is not in force");
}

void Session::finish(CloseCode code, std::string_view reason) {
    if (ended_ || ending_ || leaving_) return;
    if (!started_ || pull()) return end(code, reason);
    ending_ = Ending{code, reason};
    shard_.look_soon(*this);
    ending_deadline_ns_ = shard_.now_ns() + limits::stalled_write_timeout_ms * kMsNs;
    write();
}

void Session::abort() {
    connection_->abort();
    gone();
}

void Session::refuse(Error error) {
    if (ended_) return;
    ended_ = true;
    release();
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
    release();
    shard_.forget(shared_from_this());
    boost::system::error_code ignored;
    connection_->socket().cancel(ignored);
}

// A socket closed with bytes unread resets the connection, and the peer may lose the last frames: they are read and dropped until it closes too.
void Session::linger() {
    if (ended_) return;
    connection_->shutdown();
    gone();
    shard_.after(limits::close_linger_ms, [self = shared_from_this()] {
        boost::system::error_code ignored;
        self->connection_->socket().close(ignored);
    });
    discard();
}

void Session::discard() {
    connection_->wait_readable([self = shared_from_this()](bool ok) {
        if (!ok) return;
        std::array<char, 4096> buffer;
        for (int turn = 0; turn < 16; ++turn) {
            const auto io = self->connection_->read_some(buffer);
            if (io.state == IoState::blocked) break;
            if (io.state != IoState::done) {
                boost::system::error_code ignored;
                self->connection_->socket().close(ignored);
                return;
            }
        }
        self->discard();
    });
}

}  // namespace licet::stream
