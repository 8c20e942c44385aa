// What a shard notes in the usage journal: before anything leaves, of what left, and of what was said to have arrived.
#include <chrono>
#include <utility>

#include "base/limits.h"
#include "base/usage_limits.h"
#include "server/ports/log.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

void Shard::journal_intent(const ports::UsageOf& of, metering::OffsetRange range, const SharedMeter& meter) {
    ports::UsageRecord record{ports::UsageKind::intent,  of.contract, of.product, of.partition, of.stream_epoch, range.from, range.to, 0, 0,
                              services_.clock->utc_now()};
    auto durable = [meter, range, kept = whether_kept(), wake = wake_all_shards_](const Status& status) {
        meter->with([&](Meter& m) { status.ok() ? m.meter.intent_durable(range) : m.meter.intent_failed(range); });
        kept(status);
        wake();
    };
    if (services_.journal->append({record}, durable)) return;
    meter->with([&](Meter& m) { m.meter.intent_failed(range); });
    journal_refused();
}

void Shard::journal_beginning(const ports::UsageOf& of, Offset at, const SharedMeter& meter, std::function<void(bool)> then) {
    flush_delivered();
    const ports::UsageRecord record{ports::UsageKind::begun,   of.contract, of.product, of.partition, of.stream_epoch, at, at, 0, 0,
                                    services_.clock->utc_now()};
    auto durable = [this, meter, at, kept = whether_kept(), then](const Status& status) mutable {
        if (status.ok()) meter->with([&](Meter& m) { m.beginnings.add(at, at + 1); });
        kept(status);
        post([then = std::move(then), ok = status.ok()] { then(ok); });
    };
    if (services_.journal->append({record}, std::move(durable))) return;
    journal_refused();
    then(false);
}

bool Shard::journal_recount(std::vector<ports::UsageRecord> records) {
    if (services_.journal->append(std::move(records), whether_kept())) return true;
    journal_refused();
    return false;
}

// Nothing leaves that could not be billed.
void Shard::journal_refused() {
    if (!journal_refused_) log::error("delivery.journal_refused");
    journal_refused_ = true;
}

// On the journal's thread.
ports::UsageJournal::Durable Shard::whether_kept() {
    return [this](const Status& status) {
        if (status.ok()) return;
        meters_.journal_broke();
        post([this] { journal_refused(); });
    };
}

// What was delivered is noted before anything more is; then whoever waits asks for an intent again.
void Shard::retry_journal() {
    if (!journal_refused_ || meters_.journal_broken()) return;
    journal_refused_ = false;
    flush_delivered();
    if (journal_refused_) return;
    awaiting_intent_.clear();
    all_have_news();
}

bool Shard::replays_billed(ContractNo no) const {
    const auto* contract = snapshot_->contract(no);
    return contract != nullptr && contract->replays_billed;
}

void Shard::note(ports::UsageKind kind, const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view,
                 std::optional<UtcMillis> at) {
    auto& records = pending_[of];
    const UtcMillis now = at.value_or(services_.clock->utc_now());
    // Months end and minutes are counted by the time of a record: none is of two.
    const auto goes_on = [&](const ports::UsageRecord& last) {
        return last.to == from && last.kind == kind && last.view == view && last.at.value / kMinuteMs == now.value / kMinuteMs;
    };
    if (!records.empty() && goes_on(records.back())) {
        records.back().to = to;
        records.back().events += totals.events;
        records.back().bytes += totals.billed;
    } else {
        records.push_back({kind, of.contract, of.product, of.partition, of.stream_epoch, from, to, totals.events, totals.billed, now, view});
        if (unappended_->oldest(now) == now) unappended_->since(now);
    }
    if (journal_timer_set_) return;
    journal_timer_set_ = true;
    journal_timer_.expires_after(std::chrono::milliseconds(limits::delivered_record_interval_ms));
    journal_timer_.async_wait([this](const boost::system::error_code&) { flush_delivered(); });
}

void Shard::flush_delivered() {
    journal_timer_set_ = false;
    std::vector<ports::UsageRecord> all;
    for (auto& [of, records] : pending_) all.insert(all.end(), records.begin(), records.end());
    if (all.empty()) return;
    if (!services_.journal->append(std::move(all), whether_kept())) return journal_refused();  // kept: the next attempt brings them again
    unappended_->none();
    // Who was delivered to will be again: their places stay until they are not used.
    std::erase_if(pending_, [](const auto& one) { return one.second.empty(); });
    for (auto& [of, records] : pending_) records.clear();
}

void Shard::acked(const ports::UsageOf& of, const SharedMeter& meter, Offset from, Offset to) {
    const bool news = meter->with([&](Meter& m) {
        if (from == to ? m.cursor >= to : m.acked.covered_until(from) >= to) return false;
        m.acked.add(from, to);
        m.cursor = std::max(m.cursor, to);
        return true;
    });
    if (!news) return;
    auto& acks = pending_acks_[of];
    acks.ranges.add(from, to);
    if (from == to) acks.cursor = std::max(acks.cursor, to);
}

// Behind what was delivered: an ack says nothing of what the journal does not hold.
void Shard::flush_acked() {
    acks_flushed_ = services_.clock->utc_now();
    if (pending_acks_.empty()) return;
    flush_delivered();
    if (journal_refused_) return;
    std::vector<ports::UsageRecord> all;
    for (const auto& [of, acks] : pending_acks_) {
        const auto note = [&](Offset from, Offset to) {
            all.push_back({ports::UsageKind::acked, of.contract, of.product, of.partition, of.stream_epoch, from, to, 0, 0, acks_flushed_});
        };
        for (const auto& [from, to] : acks.ranges.all()) note(from, to);
        if (acks.cursor > 0) note(acks.cursor, acks.cursor);
    }
    if (!services_.journal->append(std::move(all), whether_kept())) return journal_refused();
    pending_acks_.clear();
}

}  // namespace licet::stream
