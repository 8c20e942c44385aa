#include "server/stream/delivery/shard.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "base/stream_limits.h"
#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::stream {
namespace {

constexpr std::string_view kNotInForce = "the contract is not in force";
constexpr std::int64_t kFlushTurnNs = 500'000;
constexpr std::int64_t kSecondNs = 1'000'000'000, kMsNs = 1'000'000;
constexpr int kDrainStepMs = 20;
constexpr int kFirstLeaseLookMs = 10;
constexpr int kRetrySpreadLeastMs = 4'000;

constexpr std::uint64_t seconds(std::int64_t ns) noexcept { return static_cast<std::uint64_t>(ns / kSecondNs); }

}  // namespace

Shard::Shard(boost::asio::io_context& io, const DeliveryServices& services, Meters& meters, Readers& readers, const WriteGate& gate,
             std::shared_ptr<const app::Snapshot> snapshot, std::function<void()> wake_all_shards)
    : io_(io),
      services_(services),
      meters_(meters),
      readers_(readers),
      gate_(gate),
      snapshot_(std::move(snapshot)),
      wake_all_shards_(std::move(wake_all_shards)),
      unappended_(services.journal->writer()),
      slices_(readers),
      looks_(seconds(services.clock->monotonic_ns())),
      journal_timer_(io),
      tick_timer_(io),
      ending_timer_(io),
      drain_timer_(io),
      bytes_written_(&services.metrics->counter("licet_stream_written_bytes_total", "Bytes written to subscribers")),
      sessions_gauge_(&services.metrics->gauge("licet_stream_sessions", "Open subscriptions and pull requests")) {
    tools_.pseudonymiser = services.make_pseudonymiser();
    tools_.siv = services.make_siv();
    tools_.view_digest = services.view_digest;
    tools_.subject_keys = services.subject_keys.get();
    if (services.make_cipher) tools_.cipher = services.make_cipher();
    tools_.clock = services.clock;
    tools_.shadow = services.shadow.get();
    tools_.delivered = &services.metrics->counter("licet_decisions_total", "Events decided per view", {{"outcome", "delivered"}});
    tools_.withheld = &services.metrics->counter("licet_decisions_total", "Events decided per view", {{"outcome", "withheld"}});
    tools_.failed = &services.metrics->counter("licet_decision_failures_total", "Events withheld because they could not be read, redacted or sealed");
    boost::asio::post(io_, [this] { start_ticking(); });
}

void Shard::start_ticking() {
    tick_timer_.expires_after(std::chrono::milliseconds(services_.tick_ms));
    tick_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        tick();
        if (!draining_ || drain_.done) start_ticking();
    });
}

void Shard::tick() {
    time_is_up();  // the wall clock may have been set
    const auto now = services_.clock->utc_now();
    const auto ns = now_ns();
    retry_journal();
    release();
    note_ends(ns);
    if (const auto since = now.value - acks_flushed_.value; since >= limits::acked_record_interval_ms || since < 0) flush_acked();
    wake();  // whoever was to make the intent durable may have left
    // Seldom, and then it concerns everyone: the node may not deliver, or may again; the clock was set back, and a contract's beginning lies ahead
    // again.
    const bool everyone = !delivering() || !delivered_ || now < ticked_;
    delivered_ = delivering();
    ticked_ = now;
    if (!everyone) return looks_.advance(seconds(ns), [&](TimerWheel::Entry& due) { look_at(static_cast<Session&>(due).shared_from_this(), ns); });
    const auto all = std::vector(sessions_.begin(), sessions_.end());
    for (const auto& session : all) {
        if (!in_force(session->request().contract, now)) session->expire(CloseCode::policy_violation, kNotInForce);
        look_at(session, ns);
    }
}

