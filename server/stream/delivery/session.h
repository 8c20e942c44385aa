// Session: one subscriber's connection. A position on a tape (the view's live one, or its own while it catches up), a socket, and the meter of its
// contract. It never queues: what it has not taken is on the tape or in the log. One shard thread; owned by the shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/timer_wheel.h"
#include "server/stream/delivery/allowance.h"
#include "server/stream/delivery/conflation.h"
#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/delivery/frames.h"
#include "server/stream/delivery/meters.h"
#include "server/stream/delivery/readers.h"
#include "server/stream/delivery/view.h"
#include "server/stream/delivery/websocket_reader.h"

namespace licet::stream {

class Shard;

class Session : public std::enable_shared_from_this<Session>, public TimerWheel::Entry {
  public:
    Session(Shard& shard, ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback);

    // Finds where to start, then streams or writes the page.
    void start();

    // The shard has new events, or may deliver (again), or an intent became durable.
    void advance();
    void tick(std::int64_t now_ns);
    // When tick() is to be called again, if nothing calls for it sooner.
    [[nodiscard]] std::int64_t rests_until(std::int64_t now_ns) const noexcept;
    // The node goes away; who comes back after `retry_ms` does not come with all others.
    void restart(int retry_ms);
    // Ends now: with a reason and the cursor where a frame may be written, by a reset where none may (inside a frame, or the peer does not read). For
    // what forbids every further byte.
    void end(CloseCode code, std::string_view reason);
    // Ends when the frame under way is written, or by a reset when the peer does not take it in time. `reason` lives for ever.
    void finish(CloseCode code, std::string_view reason);

    // Ends because time took the right to all of it, at the moment: inside a frame by a reset, else with a reason as soon as the peer has room.
    void expire(CloseCode code, std::string_view reason);
    // The same when its own moment has come, by what `ends_at` was set to; the shard keeps these in order.
    void expire_at(UtcMillis now);
    [[nodiscard]] UtcMillis ends_at() const noexcept { return ends_at_; }
    void ends_at(UtcMillis moment) noexcept { ends_at_ = moment; }

    // Before the live tape is restarted: leaves it, taking the rest of the frame under way along.
    void leave_live();
    // The same before it drops what the session has not written.
    void overrun();
    // The consent of a subject changed. False: the session was caught inside a frame that names the subject and is gone.
    bool on_subject(std::uint64_t subject);
    // All that was encoded is void. False as above.
    bool on_new_generation(std::shared_ptr<View> view);

    // The contract may have other limits than before.
    void limits_changed();
    void drop_allowance();

    [[nodiscard]] const ReadRequest& request() const noexcept { return request_; }
    [[nodiscard]] const std::shared_ptr<View>& view() const noexcept { return view_; }
    [[nodiscard]] bool on_live() const noexcept { return live_; }
    [[nodiscard]] std::uint64_t position() const noexcept { return at_; }
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    [[nodiscard]] std::size_t place_in_view() const noexcept { return place_in_view_; }
    void place_in_view(std::size_t at) noexcept { place_in_view_ = at; }

  private:
    [[nodiscard]] bool pull() const noexcept { return !is_stream(request_.format); }
    [[nodiscard]] const Tape& tape() noexcept { return live_ ? *view_->live_if(request_.format) : slice_ ? slice_->tape : *own_; }
    [[nodiscard]] ports::UsageOf usage_of() const noexcept;

    // Start, in order; each may wait for a reader.
    void place();
    void load_meter();
    void metered();
    [[nodiscard]] Offset replays_until() const;
    void recount_unbilled(std::vector<ports::UnbilledRecord> records, std::function<void()> then);
    void recount(const ports::UnbilledRecord& record, Offset from, std::vector<View::Counted> rests, View::Counted all,
                 std::function<void(bool)> then);
    void settle_suspense(std::optional<CursorPosition> cursor, std::function<void()> then);
    void settle(const ports::LogBatch& batch, metering::OffsetRange range, std::optional<UtcMillis> at);
    void begin();
    [[nodiscard]] std::string cursor_at(Offset next, Offset since, bool behind_event) const;
    void keep_own(CursorPosition& cursor) const;
    [[nodiscard]] View::Counted count_received(const ports::LogBatch& batch, Offset from, Offset to);
    void open_stream();
    void forget_the_start();

    void write();  // as much as socket and meter take
    struct Reach {
        std::string_view bytes;
        bool events = false;  // bytes of events, which need every right at this moment
    };
    // What to write next; nullopt: nothing now, and whoever holds it back will call.
    [[nodiscard]] std::optional<Reach> reach();
    void leave(CloseCode code, std::string_view reason);
    void decide_again();
    [[nodiscard]] std::uint64_t writable_until(const Tape& t, Offset due);
    void wait_for_room();
    void wrote(std::uint64_t from);  // accounts for bytes [from, at_)
    void note_replayed(const Tape::Completed& done, const std::vector<metering::OffsetRange>& fresh);
    void next();  // the tape is written: live tape, log, or wait

    // Quotas and rates of the contract; `allowance_` is null without.
    [[nodiscard]] bool awaits_allowance();
    [[nodiscard]] bool allowed(std::uint64_t& limit);
    void leave_unbegun();
    void tell_quotas();
    [[nodiscard]] bool page_allowed();
    void cut_page(std::uint64_t end);
    [[nodiscard]] Error quota_error() const;
    [[nodiscard]] Error rate_error() const;

