#include "server/app/governance.h"

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

// More subjects than this in one change: everything is decided again instead of searching each tape for each of them.
constexpr std::size_t kSubjectsOneByOne = 16;

// Also while nothing is due the clock is looked at so often: it may be set forward.
constexpr std::int64_t kClockLookMs = 1000;
constexpr auto kRetryPause = std::chrono::milliseconds(500);

}  // namespace

Governance::Governance(Parts parts)
    : parts_(std::move(parts)),
      index_(std::make_shared<policy::ConsentIndex>()),
      barriers_(std::make_unique<Barriers>(
          Barriers::Parts{parts_.cluster, parts_.clock, parts_.metrics, [this] { return refresh(); }, parts_.barrier_ended})) {}

Governance::~Governance() { stop(); }

Status Governance::load() {
    const std::lock_guard one_at_a_time(refresh_mutex_);
    const std::lock_guard lock(state_mutex_);  // the expirer has not started
    std::vector<SubjectKey> subjects;
    const auto revision = parts_.catalog->each_consent([&](const ports::ConsentRow& row) {
        take(row);
        subjects.push_back(row.subject);
    });
    if (!revision) return revision.error();
    revision_ = *revision;
    const UtcMillis now = parts_.clock->utc_now();
    for (const auto& subject : subjects) index(subject, now);
    index_->set_revision(revision_);
    index_->set_ready(true);
    // Read after the consents: the epoch it names may be ahead of them for a moment, which the next refresh mends before anything is acknowledged.
    auto configuration = parts_.catalog->configuration();
    if (!configuration) return configuration.error();
    const auto epochs_before = configuration->epochs;
    if (auto rest = parts_.catalog->consents_after(revision_); rest) {
        for (const auto& row : *rest) {
            take(row);
            index(row.subject, now);
            revision_ = std::max(revision_, row.revision);
        }
        index_->set_revision(revision_);
        // Consents may name recipients the configuration was read before: those are of this region, and it claims no later epoch.
        if (!rest->empty()) configuration = parts_.catalog->configuration();
        if (!configuration) return configuration.error();
        configuration->epochs = epochs_before;
    } else {
        return rest.error();
    }
    auto snapshot = build_snapshot(*configuration, parts_.region, index_, parts_.vocabulary);
    log::info("governance.loaded", {{"epoch", epochs_before.sum().value}, {"subjects", registry_.size()}, {"consent_revision", revision_}});
    snapshot_.store(std::move(snapshot));
    return success();
}

void Governance::start(std::shared_ptr<DataPlane> plane) {
    {
        // What was read since the data plane was built has not reached it.
        const std::lock_guard one_at_a_time(refresh_mutex_);
        const std::lock_guard lock(state_mutex_);
        plane_ = std::move(plane);
        plane_->consents_end_at(next_end());
        give(snapshot()->epoch, {}, true);
    }
    expirer_ = std::thread([this] { expire_loop(); });
    // Until it is done: the catalog says only once that it moved.
    parts_.catalog->watch([this] {
        for (;;) {
            const auto done = refresh();
            if (done) return;
            log::warn("governance.refresh_failed", {{"detail", done.error().detail}});
            std::unique_lock lock(state_mutex_);
            if (expiry_changed_.wait_for(lock, kRetryPause, [&] { return stopping_; })) return;
        }
    });
}

void Governance::stop() {
    {
        const std::lock_guard lock(state_mutex_);
        stopping_ = true;
        expiry_changed_.notify_all();
    }
    parts_.catalog->stop_watching();
    barriers_->stop();
    if (expirer_.joinable()) expirer_.join();
}