// A pause of the node is not counted against anyone.
void Shard::note_ends(std::int64_t now_ns) {
    if (!delivering()) return ends_.clear();
    constexpr std::int64_t kKeptNs = limits::subscriber_lag_max_ms * std::int64_t{1'000'000};
    for (const auto& [key, view] : views_) {
        auto& ends = ends_[view->position()];
        const Offset end = services_.log->bounds(view->position()).end;
        if (ends.empty() || ends.back().first != end) ends.emplace_back(end, now_ns);
        while (ends.size() > 1 && now_ns - ends[1].second > kKeptNs) ends.pop_front();
    }
    std::erase_if(ends_, [&](const auto& one) {
        const auto view = views_.lower_bound({one.first.product, {}});
        return view == views_.end() || view->first.first != one.first.product;
    });
}

std::int64_t Shard::age_ms(ports::LogPosition position, Offset offset) const {
    const auto at = ends_.find(position);
    if (at == ends_.end()) return 0;
    const auto seen = std::upper_bound(at->second.begin(), at->second.end(), offset, [](Offset o, const auto& end) { return o < end.first; });
    return seen == at->second.end() ? 0 : (now_ns() - seen->second) / 1'000'000;
}

const ports::LagLimits* Shard::lag_limits(ContractNo no) const {
    const auto* contract = snapshot_->contract(no);
    return contract == nullptr || !contract->lag ? nullptr : &*contract->lag;
}

std::shared_ptr<app::QuotaPurse> Shard::purse(ContractNo no) const {
    const auto* contract = services_.quotas ? snapshot_->contract(no) : nullptr;
    return contract == nullptr ? nullptr : services_.quotas->purse(*contract);
}

void Shard::later(const void* of, std::function<void()> work) {
    later_.push(of, std::move(work));
    if (std::exchange(later_posted_, true)) return;
    post([this] { run_later(); });
}

// One at a time: what was posted meanwhile comes before the next.
void Shard::run_later() {
    const auto work = later_.pop();
    later_posted_ = !later_.empty();
    if (later_posted_) post([this] { run_later(); });
    work();
}

void Shard::look_at(const std::shared_ptr<Session>& session, std::int64_t now_ns) {
    session->tick(now_ns);
    if (!session->ended()) looks_.set(*session, seconds(session->rests_until(now_ns) + kSecondNs - 1));
}

void Shard::look_soon(Session& session) {
    const auto soon = seconds(now_ns()) + 1;
    if (!session.set() || session.due() > soon) looks_.set(session, soon);
}

UtcMillis Shard::ends_at(const ReadRequest& request) const {
    const auto* contract = snapshot_->contract(request.contract);
    const UtcMillis until = contract == nullptr ? UtcMillis{} : contract->valid_until;
    return until.value == 0 ? request.authorised_until : std::min(request.authorised_until, until);
}

void Shard::set_ending(const std::shared_ptr<Session>& session) {
    endings_.erase({session->ends_at().value, session.get()});
    session->ends_at(ends_at(session->request()));
    endings_.emplace(session->ends_at().value, session.get());
    const auto left = session->ends_at().value - services_.clock->utc_now().value;
    if (left <= services_.tick_ms && endings_.begin()->second == session.get()) time_is_up();
}

// Ends what time ends now, and comes again at the next such moment when that is before the next tick.
void Shard::time_is_up() {
    const auto now = services_.clock->utc_now();
    while (!endings_.empty() && endings_.begin()->first <= now.value) {
        const auto due = endings_.begin()->second->shared_from_this();
        endings_.erase(endings_.begin());
        due->expire_at(now);
    }
    if (endings_.empty() || endings_.begin()->first - now.value > services_.tick_ms) return;
    ending_timer_.expires_after(std::chrono::milliseconds(endings_.begin()->first - now.value));
    ending_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) time_is_up();
    });
}