    // Catching up.
    void catch_up();
    [[nodiscard]] bool shares() const noexcept;
    [[nodiscard]] bool join_live();
    void share_some();
    void read_shared();
    void stretch_read(Offset from, const Result<std::shared_ptr<const Stretch>>& read);
    void could_not_read(const Error& error);
    void drop_tape();
    void release();
    void conflate_again(std::optional<std::uint64_t> subject = {});  // nullopt: whoever it concerns
    void queue_turn();
    void turn();
    void read_log();
    void took(Offset from, std::shared_ptr<const ports::LogBatch> batch, Readers::Held held, std::size_t asked);
    void decide_some();
    void begin_pass();
    void gather_pass();
    void give_way(std::int64_t now_ns);
    void look_at_lag();
    [[nodiscard]] bool too_far_behind(const ports::LagLimits& lag);

    void listen();  // streams: for the peer's close and control frames
    void on_readable();
    void on_message(const WebsocketReader::Message& message);
    void settle_acked();
    void write_control();
    [[nodiscard]] std::string last_words(CloseCode code, std::string_view reason);
    // Why it must end, looked at with every tick; nullopt: it need not.
    struct Ending {
        CloseCode code{};
        std::string_view reason;
    };
    [[nodiscard]] std::optional<Ending> due_to_end(std::int64_t now_ns);
    void abort();

    // Pull pages.
    void gather();
    void gathered();
    void write_page();
    bool begin_page_anew();  // false: too late, the connection is gone

    void refuse(Error error);  // nothing written yet: gives the connection back
    void gone();               // the connection ended
    void linger();             // the last bytes are written: ends the connection without losing them
    void discard();
    void keep_frame_only();
    [[nodiscard]] bool under_way() noexcept;  // inside a frame, or TLS holds bytes of one
    [[nodiscard]] std::uint64_t under_way_end() noexcept;

    Shard& shard_;
    ReadRequest request_;
    std::unique_ptr<Transport> connection_;
    Delivery::Handback handback_;
    std::shared_ptr<View> view_;
    std::size_t place_in_view_ = 0;  // in its roster
    StreamEpoch stream_epoch_;
    SharedMeter meter_;
    std::unique_ptr<Allowance> allowance_;

    std::unique_ptr<Tape> own_;
    std::shared_ptr<const Slice> slice_;  // it stands on, in place of its own, and the piece of the log it comes from
    std::shared_ptr<const Stretch> stretch_;
    bool live_ = false;
    std::uint64_t at_ = 0;                     // byte position on tape()
    Offset next_ = 0;                          // first offset not accounted for: all below was written or withheld
    Offset metered_ = 0;                       // where the next delivered range starts
    Offset replay_until_ = 0;                  // what was billed before and lies below is paid again; 0: nothing is
    Offset sendable_from_ = 0, sendable_ = 0;  // what the meter allowed when last asked

    // What was read of the log and is not all decided; with `conflated_`, a pass of its latest events.
    std::shared_ptr<const ports::LogBatch> batch_;
    std::vector<Readers::Held> held_;  // for it and the tape of its own
    Readers::Held extra_;              // what the batch takes beyond what was asked for
    std::int64_t held_since_ns_ = 0;   // pull: asked for since
    std::size_t read_bytes_ = limits::catch_up_batch_first_bytes;
    std::unique_ptr<Conflation> pass_;    // being gathered
    std::unique_ptr<Skipped> conflated_;  // what is left out of batch_
    bool conflating_ = false;             // the next read begins a pass
    bool overrun_ = false;                // the live tape has dropped what comes next
    bool turn_queued_ = false;

    std::string control_;  // pings, pongs, heartbeats: written between frames
    WebsocketReader websocket_;
    Offset first_ = 0;                                        // where the stream began
    Offset since_ = 0;                                        // from where on its reader has received all it was to receive
    std::unique_ptr<CursorPosition> came_with_, acked_with_;  // cursors not yet settled by
    Offset acked_ = 0;                                        // of an earlier stream: the furthest ack
    bool settling_ = false;
    std::atomic<bool> ended_ = false;  // readers look at it, too
    bool started_ = false, blocked_ = false, reading_ = false, until_reached_ = false;
    bool control_under_way_ = false;  // part of control_ is out, or TLS holds it
    std::int64_t progressed_ns_ = 0, wrote_ns_ = 0;
    std::int64_t pinged_ns_ = 0;        // since when a ping waits for any sign of the peer; 0: none does
    int retry_ms_ = 0;                  // told with the last words; 0: nothing is
    std::int64_t paused_ns_ = 0;        // since when the node may not deliver; 0: it may
    std::int64_t behind_since_ns_ = 0;  // since when the peer keeps it from the head; 0: it does not, or it was never there
    UtcMillis ends_at_{Tape::kNever};   // token or contract
    bool at_head_ = false;              // was at the head of the live tape, and has not been held up since
    std::optional<Ending> ending_;      // after the frame under way
    bool leaving_ = false;              // the last words are in control_: nothing follows them
    std::int64_t ending_deadline_ns_ = 0;
    // Pull.
    std::size_t page_events_ = 0;
    int page_reads_ = 0;
    std::int64_t page_deadline_ns_ = 0, page_write_deadline_ns_ = 0;  // of waiting for events, of being taken
    std::int64_t page_short_since_ns_ = 0;                            // since when the contract lets less through than there is; 0: it does not
    bool page_waiting_ = false, page_done_ = false, page_timer_ = false;
};

}  // namespace licet::stream
