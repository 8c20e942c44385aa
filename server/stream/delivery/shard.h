// Shard: the views and sessions of one core, and what sessions need of the node. Everything here runs on the shard's own thread, but for post().
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/fair_queue.h"
#include "base/timer_wheel.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/delivery/meters.h"
#include "server/stream/delivery/readers.h"
#include "server/stream/delivery/session.h"
#include "server/stream/delivery/slices.h"
#include "server/stream/delivery/write_gate.h"

namespace licet::stream {

class Shard {
  public:
    Shard(boost::asio::io_context& io, const DeliveryServices& services, Meters& meters, Readers& readers, const WriteGate& gate,
          std::shared_ptr<const app::Snapshot> snapshot, std::function<void()> wake_all_shards);

    void serve(ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback, int waited_ms = 0);
    void on_batch(const std::shared_ptr<const ports::LogBatch>& batch);
    void apply(const app::EpochChange& change);
    void opened(std::uint64_t opening);  // the node may deliver, by this opening of the gate
    void release();                      // the gate may have opened for who was held back by it
    void drain(int over_ms, std::function<void()> done);
    void wake();  // an intent became durable somewhere
    void tick();

    // For sessions.
    template <class Work>
    void post(Work&& work) {
        boost::asio::post(io_, std::forward<Work>(work));
    }
    // In the turn of `of`, between whatever else the shard has to do: for work that can wait and is much.
    void later(const void* of, std::function<void()> work);
    // On this thread, once; never after the shard's io_context has stopped.
    template <class Work>
    void after(int ms, Work&& work) {
        auto timer = std::make_shared<boost::asio::steady_timer>(io_, std::chrono::milliseconds(ms));
        timer->async_wait([timer, work = std::forward<Work>(work)](const boost::system::error_code& error) mutable {
            if (!error) work();
        });
    }
    [[nodiscard]] const DeliveryServices& services() const noexcept { return services_; }
    [[nodiscard]] Meters& meters() noexcept { return meters_; }
    [[nodiscard]] Readers& readers() noexcept { return readers_; }
    // On a reader's thread: a piece of the log, and here the keys of what is encrypted in it. Errors: as the log's; unavailable when keys are not.
    [[nodiscard]] Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition position, Offset from, std::size_t most_bytes) const;
    [[nodiscard]] bool delivering() const noexcept { return gate_.open(opened_) && !journal_refused_ && !meters_.journal_broken(); }
    // Before each write of events. Who is told no is called again when it may be yes.
    [[nodiscard]] bool may_write(UtcMillis now) noexcept {
        if (gate_.consents_hold(now) && delivering()) return true;
        held_back_ = true;
        return false;
    }
    // After it: the node may have been stopped between the look and the write.
    [[nodiscard]] bool lease_held() const noexcept { return gate_.open(opened_); }
    [[nodiscard]] std::int64_t now_ns() const noexcept { return services_.clock->monotonic_ns(); }
    [[nodiscard]] Slices& slices() noexcept { return slices_; }
    [[nodiscard]] ports::Siv& siv() noexcept { return *tools_.siv; }
    // The view of a contract on a product under the current snapshot. Errors: no_contract, internal, overloaded.
    [[nodiscard]] Result<std::shared_ptr<View>> view_for(const ReadRequest& request, StreamEpoch stream_epoch);
    void entered(std::shared_ptr<Session> session);
    void left(Session& session);
    void awaits_intent(std::shared_ptr<Session> session) { awaiting_intent_.insert(std::move(session)); }
    void forget(const std::shared_ptr<Session>& session);
    void look_soon(Session& session);  // something has begun that must not last
    // From when on the request gives no right to anything, whatever the event: the end of its token or contract.
    [[nodiscard]] UtcMillis ends_at(const ReadRequest& request) const;
    // What a contract says about streams that fall behind; null: nothing.
    [[nodiscard]] const ports::LagLimits* lag_limits(ContractNo contract) const;
    // What the contract may still be delivered; null: it has no limits.
    [[nodiscard]] std::shared_ptr<app::QuotaPurse> purse(ContractNo contract) const;
    // How long ago the event at an offset was accepted, at least; to about a second.
    [[nodiscard]] std::int64_t age_ms(ports::LogPosition position, Offset offset) const;
    // Journals delivered ranges, merged for limits::delivered_record_interval_ms.
    void delivered(const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view) {
        note(ports::UsageKind::delivered, of, from, to, totals, view);
    }
    // The same of what was billed before, of a contract that pays for replays.
    void replayed(const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view) {
        note(ports::UsageKind::replayed, of, from, to, totals, view);
    }
    // The same of what an ended start had delivered, at a time that is over.
    void settled(const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view, UtcMillis at) {
        note(ports::UsageKind::delivered, of, from, to, totals, view, at);
    }
    [[nodiscard]] bool replays_billed(ContractNo contract) const;
    // Journals what a partner said it received, within limits::acked_record_interval_ms, and only what is new: a stretch of its stream, or (from ==
    // to) a cursor it came back with, which says nothing of where its stream had begun.
    void acked(const ports::UsageOf& of, const SharedMeter& meter, Offset from, Offset to);
    void journal_intent(const ports::UsageOf& of, metering::OffsetRange range, const SharedMeter& meter);
    // That a stream is about to begin at `at`, behind what was delivered so far; `then` when it is durable, or told that it never will be.
    void journal_beginning(const ports::UsageOf& of, Offset at, const SharedMeter& meter, std::function<void(bool)> then);
    // Of a delivered record that was left unbilled for a part of it: what the rest of it comes to. False: the journal does not take it.
    [[nodiscard]] bool journal_recount(std::vector<ports::UsageRecord> records);
    ports::Counter& bytes_written() noexcept { return *bytes_written_; }

