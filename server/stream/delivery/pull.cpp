// The pull page: gathered from the log, then written like a tape with a response head.
#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::size_t kPageEventBytes = 512;  // of an event, as a guess
constexpr int kPageReadsMax = 64;             // a page that found nothing in so many reads is answered empty, with the cursor moved on

std::string_view media_type_of(WireFormat page) {
    if (page == WireFormat::batch_json) return "application/cloudevents-batch+json";
    if (page == WireFormat::batch_protobuf) return "application/cloudevents-batch+protobuf";
    return page == WireFormat::one_protobuf ? "application/cloudevents+protobuf" : "application/x-ndjson";
}

}  // namespace

void Session::gather() {
    if (ended_ || reading_ || page_done_) return;
    const bool over = request_.until.value != 0 && shard_.services().log->settled() >= request_.until;  // before the bounds are read
    const auto bounds = shard_.services().log->bounds(view_->position());
    const bool full = page_events_ >= request_.limit || own_->size() >= limits::pull_page_max_bytes || page_reads_ >= kPageReadsMax || until_reached_;
    if (full || next_ >= bounds.end) {
        const bool wait = !full && !over && page_events_ == 0 && shard_.now_ns() < page_deadline_ns_;
        if (!wait) return write_page();
        held_.clear();            // there is nothing to hold
        page_waiting_ = true;     // the next batch or the deadline goes on
        if (page_timer_) return;  // the deadline does not move
        page_timer_ = true;
        const auto left_ms = static_cast<int>((page_deadline_ns_ - shard_.now_ns()) / 1'000'000) + 1;
        shard_.after(left_ms, [self = weak_from_this()] {
            const auto still = self.lock();
            if (!still) return;
            still->page_timer_ = false;
            still->advance();
        });
        return;
    }
    // A page that is refused more memory goes as it is; one without events needs none but a batch's.
    Readers::Held more;
    const std::size_t needed = own_->size() / limits::catch_up_batch_max_bytes + 1;
    if (!held_.empty() && held_.size() < needed) {
        more = shard_.readers().try_hold(Readers::Pool::pages, limits::catch_up_batch_max_bytes);
        if (!more) return write_page();
        held_.push_back(std::move(more));
    }
    reading_ = true;
    ++page_reads_;
    // No more than is likely to be wanted; more with every read that found too little.
    const std::size_t most = std::clamp(kPageEventBytes * (request_.limit - page_events_) * static_cast<std::size_t>(page_reads_),
                                        limits::catch_up_batch_first_bytes, limits::catch_up_batch_max_bytes);
    auto read = [self = shared_from_this(), position = view_->position(), from = next_, most](const Readers::Held& held) mutable {
        Shard& shard = self->shard_;
        if (self->ended_) return shard.post([self = std::move(self)] {});  // it goes where it lived
        auto batch = self->shard_.read(position, from, most);
        shard.post([self = std::move(self), from, held, batch = std::move(batch)] {
            self->reading_ = false;
            if (self->ended_) return;
            if (held) self->held_.push_back(held);
            if (!batch) {
                self->started_ = false;
                return self->refuse(batch.error());
            }
            if (from != self->next_) return self->gather();  // the page was begun anew meanwhile
            self->batch_ = *batch;
            self->gathered();
        });
    };
    held_since_ns_ = shard_.now_ns();
    const bool asked = held_.empty() ? shard_.readers().submit(view_.get(), Readers::Pool::pages, limits::catch_up_batch_max_bytes, std::move(read))
                                     : shard_.readers().submit(view_.get(), [read]() mutable { read({}); });
    if (asked) return;
    reading_ = false;
    started_ = false;
    refuse({Errc::overloaded, "too many reads wait for the log", {}});
}

// A slice of what was read; others have their turn before the next.
void Session::gathered() {
    if (ended_ || page_done_ || !batch_) return gather();
    const Offset before = own_->head();
    const auto counted = own_->totals(0, ~Offset{0}).events;
    until_reached_ =
        view_->encode(*batch_, request_.format, *own_, request_.until,
                      {request_.limit - page_events_, limits::pull_page_max_bytes - std::min<std::size_t>(own_->size(), limits::pull_page_max_bytes),
                       limits::catch_up_slice_max_events});
    page_events_ += own_->totals(0, ~Offset{0}).events - counted;
    next_ = own_->head();
    const bool full = page_events_ >= request_.limit || own_->size() >= limits::pull_page_max_bytes || until_reached_;
    if (!full && next_ > before && next_ < batch_->next) return shard_.later(view_.get(), [self = shared_from_this()] { self->gathered(); });
    batch_.reset();
    gather();
}

void Session::write_page() {
    if (allowance_ && !request_.head_only && !page_allowed()) return;
    const std::string limits_said = allowance_ ? allowance_->purse().headers(shard_.services().clock->utc_now()) : "";
    page_done_ = true;
    page_write_deadline_ns_ =
        shard_.now_ns() + (limits::pull_page_write_ms + static_cast<std::int64_t>(own_->size() / limits::pull_page_write_bytes_per_ms)) * 1'000'000;
    // Who asks for the head alone receives nothing.
    const auto done = own_->completed(0, own_->end());
    const bool behind_event = !request_.head_only && done.events > 0 && done.last + 1 == own_->head();
    const std::string cursor = cursor_at(own_->head(), request_.head_only ? own_->head() : since_, behind_event);
    if (cursor.empty()) {
        started_ = false;
        return refuse({Errc::internal, "the page's cursor cannot be made", {}});
    }
    const std::string tail = request_.format == WireFormat::batch_json ? (page_events_ == 0 ? "[]" : "]") : "";
    const std::size_t size = own_->size() + tail.size();
    // No event is an empty batch, but no CloudEvent.
    std::string head =
        request_.format == WireFormat::one_protobuf && size == 0
            ? "HTTP/1.1 204 No Content"
            : "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(media_type_of(request_.format)) + "\r\nContent-Length: " + std::to_string(size);
    head += "\r\nCache-Control: no-store\r\nLicet-Cursor: " + cursor + "\r\nConnection: " + (request_.keep_alive ? "keep-alive" : "close") + "\r\n" +
            request_.extra_headers + limits_said + "\r\n";
    // The page again behind its head, with the same entries.
    auto page = std::make_unique<Tape>(own_->begin());
    page->append_raw(head);
    if (!request_.head_only) {
        page->append_part(*own_, 0, own_->end());
        page->advance(own_->head());
        page->append_raw(tail);
    } else {
        page->advance(metered_);
    }
    next_ = metered_;
    own_ = std::move(page);
    at_ = 0;
    write();
}

}  // namespace licet::stream
