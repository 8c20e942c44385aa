#include "server/stream/delivery/view.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/stream_limits.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/frames.h"

namespace licet::stream {

View::View(ports::LogPosition position, StreamEpoch stream_epoch, std::shared_ptr<const policy::Program> program,
           std::shared_ptr<policy::ConsentIndex> consents, ViewTools& tools)
    : number_(++tools.views),
      position_(position),
      stream_epoch_(stream_epoch),
      program_(std::move(program)),
      consents_(std::move(consents)),
      tools_(tools),
      digest_(tools.view_digest ? tools.view_digest(program_->view_key()) : metering::ViewDigest{}),
      decider_(policy::make_decider(program_, *consents_, *tools.pseudonymiser)) {
    static_assert(kCursorText <= sizeof cursor_);
}

Tape* View::live_if(WireFormat format) noexcept {
    auto& tape = live_[static_cast<std::size_t>(format)];
    return tape ? &*tape : nullptr;
}

Tape& View::live(WireFormat format, Offset head) {
    auto& tape = live_[static_cast<std::size_t>(format)];
    if (!tape) tape.emplace(head);
    return *tape;
}

void View::restart_live(WireFormat format, Offset head) {
    auto& tape = live_[static_cast<std::size_t>(format)];
    const Offset begin = std::max(head, tape->head());
    tape.emplace(begin);
}

std::size_t bytes_of(const ports::LogBatch& batch) noexcept {
    std::size_t bytes = 0;
    for (const auto& record : batch.storage) bytes += record.size();
    return bytes;
}

bool View::take_live(std::shared_ptr<const ports::LogBatch> batch) {
    if (batch->entries.empty()) return true;
    if (std::none_of(live_.begin(), live_.end(), [](const auto& tape) { return tape.has_value(); })) return true;
    undecided_bytes_ += bytes_of(*batch);
    undecided_.push_back(std::move(batch));
    if (undecided_bytes_ <= limits::live_undecided_max_bytes || undecided_.size() == 1) return true;
    drop_undecided();
    return false;
}

void View::drop_undecided() noexcept {
    undecided_.clear();
    decided_ = undecided_bytes_ = 0;
}

bool View::decide_live() {
    bool complete = true;
    std::size_t events = 0, bytes = 0;
    while (!undecided_.empty() && events < limits::catch_up_slice_max_events && bytes < limits::catch_up_slice_max_bytes) {
        const auto batch = undecided_.front();
        const auto& entry = batch->entries[decided_++];
        if (decided_ == batch->entries.size()) {
            undecided_bytes_ -= bytes_of(*batch);
            undecided_.pop_front();
            decided_ = 0;
        }
        if (std::none_of(live_.begin(), live_.end(), [&](const auto& tape) { return tape && entry.offset >= tape->head(); })) continue;
        ++events;
        bytes += entry.record.size();
        complete = append_live(entry) && complete;
    }
    for (auto& [key, shadow] : shadows_) tools_.shadow->add(position_.product, key, std::exchange(shadow.tally, {}));
    return complete;
}

bool View::append_live(const ports::LogEntry& entry) {
    const auto encoded = decide(entry);
    bool complete = !key_missing_;
    if (complete)
        for (auto& [key, shadow] : shadows_) compare(entry, encoded, shadow);
    for (const WireFormat format : kStreamFormats) {
        Tape* tape = live_if(format);
        if (tape == nullptr || entry.offset < tape->head()) continue;
        complete = complete && entry.offset == tape->head();  // what lies before it never came
        put(entry, encoded, format, *tape);
    }
    return complete;
}

void View::add_shadow(const app::Rights& rights) {
    if (rights.shadow == nullptr || tools_.shadow == nullptr) return;
    auto key = rights.key();
    if (!shadows_.contains(key)) shadows_.emplace(std::move(key), Shadow{policy::make_decider(rights.shadow, *consents_, *tools_.pseudonymiser)});
}

void View::compare(const ports::LogEntry& entry, const std::optional<Encoded>& encoded, Shadow& shadow) {
    const auto event = event::StoredEvent::parse(entry.record);
    if (!event) return;
    ++shadow.tally.decided;
    auto decision = shadow.decider->decide(*event, tools_.clock->utc_now());
    shadow_data_.clear();
    if (decision.deliver && event->data_kind() != event::DataKind::none) {
        decision.reason = reveal(*shadow.decider, *event, decision, shadow_data_);
        decision.deliver = decision.reason == policy::Reason::permitted;
    }
    if (decision.deliver && encoded) {
        // The data ends the event's JSON, before the last brace.
        const auto data = encoded->json.substr(encoded->json.size() - 1 - encoded->billed, encoded->billed);
        shadow.tally.changed += data != shadow_data_;
    } else if (decision.reason != reason_) {
        ++shadow.tally.differing[{reason_, decision.reason}];
    }
}

namespace {

auto from_offset(const ports::LogBatch& batch, Offset from) {
    return std::lower_bound(batch.entries.begin(), batch.entries.end(), from, [](const ports::LogEntry& e, Offset o) { return e.offset < o; });
}

}  // namespace

bool View::encode(const ports::LogBatch& batch, WireFormat format, Tape& into, UtcMillis until, const Enough& enough, const Skipped* skipped) {
    std::size_t delivered = 0, decided = 0;
    const std::uint64_t start = into.end();
    for (auto entry = from_offset(batch, into.head()); entry != batch.entries.end(); ++entry) {
        if (until.value != 0 && entry->appended_at >= until) return true;
        if (delivered >= enough.delivered || into.end() - start >= enough.bytes || decided++ >= enough.decided) return false;
        if (skipped != nullptr)
            if (const auto some = skipped->by_offset.find(entry->offset); some != skipped->by_offset.end()) standing_for_ = some->second;
        const auto encoded = decide(*entry);
        standing_for_ = 0;
        if (key_missing_) return false;
        put(*entry, encoded, format, into);
        delivered += encoded.has_value();
    }
    into.advance(std::max(into.head(), batch.next));
    return false;
}

std::shared_ptr<Slice> View::slice(const ports::LogBatch& batch, WireFormat format, Offset from, Offset before) {
    auto out = std::make_shared<Slice>(from);
    out->decided_at = tools_.clock->utc_now();
    out->holds_until = program_->holds_until(out->decided_at);
    std::size_t decided = 0;
    auto entry = from_offset(batch, from);
    for (; entry != batch.entries.end() && entry->offset < before; ++entry) {
        if (out->tape.size() >= limits::catch_up_shared_slice_max_bytes || decided++ >= limits::catch_up_slice_max_events) break;
        const auto encoded = decide(*entry);
        if (key_missing_) break;
        put(*entry, encoded, format, out->tape);
        if (subject_ != 0) out->subjects.push_back(subject_);
    }
    if (entry == batch.entries.end()) out->tape.advance(std::max(out->tape.head(), std::min(batch.next, before)));
    if (out->tape.head() == from) return nullptr;
    std::sort(out->subjects.begin(), out->subjects.end());
    out->subjects.erase(std::unique(out->subjects.begin(), out->subjects.end()), out->subjects.end());
    return out;
}

void View::conflate(const ports::LogBatch& batch, Conflation& into, std::size_t most) {
    for (auto entry = from_offset(batch, into.head()); entry != batch.entries.end(); ++entry) {
        if (into.full() || most-- == 0) return;
        const auto encoded = decide(*entry);
        if (key_missing_) return;
        if (encoded)
            // One that ends of itself takes no other's place: it may be over when the pass is written.
            into.keep(*entry, encoded->deadline == Tape::kNever ? event::StoredEvent::parse(entry->record)->partition_key() : std::string_view{},
                      subject_);
        else
            into.advance(entry->offset + 1);
    }
    into.advance(std::max(into.head(), batch.next));
}

View::Counted View::count(const ports::LogBatch& batch, Offset from, Offset to) {
    Counted out;
    for (const auto& entry : batch.entries) {
        if (entry.offset < from) continue;
        if (entry.offset >= to) break;
        if (const auto encoded = decide(entry)) {
            ++out.events;
            out.billed += encoded->billed;
        }
    }
    return out;
}

std::optional<View::Encoded> View::decide(const ports::LogEntry& entry) {
    const auto event = event::StoredEvent::parse(entry.record);
    reason_ = policy::Reason::error;
    subject_ = 0;
    key_missing_ = false;
    if (!event) {
        tools_.failed->add();
        tools_.withheld->add();
        return std::nullopt;
    }
    if (!event->subject().none()) subject_ = event->subject().low64();
    const UtcMillis now = tools_.clock->utc_now();
    const policy::Decision decision = decider_->decide(*event, now);
    reason_ = decision.reason;
    if (!decision.deliver) {
        tools_.withheld->add();
        return std::nullopt;
    }
    json_.assign(event->envelope());
    json_ += ",\"cursor\":\"";
    bool sure = seal_cursor(*tools_.siv, {position_.product, position_.partition, stream_epoch_, entry.offset + 1}, cursor_.data());
    json_.append(cursor_.data(), kCursorText);
    json_ += '"';
    if (standing_for_ > 0) json_ += ",\"conflated\":" + std::to_string(standing_for_);
    std::uint64_t billed = 0;
    if (event->data_kind() != event::DataKind::none) {
        json_ += event->data_kind() == event::DataKind::json ? ",\"data\":" : ",\"data_base64\":";
        const std::size_t before = json_.size();
        if (sure) reason_ = reveal(*decider_, *event, decision, json_);
        billed = json_.size() - before;
    }
    json_ += '}';
    if (!sure) reason_ = policy::Reason::transform_failed;
    if (key_missing_) return std::nullopt;
    if (reason_ != policy::Reason::permitted) {
        // What was erased is withheld for good, like what a rule withholds; the rest is trouble.
        if (reason_ != policy::Reason::subject_erased) tools_.failed->add();
        tools_.withheld->add();
        return std::nullopt;
    }
    tools_.delivered->add();
    // What time alone changes: a condition on the moment, and the event's own end. (Consents: see WriteGate.)
    const UtcMillis rules = program_->holds_until(now), own = event->expiry();
    const std::int64_t deadline = std::min(rules.value == 0 ? Tape::kNever : rules.value, own.value == 0 ? Tape::kNever : own.value);
    return Encoded{std::string_view(cursor_.data(), kCursorText), json_, billed, deadline};
}

policy::Reason View::reveal(policy::Decider& decider, const event::StoredEvent& event, const policy::Decision& decision, std::string& out) {
    using policy::Reason;
    using State = app::SubjectKeys::State;
    const auto failed = [&](bool redacted) { return redacted ? Reason::permitted : Reason::transform_failed; };
    if (!decider.needs_values(event, decision)) return failed(decider.redact(event, decision, out));
    if (tools_.cipher == nullptr) {
        key_missing_ = true;
        return Reason::key_unavailable;
    }
    app::open_event(tools_.subject_keys, *tools_.cipher, position_.product, event, opened_);
    switch (opened_.state) {
        case State::held:
            return failed(decider.redact(event.with_data(opened_.data), decision, out));
        case State::erased:
            return Reason::subject_erased;
        case State::damaged:
            return Reason::error;
        case State::absent:
            break;
    }
    key_missing_ = true;
    return Reason::key_unavailable;
}

void View::put(const ports::LogEntry& entry, const std::optional<Encoded>& encoded, WireFormat format, Tape& into) {
    if (!encoded) {
        into.advance(entry.offset + 1);
        return;
    }
    frame_.clear();
    switch (format) {
        case WireFormat::websocket_json:
            append_websocket_text(encoded->json, frame_);
            break;
        case WireFormat::websocket_json_deflate:
            if (!tools_.deflater) tools_.deflater = std::make_unique<Deflater>();
            if (tools_.deflater->compress(encoded->json, packed_))
                append_websocket_compressed_text(packed_, frame_);
            else
                append_websocket_text(encoded->json, frame_);
            break;
        case WireFormat::websocket_protobuf:
        case WireFormat::batch_protobuf:
        case WireFormat::one_protobuf:
            packed_.clear();
            // Cannot be written: withheld from who reads this format.
            if (!tools_.protobuf.append_event(encoded->json, encoded->billed, packed_)) {
                tools_.failed->add();
                return into.advance(entry.offset + 1);
            }
            if (format == WireFormat::websocket_protobuf)
                append_websocket_binary(packed_, frame_);
            else if (format == WireFormat::batch_protobuf)
                append_batch_member(packed_, frame_);
            else
                frame_ = packed_;
            break;
        case WireFormat::sse:
            append_sse_event(encoded->cursor, encoded->json, frame_);
            break;
        case WireFormat::ndjson:
            frame_.append(encoded->json).append("\n");
            break;
        case WireFormat::batch_json:
            frame_.append(into.end() == into.start() ? "[" : ",").append(encoded->json);
            break;
    }
    into.append_event(entry.offset, frame_, encoded->billed, subject_, encoded->deadline);
}

}  // namespace licet::stream