Result<std::shared_ptr<View>> Shard::view_for(const ReadRequest& request, StreamEpoch stream_epoch) {
    const auto rights = snapshot_->rights(request.contract, request.product);
    if (!rights) return rights.error();
    const auto key = std::pair(request.product, rights->program->view_key());
    if (const auto at = views_.find(key); at != views_.end()) {
        at->second->add_shadow(*rights);
        return at->second;
    }
    if (views_.size() >= limits::views_max_per_shard) return Error{Errc::overloaded, "too many different views on this node", {}};
    auto view = std::make_shared<View>(ports::LogPosition{request.product, {0}}, stream_epoch, rights->program, snapshot_->consents, tools_);
    view->add_shadow(*rights);
    views_.emplace(key, view);
    return view;
}

void Shard::entered(std::shared_ptr<Session> session) {
    Roster& roster = session->view()->roster;
    roster.add(std::move(session));
}

void Shard::left(Session& session) {
    const auto view = session.view();
    view->roster.remove(session);
    if (!view->roster.empty()) return;
    const auto at = views_.find({view->position().product, view->key()});
    if (at != views_.end() && at->second == view) views_.erase(at);
}

// A node listens before it holds its first lease. Who comes in that moment waits for it: an EventSource that is told 503 never comes back.
void Shard::serve(ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback, int waited_ms) {
    CloseCode code{};
    std::string_view reason;
    if (draining_) return handback(std::move(connection), Error{Errc::draining, "this node is going away: connect again", {}});
    if (journal_refused_ || meters_.journal_broken())
        return handback(std::move(connection), Error{Errc::journal_full, "what is delivered cannot be noted at the moment", {}});
    has_delivered_ = has_delivered_ || delivering();
    if (!has_delivered_ && waited_ms < limits::first_lease_wait_ms)
        return after(kFirstLeaseLookMs,
                     [this, waited_ms, request = std::move(request), connection = std::move(connection), handback = std::move(handback)]() mutable {
                         serve(std::move(request), std::move(connection), std::move(handback), waited_ms + kFirstLeaseLookMs);
                     });
    if (!delivering()) return handback(std::move(connection), Error{Errc::unavailable, "this node may not deliver at the moment", {}});
    // The request was authorised under a snapshot that may have been replaced since.
    if (!still_allowed(request, code, reason))
        return handback(std::move(connection),
                        Error{code == CloseCode::policy_violation ? Errc::no_contract : Errc::invalid_token, std::string(reason), {}});
    auto session = std::make_shared<Session>(*this, std::move(request), std::move(connection), std::move(handback));
    sessions_.insert(session);
    sessions_gauge_->add(1);
    look_soon(*session);
    session->start();
    if (sessions_.contains(session)) set_ending(session);
}

void Shard::forget(const std::shared_ptr<Session>& session) {
    awaiting_intent_.erase(session);
    session->cancel();
    session->drop_allowance();
    endings_.erase({session->ends_at().value, session.get()});
    if (sessions_.erase(session) == 0) return;
    sessions_gauge_->add(-1);
    if (session->view()) left(*session);
}

void Shard::on_batch(const std::shared_ptr<const ports::LogBatch>& batch) {
    for (auto& [key, view] : views_) {
        if (view->position() != batch->position) continue;
        if (!view->take_live(batch))
            restart_all(view, batch->next);  // who decides so slowly reads the log, in turn with who catches up
        else if (!view->deciding)
            decide_live(view);
    }
}

// In turns: what a costly view is to decide holds up no other's batch.
void Shard::decide_live(const std::shared_ptr<View>& view) {
    view->deciding = false;
    if (view->roster.empty()) return view->drop_undecided();
    // A key is not here any more. What the tape could not tell is read from the log, with the keys, which may take its time.
    if (!view->decide_live()) restart_all(view);
    trim(*view);
    has_news(view);
    if (view->live_decided()) return;
    view->deciding = true;
    later(&view->deciding, [this, view] { decide_live(view); });
}

// Batches that queued up behind this one are taken before anyone writes: under load writes grow instead of multiplying.
void Shard::has_news(const std::shared_ptr<View>& view) {
    view->roster.begin_round();
    if (!std::exchange(view->due, true)) due_.push_back(view);
    if (!std::exchange(flush_posted_, true)) post([this] { flush(); });
}

