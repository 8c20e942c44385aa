#include "server/app/governance.h"

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "server/app/consent_gatherer.h"
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
    if (parts_.subject_keys) {
        const auto erased = parts_.subject_keys->erased();
        if (!erased) return erased.error();
        parts_.subject_keys->forget(*erased);  // no key is held yet: from here on only what is new matters
    }
    ConsentGatherer gathered;
    const auto revision = parts_.catalog->each_consent([&](const ports::ConsentRow& row) {
        if (const auto held = held_consent(row, *parts_.vocabulary)) gathered.add(row.subject, *held);
    });
    if (!revision) return revision.error();
    revision_ = *revision;
    gathered.take([&](const SubjectKey& subject, std::span<const HeldConsent> held) {
        put_entries(*index_, consent_entries(subject, held, *parts_.vocabulary));
    });
    index_->set_revision(revision_);
    index_->set_ready(true);
    // Read after the consents: the epoch it names may be ahead of them for a moment, which the next refresh mends before anything is acknowledged.
    auto configuration = parts_.catalog->configuration();
    if (!configuration) return configuration.error();
    const auto epochs_before = configuration->epochs;
    if (auto rest = parts_.catalog->consents_after(revision_); rest) {
        for (const auto& entries : entries_of(*rest)) put_entries(*index_, entries);
        for (const auto& row : *rest) revision_ = std::max(revision_, row.revision);
        index_->set_revision(revision_);
        // Consents may name recipients the configuration was read before: those are of this region, and it claims no later epoch.
        if (!rest->empty()) configuration = parts_.catalog->configuration();
        if (!configuration) return configuration.error();
        configuration->epochs = epochs_before;
    } else {
        return rest.error();
    }
    auto snapshot = build_snapshot(*configuration, parts_.region, index_, parts_.vocabulary);
    log::info("governance.loaded", {{"epoch", epochs_before.sum().value}, {"consent_entries", index_->size()}, {"consent_revision", revision_}});
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
    Result<ports::ErasedSubjects> erased = ports::ErasedSubjects{};
    if (parts_.subject_keys) erased = parts_.subject_keys->erased();
    if (!erased) return erased.error();
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

    const auto changed = entries_of(*rows);
    const std::lock_guard lock(state_mutex_);
    // Consents first: the index is shared with the snapshots in use, and must hold a withdrawal before anyone is told of the epoch.
    std::vector<SubjectKey> subjects;
    auto end = index_->next_end();
    for (const auto& entries : changed) {
        subjects.push_back(entries.front().first);
        if (const auto first = first_end(entries); first && (!end || *first < *end)) end = first;
    }
    if (plane_) plane_->consents_end_at(end.value_or(UtcMillis{}));
    for (const auto& entries : changed) put_entries(*index_, entries);
    for (const auto& row : *rows) revision_ = std::max(revision_, row.revision);
    index_->set_revision(revision_);
    // Keys before the shards are told: what they decide again finds none.
    if (parts_.subject_keys) parts_.subject_keys->forget(*erased);
    subjects.insert(subjects.end(), erased->subjects.begin(), erased->subjects.end());
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

UtcMillis Governance::next_end() const { return index_->next_end().value_or(UtcMillis{}); }

// One group for each subject, from all that is recorded of her.
std::vector<std::vector<policy::ConsentIndex::Entry>> Governance::entries_of(const std::vector<ports::ConsentRow>& rows) const {
    std::vector<std::vector<policy::ConsentIndex::Entry>> out;
    std::vector<HeldConsent> held;
    for (std::size_t from = 0, to; from < rows.size(); from = to) {
        held.clear();
        for (to = from; to < rows.size() && rows[to].subject == rows[from].subject; ++to)
            if (const auto one = held_consent(rows[to], *parts_.vocabulary)) held.push_back(*one);
        out.push_back(consent_entries(rows[from].subject, held, *parts_.vocabulary));
    }
    return out;
}

// The index needs nobody to know what has ended; what was encoded before does.
void Governance::expire_loop() {
    std::unique_lock lock(state_mutex_);
    while (!stopping_) {
        const UtcMillis now = parts_.clock->utc_now();
        const auto looked_to = index_->next_end();
        const auto ended = index_->advance(now);
        // Also when nobody's has ended after all (it was renewed): the data plane holds its breath at the moment it was told of.
        if (looked_to && *looked_to <= now) give(snapshot()->epoch, ended, false);
        const auto next = index_->next_end();
        const auto wait = next ? std::clamp<std::int64_t>(next->value - now.value, 1, kClockLookMs) : kClockLookMs;
        expiry_changed_.wait_for(lock, std::chrono::milliseconds(wait));
    }
}

}  // namespace licet::app
