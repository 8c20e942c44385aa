#include "server/stream/delivery/shard.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "base/usage_limits.h"
#include "server/ports/log.h"

namespace licet::stream {
namespace {

constexpr std::string_view kNotInForce = "the contract is not in force";
constexpr std::string_view kNotHere = "the product is served from another region";

constexpr std::int64_t kFlushTurnNs = 500'000;
constexpr std::int64_t kSecondNs = 1'000'000'000, kMsNs = 1'000'000;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr int kDrainStepMs = 20;
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

void Shard::serve(ReadRequest request, std::unique_ptr<Transport> connection, Delivery::Handback handback) {
    CloseCode code{};
    std::string_view reason;
    if (draining_) return handback(std::move(connection), Error{Errc::draining, "this node is going away: connect again", {}});
    if (journal_refused_ || meters_.journal_broken())
        return handback(std::move(connection), Error{Errc::journal_full, "what is delivered cannot be noted at the moment", {}});
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
        if (!view->append_live(*batch))
            // A key is not here any more. What the tape could not tell is read from the log, with the keys, which may take its time.
            for (const WireFormat format : kStreamFormats)
                if (view->live_if(format) != nullptr) restart(view, format);
        trim(*view);
        has_news(view);
    }
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
    held_back_ = false;
    all_have_news();
}

void Shard::release() {
    if (!held_back_ || !gate_.consents_hold(services_.clock->utc_now()) || !delivering()) return;
    held_back_ = false;
    all_have_news();
}

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

void Shard::note(ports::UsageKind kind, const ports::UsageOf& of, Offset from, Offset to, Tape::Totals totals, metering::ViewDigest view) {
    auto& records = pending_[of];
    const UtcMillis now = services_.clock->utc_now();
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

bool Shard::in_force(ContractNo no, UtcMillis now) const {
    const auto* contract = snapshot_->contract(no);
    return contract != nullptr && contract->state == ports::ContractState::active && contract->valid_from <= now &&
           (contract->valid_until.value == 0 || now < contract->valid_until);
}

bool Shard::served_here(ProductNo no) const {
    const auto* product = snapshot_->product(no);
    return product != nullptr && (product->product.residency.empty() || product->product.residency == snapshot_->region);
}

bool Shard::still_allowed(const ReadRequest& request, CloseCode& code, std::string_view& reason) const {
    const auto* client = snapshot_->client(request.client);
    code = CloseCode::token_revoked;
    reason = "the token was revoked";
    if (client == nullptr || client->revoked || request.token_issued_at < client->tokens_valid_from) return false;
    const auto* contract = snapshot_->contract(request.contract);
    code = CloseCode::policy_violation;
    reason = kNotHere;
    if (!served_here(request.product)) return false;
    reason = kNotInForce;
    return contract != nullptr && contract->party == client->party && in_force(request.contract, services_.clock->utc_now());
}

void Shard::apply(const app::EpochChange& change) {
    snapshot_ = change.snapshot;
    if (change.subject)
        apply_subject(change.subject->low64());
    else
        apply_generation(change.consents);
}

void Shard::apply_subject(std::uint64_t subject) {
    const auto all = std::vector(sessions_.begin(), sessions_.end());
    for (const auto& session : all) session->on_subject(subject);
    slices_.forget_subject(subject);
    // A live tape that still names the subject is not for anyone who joins later.
    for (auto& [key, view] : views_)
        for (const WireFormat format : kStreamFormats) {
            Tape* tape = view->live_if(format);
            if (tape != nullptr && tape->names(subject, tape->start())) restart(view, format);
        }
}

// Nobody is written from the live tape what is on it; whoever stood there reads the log from where they are.
void Shard::restart(const std::shared_ptr<View>& view, WireFormat format) {
    for (const auto& session : view->roster.all())
        if (session->request().format == format) session->leave_live();
    view->restart_live(format);
    has_news(view);
}

Result<std::shared_ptr<const ports::LogBatch>> Shard::read(ports::LogPosition position, Offset from, std::size_t most_bytes) const {
    auto batch = services_.log->read(position, from, limits::catch_up_batch_max_events, most_bytes);
    if (!batch) return batch;
    if (auto loaded = app::load_keys(services_.subject_keys.get(), **batch); !loaded) return loaded.error();
    return batch;
}

void Shard::apply_generation(bool consents) {
    for (auto& [key, view] : views_) view->clear_shadows();  // those of now are added below
    if (consents) slices_.forget_all();
    const auto all = std::vector(sessions_.begin(), sessions_.end());
    for (const auto& session : all) {
        if (session->ended()) continue;
        CloseCode code{};
        std::string_view reason;
        if (!still_allowed(session->request(), code, reason)) {
            session->end(code, reason);
            continue;
        }
        set_ending(session);
        if (session->ended() || !session->view()) continue;
        session->limits_changed();
        const auto rights = snapshot_->rights(session->request().contract, session->request().product);
        if (!rights) {
            session->end(CloseCode::policy_violation, "the contract gives no rights to this product any more");
            continue;
        }
        const bool moved = rights->program->view_key() != session->view()->key();
        if (!moved && !consents) {
            session->view()->add_shadow(*rights);
            continue;
        }
        auto view = view_for(session->request(), {services_.log->bounds(session->view()->position()).stream_epoch});
        if (!view) {
            session->end(CloseCode::internal, "no view");
            continue;
        }
        session->on_new_generation(*view);
        // It may have ended in place of going over.
        if ((*view)->roster.empty()) views_.erase({(*view)->position().product, (*view)->key()});
    }
    if (!consents) return;
    for (auto& [key, view] : views_)
        for (const WireFormat format : kStreamFormats)
            if (view->live_if(format) != nullptr) view->restart_live(format);
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