void Shard::all_have_news() {
    for (const auto& [key, view] : views_) has_news(view);
}

// In turns: new batches, requests and other views come between those of a view with many subscribers, and who is told later takes more at once.
void Shard::flush() {
    flush_posted_ = false;
    const std::int64_t until = now_ns() + kFlushTurnNs;
    while (!due_.empty()) {
        const auto view = std::move(due_.front());
        due_.pop_front();
        while (const auto session = view->roster.next()) {
            session->advance();
            if (now_ns() < until) continue;
            due_.push_back(view);
            flush_posted_ = true;
            return post([this] { flush(); });
        }
        view->due = false;
    }
}

// Sessions that would lose their place leave the tape first and catch up from the log.
void Shard::trim(View& view) {
    for (const WireFormat format : kStreamFormats) {
        Tape* tape = view.live_if(format);
        if (tape == nullptr || tape->size() <= limits::tape_max_bytes) continue;
        const std::uint64_t start = tape->trimmed_start(limits::tape_max_bytes);
        for (const auto& session : view.roster.all())
            if (session->request().format == format && session->on_live() && session->position() < start) session->overrun();
        tape->trim(limits::tape_max_bytes);
    }
}

void Shard::wake() {
    const auto waiting = std::move(awaiting_intent_);
    awaiting_intent_.clear();
    for (const auto& session : waiting) session->advance();
}

void Shard::opened(std::uint64_t opening) {
    opened_ = opening;
    has_delivered_ = true;
    held_back_ = false;
    all_have_news();
}

void Shard::release() {
    if (!held_back_ || !gate_.consents_hold(services_.clock->utc_now()) || !delivering()) return;
    held_back_ = false;
    all_have_news();
}

Result<std::shared_ptr<const ports::LogBatch>> Shard::read(ports::LogPosition position, Offset from, std::size_t most_bytes) const {
    auto batch = services_.log->read(position, from, limits::catch_up_batch_max_events, most_bytes);
    if (!batch) return batch;
    if (auto loaded = app::load_keys(services_.subject_keys.get(), **batch); !loaded) return loaded.error();
    return batch;
}

// Ended one after another over the time given; who has not been goes on receiving.
void Shard::drain(int over_ms, std::function<void()> done) {
    draining_ = true;
    drain_.left.assign(sessions_.begin(), sessions_.end());
    drain_.total = drain_.left.size();
    drain_.began_ns = now_ns();
    drain_.over_ms = over_ms;
    drain_.done = std::move(done);
    drain_some();
}

void Shard::drain_some() {
    const auto elapsed_ms = static_cast<std::size_t>((now_ns() - drain_.began_ns) / kMsNs);
    const auto over_ms = static_cast<std::size_t>(drain_.over_ms);
    const std::size_t kept = elapsed_ms >= over_ms ? 0 : drain_.total - drain_.total * elapsed_ms / over_ms;
    while (!drain_.left.empty() && drain_.left.size() > kept) {
        const auto session = drain_.left.back().lock();
        drain_.left.pop_back();
        // Spread by the golden ratio: however many there are, no two close together come back together.
        const auto turn = static_cast<double>(drain_.left.size()) * 0.6180339887498949;
        const int spread = std::max(drain_.over_ms, kRetrySpreadLeastMs);
        if (session && !session->ended()) session->restart(limits::sse_retry_ms + static_cast<int>((turn - std::floor(turn)) * spread));
    }
    if (sessions_.empty()) drain_.left.clear();
    if (drain_.left.empty()) return drained();
    drain_timer_.expires_after(std::chrono::milliseconds(kDrainStepMs));
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) drain_some();
    });
}

void Shard::drained() {
    flush_delivered();
    flush_acked();
    tick_timer_.cancel();
    ending_timer_.cancel();
    journal_timer_.cancel();
    std::exchange(drain_.done, nullptr)();
}

}  // namespace licet::stream