  private:
    void has_news(const std::shared_ptr<View>& view);
    void all_have_news();
    void flush();
    void note(ports::UsageKind kind, const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view,
              std::optional<UtcMillis> at = {});
    void flush_delivered();
    void flush_acked();
    void start_ticking();
    void look_at(const std::shared_ptr<Session>& session, std::int64_t now_ns);
    void drain_some();
    void drained();
    void time_is_up();
    void note_ends(std::int64_t now_ns);
    void run_later();
    void set_ending(const std::shared_ptr<Session>& session);
    void journal_refused();
    [[nodiscard]] ports::UsageJournal::Durable whether_kept();
    void retry_journal();
    [[nodiscard]] bool served_here(ProductNo product) const;
    [[nodiscard]] bool in_force(ContractNo contract, UtcMillis now) const;
    [[nodiscard]] bool still_allowed(const ReadRequest& request, CloseCode& code, std::string_view& reason) const;
    void apply_subject(std::uint64_t subject);
    void apply_generation(bool consents);
    void trim(View& view);
    void restart(const std::shared_ptr<View>& view, WireFormat format, Offset head = 0);
    void restart_all(const std::shared_ptr<View>& view, Offset head = 0);
    void decide_live(const std::shared_ptr<View>& view);

    boost::asio::io_context& io_;
    const DeliveryServices& services_;
    Meters& meters_;
    Readers& readers_;
    const WriteGate& gate_;
    std::shared_ptr<const app::Snapshot> snapshot_;
    const std::function<void()> wake_all_shards_;
    const std::shared_ptr<ports::UnappendedUsage> unappended_;  // the oldest of pending_
    ViewTools tools_;
    Slices slices_;
    std::uint64_t opened_ = 0;  // the opening of the gate this shard was told of
    bool has_delivered_ = false, held_back_ = false, journal_refused_ = false, draining_ = false, flush_posted_ = false;

    std::map<std::pair<ProductNo, std::string>, std::shared_ptr<View>> views_;  // product, view key
    std::deque<std::shared_ptr<View>> due_;                                     // with sessions to be told of news
    std::unordered_set<std::shared_ptr<Session>> sessions_;
    TimerWheel looks_;  // when each session is looked at, in seconds
    bool delivered_ = false;
    UtcMillis ticked_{};
    struct Draining {
        std::vector<std::weak_ptr<Session>> left;
        std::size_t total = 0;
        std::int64_t began_ns = 0;
        int over_ms = 0;
        std::function<void()> done;
    } drain_;
    std::set<std::pair<std::int64_t, Session*>> endings_;  // when time ends each, in order
    std::set<std::shared_ptr<Session>> awaiting_intent_;
    FairQueue<const void*, std::function<void()>> later_;
    bool later_posted_ = false;
    std::map<ports::LogPosition, std::deque<std::pair<Offset, std::int64_t>>> ends_;  // of the log, as of each tick that found it moved
    std::map<ports::UsageOf, std::vector<ports::UsageRecord>> pending_;
    struct Acks {
        metering::IntervalSet ranges;
        Offset cursor = 0;  // 0: none
    };
    std::map<ports::UsageOf, Acks> pending_acks_;
    UtcMillis acks_flushed_{};
    boost::asio::steady_timer journal_timer_, tick_timer_, ending_timer_, drain_timer_;
    bool journal_timer_set_ = false;
    ports::Counter* bytes_written_;
    ports::Gauge* sessions_gauge_;
};

}  // namespace licet::stream