Status Governance::refresh() {
    const std::lock_guard one_at_a_time(refresh_mutex_);
    const auto current = snapshot();
    const auto epochs = parts_.catalog->epochs();
    if (!epochs) return epochs.error();
    if (epochs->sum() <= current->epoch) return success();
    // All is read before any of it is taken: a change taken in part would be forgotten by the next attempt.
    const auto rows = parts_.catalog->consents_after(revision_);
    if (!rows) return rows.error();
    // A recipient that no consent named before may tell contracts apart that shared their rights until now.
    const bool recipients = std::any_of(rows->begin(), rows->end(), [&](const auto& row) { return !current->knows_recipient(row.recipient); });
    const bool configured = recipients || epochs->global != current->global_epoch;
    std::shared_ptr<const Snapshot> next;
    if (configured) {
        auto configuration = parts_.catalog->configuration();
        if (!configuration) return configuration.error();
        // It may be newer than the consents read above, and no more is claimed than the epoch that was read before either: a sum of the newer global
        // part and the older regional one may be the number of a change that neither holds.
        next = at_epoch(*build_snapshot(*configuration, parts_.region, index_, parts_.vocabulary, current.get()), epochs->sum());
    } else {
        next = at_epoch(*current, epochs->sum());
    }

    const std::lock_guard lock(state_mutex_);
    // Consents first: the index is shared with the snapshots in use, and must hold a withdrawal before anyone is told of the epoch.
    std::vector<SubjectKey> subjects;
    for (const auto& row : *rows) {
        take(row);
        if (subjects.empty() || subjects.back() != row.subject) subjects.push_back(row.subject);
        revision_ = std::max(revision_, row.revision);
    }
    if (plane_) plane_->consents_end_at(next_end());
    const UtcMillis now = parts_.clock->utc_now();
    for (const auto& subject : subjects) index(subject, now);
    index_->set_revision(revision_);
    const auto epoch = next->epoch;
    snapshot_.store(std::move(next));
    give(epoch, subjects, configured);
    expiry_changed_.notify_all();
    return success();
}

// Hands the change to the data plane; the cluster hears of the epoch when the last part of it has been applied everywhere on this node.
void Governance::give(GovernanceEpoch epoch, const std::vector<SubjectKey>& subjects, bool configuration) {
    if (parts_.metrics) parts_.metrics->gauge("licet_governance_epoch", "The epoch this node has read").set(static_cast<double>(epoch.value));
    auto acknowledged = [cluster = parts_.cluster, epoch] { cluster->acknowledge(epoch); };
    if (!plane_) return;
    // Also when nobody's consent changed: the acknowledgement must not overtake an earlier change still under way on a shard.
    if (configuration || subjects.empty() || subjects.size() > kSubjectsOneByOne) {
        plane_->apply({epoch, snapshot(), std::nullopt, !subjects.empty(), next_end()}, acknowledged);
        return;
    }
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        const bool last = i + 1 == subjects.size();
        plane_->apply(
            {epoch, snapshot(), subjects[i], true, last ? std::optional(next_end()) : std::nullopt},
            last ? std::function<void()>(acknowledged) : [] {});
    }
}

Barrier Governance::hold(GovernanceEpoch epoch) { return barriers_->hold(epoch); }

Result<Barrier> Governance::barrier(GovernanceEpoch epoch, int wait_ms) {
    if (auto read = refresh(); !read) return read.error();
    if (epoch > snapshot()->epoch) return Error{Errc::not_found, "no such epoch yet", {}};
    return barriers_->look(epoch, wait_ms);
}

UtcMillis Governance::next_end() const { return expiries_.empty() ? UtcMillis{} : UtcMillis{expiries_.top().first}; }

void Governance::take(const ports::ConsentRow& row) {
    const auto next = held_consent(row, *parts_.vocabulary);
    if (!next) return;
    auto& held = registry_[row.subject];
    std::erase_if(held, [&](const HeldConsent& h) { return h.purpose == next->purpose && h.recipient == next->recipient; });
    held.push_back(*next);
    if (row.valid_until.value != 0) expiries_.emplace(row.valid_until.value, row.subject);
}

void Governance::index(const SubjectKey& subject, UtcMillis now) {
    if (const auto at = registry_.find(subject); at != registry_.end()) put_consents(*index_, subject, at->second, *parts_.vocabulary, now);
}

void Governance::expire_loop() {
    std::unique_lock lock(state_mutex_);
    while (!stopping_) {
        const std::int64_t now = parts_.clock->utc_now().value;
        std::vector<SubjectKey> due;
        while (!expiries_.empty() && expiries_.top().first <= now) {
            due.push_back(expiries_.top().second);
            expiries_.pop();
        }
        for (const auto& subject : due) index(subject, {now});
        if (!due.empty()) give(snapshot()->epoch, due, false);
        const auto wait = expiries_.empty() ? kClockLookMs : std::clamp<std::int64_t>(expiries_.top().first - now, 1, kClockLookMs);
        expiry_changed_.wait_for(lock, std::chrono::milliseconds(wait));
    }
}

}  // namespace licet::app
