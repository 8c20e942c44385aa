// How far behind the head a session is by its own slowness, and what its contract has done about it.
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {

// The live tape drops what it has not written.
void Session::overrun() {
    leave_live();
    if (behind_since_ns_ == 0 || shard_.lag_limits(request_.contract) == nullptr) return;
    overrun_ = true;
    shard_.post([self = shared_from_this()] { self->look_at_lag(); });
}

void Session::look_at_lag() {
    using Then = ports::LagLimits::Then;
    // A replay was never at the head; a node that may not deliver is no subscriber's fault.
    if (ended_ || ending_ || leaving_ || behind_since_ns_ == 0 || !shard_.delivering()) return;
    if (!blocked_ && (reading_ || turn_queued_)) return;  // it waits for the node
    const auto* lag = shard_.lag_limits(request_.contract);
    if (lag == nullptr || lag->then == Then::wait) return;
    if (conflating_ || conflated_ || !too_far_behind(*lag)) return;
    if (lag->then == Then::close) return finish(CloseCode::lagging, "further behind than the contract allows");
    keep_frame_only();
    release();
    conflating_ = true;
    advance();
}

bool Session::too_far_behind(const ports::LagLimits& lag) {
    const Tape& t = tape();
    const Offset due = t.next_event(at_), end = shard_.services().log->bounds(view_->position()).end;
    if (due >= end) return false;
    if (lag.max_events != 0 && end - due > lag.max_events) return true;
    if (lag.max_age_ms != 0 && shard_.age_ms(view_->position(), due) > lag.max_age_ms) return true;
    if (lag.max_bytes == 0) return false;
    // Of what it has to catch up with, the tapes show this much; what they dropped was more than any limit.
    std::uint64_t bytes = t.end() - at_;
    if (const Tape* live = live_ ? nullptr : view_->live_if(request_.format)) bytes += live->end() - live->position_of(t.head());
    return overrun_ || bytes > lag.max_bytes;
}

}  // namespace licet::stream
