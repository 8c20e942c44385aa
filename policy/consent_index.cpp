#include "policy/consent_index.h"

#include <algorithm>

namespace licet::policy {
namespace {

constexpr std::size_t kStaleMomentsMin = 1024;

}  // namespace

PurposeSet ConsentIndex::valid_purposes(const SubjectKey& subject, UtcMillis now) const noexcept {
    const std::int64_t at = std::max(now.value, ended_.load(std::memory_order_acquire));
    return table_
        .read(subject,
              [&](Value value) {
                  // Endings may be taken for another subject while they are read, which the table then notices: but they must not lead in circles.
                  for (std::size_t steps = 0; (value & kEnding) != 0; ++steps) {
                      if (steps > PurposeSet::capacity) return PurposeSet{};
                      const Ending& ending = endings_[value & ~kEnding];
                      value = at < ending.until.load(std::memory_order_acquire) ? ending.before.load(std::memory_order_acquire)
                                                                                : ending.after.load(std::memory_order_acquire);
                  }
                  return sets_.read(value);
              })
        .value_or(PurposeSet{});
}

void ConsentIndex::set_steps(const SubjectKey& subject, std::span<const ConsentStep> steps) {
    while (!steps.empty() && steps.front().until.value <= ended_.load(std::memory_order_relaxed)) steps = steps.subspan(1);
    put(subject, store(steps));
}
void ConsentIndex::set(const SubjectKey& subject, const PurposeSet& purposes) {
    const ConsentStep step{ConsentStep::forever, purposes};
    set_steps(subject, {&step, 1});
}

void ConsentIndex::set_related(std::span<const Entry> entries) {
    related_changes_.fetch_add(1, std::memory_order_relaxed);  // the entries' own stores are not seen without it
    for (const auto& [key, steps] : entries) set_steps(key, steps);
    related_changes_.fetch_add(1, std::memory_order_release);
}

// From the last step to the first: each leads to the next.
ConsentIndex::Value ConsentIndex::store(std::span<const ConsentStep> steps) {
    Value value = ConsentSets::empty;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        const auto set = sets_.intern(step->purposes);
        if (step->until == ConsentStep::forever) {
            release(value);
            value = set;
            continue;
        }
        const auto id = endings_.take();
        if (id == endings_.none) {  // no room: what would have had an end is not consented to
            sets_.give_back(set);
            continue;
        }
        endings_[id].until.store(step->until.value, std::memory_order_release);
        endings_[id].before.store(set, std::memory_order_release);
        endings_[id].after.store(value, std::memory_order_release);
        value = kEnding | id;
    }
    return value;
}

void ConsentIndex::release(Value value) {
    while ((value & kEnding) != 0) {
        const auto id = value & ~kEnding;
        sets_.give_back(endings_[id].before.load(std::memory_order_relaxed));
        value = endings_[id].after.load(std::memory_order_relaxed);
        endings_.give_back(id);
    }
    sets_.give_back(value);
}

void ConsentIndex::put(const SubjectKey& subject, Value value) {
    const auto done = table_.put(subject, value);
    if (!done.stored) {  // not known, so not consented to
        release(value);
        return;
    }
    if (done.before && (*done.before & kEnding) != 0) --ending_subjects_;
    if ((value & kEnding) != 0) {
        ++ending_subjects_;
        const auto until = endings_[value & ~kEnding].until.load(std::memory_order_relaxed);
        if (!done.before || (*done.before & kEnding) == 0 || endings_[*done.before & ~kEnding].until.load(std::memory_order_relaxed) != until) {
            moments_.push_back({until, subject});
            std::push_heap(moments_.begin(), moments_.end());
        }
    }
    if (done.before) release(*done.before);
    if (moments_.size() > 2 * ending_subjects_ + kStaleMomentsMin) forget_stale_moments();
}

std::vector<SubjectKey> ConsentIndex::advance(UtcMillis now) {
    if (now.value > ended_.load(std::memory_order_relaxed)) ended_.store(now.value, std::memory_order_release);
    std::vector<SubjectKey> changed;
    while (!moments_.empty() && moments_.front().until <= now.value) {
        const Moment due = moments_.front();
        std::pop_heap(moments_.begin(), moments_.end());
        moments_.pop_back();
        if (!ends_at(due)) continue;
        // What is left is stored anew, under numbers of its own: a reader may be within what is released.
        std::vector<ConsentStep> left;
        Value value = value_of(due.subject);
        while ((value & kEnding) != 0) {
            const Ending& ending = endings_[value & ~kEnding];
            const auto until = ending.until.load(std::memory_order_relaxed);
            if (until > now.value) left.push_back({{until}, sets_.read(ending.before.load(std::memory_order_relaxed))});
            value = ending.after.load(std::memory_order_relaxed);
        }
        left.push_back({ConsentStep::forever, sets_.read(value)});
        put(due.subject, store(left));
        changed.push_back(due.subject);
    }
    return changed;
}

std::optional<UtcMillis> ConsentIndex::next_end() const {
    if (moments_.empty()) return std::nullopt;
    return UtcMillis{moments_.front().until};
}

bool ConsentIndex::ends_at(const Moment& moment) const {
    const Value value = value_of(moment.subject);
    return (value & kEnding) != 0 && endings_[value & ~kEnding].until.load(std::memory_order_relaxed) == moment.until;
}

// A subject whose end moved away and back again has two equal moments: one is enough.
void ConsentIndex::forget_stale_moments() {
    std::sort(moments_.begin(), moments_.end(),
              [](const Moment& a, const Moment& b) { return std::pair(a.until, a.subject) > std::pair(b.until, b.subject); });
    const auto same = [](const Moment& a, const Moment& b) { return a.until == b.until && a.subject == b.subject; };
    moments_.erase(std::unique(moments_.begin(), moments_.end(), same), moments_.end());
    std::erase_if(moments_, [&](const Moment& m) { return !ends_at(m); });
    std::make_heap(moments_.begin(), moments_.end());
    moments_.shrink_to_fit();
}

}  // namespace licet::policy
