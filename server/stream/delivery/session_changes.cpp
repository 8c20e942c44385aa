// How a session takes a change of what it may be sent: at a frame boundary it goes on with what is decided anew; inside a frame it ends.
#include <algorithm>

#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {

bool Session::under_way() noexcept {
    if (!started_ || control_under_way_) return false;  // a control frame begins at a boundary
    return connection_->pending_record() > 0 || !tape().at_boundary(at_);
}

std::uint64_t Session::under_way_end() noexcept {
    const Tape& t = tape();
    return t.frame_end(std::min(at_ + connection_->pending_record(), t.end()));
}

// A tape of its own with the rest of the frame under way (and what TLS has taken), byte for byte; what follows is read and decided again.
void Session::keep_frame_only() {
    const bool within = !tape().at_boundary(at_);
    auto own = std::make_unique<Tape>(next_, within);
    if (under_way()) own->append_part(tape(), at_, under_way_end());
    own_ = std::move(own);
    slice_.reset();
    at_ = 0;
    live_ = false;
    until_reached_ = false;
    conflate_again();
}

void Session::leave_live() {
    if (live_) keep_frame_only();
}

// Time has overtaken the next frame.
void Session::decide_again() {
    if (pull()) {
        (void)begin_page_anew();
        return;
    }
    if (under_way()) return abort();
    keep_frame_only();
    shard_.post([self = shared_from_this()] { self->advance(); });
}

// A page is either written as it was decided or gathered again; there is no way to take back a Content-Length.
bool Session::begin_page_anew() {
    if (at_ > 0 || connection_->pending_record() > 0) {
        abort();
        return false;
    }
    if (allowance_) allowance_->leave_all();
    own_ = std::make_unique<Tape>(metered_);
    next_ = metered_;
    page_events_ = 0;
    page_reads_ = 0;
    page_done_ = page_waiting_ = until_reached_ = false;
    release();
    shard_.post([self = shared_from_this()] { self->gather(); });
    return true;
}

bool Session::on_subject(std::uint64_t subject) {
    if (!started_ || ended_) return true;
    conflate_again(subject);
    const Tape& t = tape();
    if (!t.names(subject, at_)) return true;
    if (pull()) return begin_page_anew();
    if (under_way() && t.names_within(subject, at_, std::max(under_way_end(), at_ + 1))) {
        abort();
        return false;
    }
    keep_frame_only();
    shard_.post([self = shared_from_this()] { self->advance(); });
    return true;
}

bool Session::on_new_generation(std::shared_ptr<View> view) {
    conflate_again();
    if (started_ && !ended_) {
        const bool no_event = !live_ && tape().next_event(at_) == tape().head();  // a response head is of no generation
        if (pull()) {
            if (!begin_page_anew()) return false;
        } else if (!no_event && under_way()) {
            abort();
            return false;
        } else if (!no_event) {
            keep_frame_only();
            shard_.post([self = shared_from_this()] { self->advance(); });
        }
    }
    if (view != view_) {
        shard_.left(*this);
        view_ = std::move(view);
        shard_.entered(shared_from_this());
    }
    return true;
}

}  // namespace licet::stream
