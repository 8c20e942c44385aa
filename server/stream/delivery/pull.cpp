// The pull page: gathered from the log, then written like a tape with a response head.
#include <algorithm>

#include "base/limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr int kPageReadsMax = 64;  // a page that found nothing in so many reads is answered empty, with the cursor moved on

std::string_view media_type_of(WireFormat page) {
    if (page == WireFormat::batch_json) return "application/cloudevents-batch+json";
    if (page == WireFormat::batch_protobuf) return "application/cloudevents-batch+protobuf";
    return page == WireFormat::one_protobuf ? "application/cloudevents+protobuf" : "application/x-ndjson";
}

}  // namespace

void Session::gather() {
    if (ended_ || reading_ || page_done_) return;
    const auto bounds = shard_.services().log->bounds(view_->position());
    const bool full = page_events_ >= request_.limit || own_->size() >= limits::pull_page_max_bytes || page_reads_ >= kPageReadsMax || until_reached_;
    if (full || next_ >= bounds.end) {
        const bool over = request_.until.value != 0 && shard_.services().clock->utc_now().value >= request_.until.value + limits::until_settles_ms;
        const bool wait = !full && !over && page_events_ == 0 && shard_.now_ns() < page_deadline_ns_;
        if (!wait) return write_page();
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
    reading_ = true;
    ++page_reads_;
    auto read = [self = shared_from_this(), position = view_->position(), from = next_] {
        auto batch = self->shard_.read(position, from);
        self->shard_.post([self, from, batch = std::move(batch)] {
            self->reading_ = false;
            if (self->ended_) return;
            if (!batch) {
                self->started_ = false;
                return self->refuse(batch.error());
            }
            if (from == self->next_)
                self->gathered(**batch);
            else
                self->gather();  // the page was begun anew meanwhile
        });
    };
    if (shard_.readers().submit(std::move(read))) return;
    started_ = false;
    refuse({Errc::overloaded, "too many reads wait for the log", {}});
}

void Session::gathered(const ports::LogBatch& batch) {
    const auto before = own_->totals(0, ~Offset{0}).events;
    until_reached_ = view_->encode(batch, request_.format, *own_, request_.until, request_.limit - page_events_,
                                   limits::pull_page_max_bytes - std::min<std::size_t>(own_->size(), limits::pull_page_max_bytes));
    page_events_ += own_->totals(0, ~Offset{0}).events - before;
    next_ = own_->head();
    gather();
}

void Session::write_page() {
    page_done_ = true;
    std::array<char, kCursorText> cursor{};
    if (!seal_cursor(shard_.siv(), {request_.product, {0}, stream_epoch_, own_->head()}, cursor.data())) {
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
    head += "\r\nCache-Control: no-store\r\nLicet-Cursor: " + std::string(cursor.data(), cursor.size()) +
            "\r\nConnection: " + (request_.keep_alive ? "keep-alive" : "close") + "\r\n" + request_.extra_headers + "\r\n";
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
