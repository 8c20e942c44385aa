#include "server/app/consent_steps.h"

#include <algorithm>
#include <set>

namespace licet::app {
namespace {

using policy::ConsentIndex;
using policy::ConsentStep;

// In order; the last is for ever.
std::vector<UtcMillis> ends_of(std::span<const HeldConsent> held) {
    std::vector<UtcMillis> ends;
    for (const auto& h : held)
        if (h.valid && h.valid_until.value != 0) ends.push_back(h.valid_until);
    ends.push_back(ConsentStep::forever);
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    return ends;
}

// `purposes_at` is asked for the last millisecond of each step: nothing changes within one.
template <class PurposesAt>
std::vector<ConsentStep> steps_to(std::span<const UtcMillis> ends, PurposesAt&& purposes_at) {
    std::vector<ConsentStep> steps;
    for (const UtcMillis end : ends) steps.push_back({end, purposes_at(UtcMillis{end.value - 1})});
    return steps;
}

void join_equal(std::vector<ConsentStep>& steps) {
    std::size_t kept = 0;
    for (std::size_t i = 1; i < steps.size(); ++i) {
        if (steps[i].purposes == steps[kept].purposes)
            steps[kept].until = steps[i].until;
        else
            steps[++kept] = steps[i];
    }
    steps.resize(kept + 1);
}

}  // namespace

std::vector<ConsentStep> consent_steps(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary) {
    const auto ends = ends_of(held);
    auto steps = steps_to(ends, [&](UtcMillis at) { return valid_purposes(held, vocabulary, at); });
    join_equal(steps);
    return steps;
}

std::vector<ConsentIndex::Entry> consent_entries(const SubjectKey& subject, std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary) {
    std::set<policy::RecipientNo> named;
    for (const auto& h : held)
        if (h.recipient != 0) named.insert(h.recipient);
    std::vector<ConsentIndex::Entry> entries;
    if (named.empty()) {
        entries.emplace_back(subject, consent_steps(held, vocabulary));
        return entries;
    }
    const auto ends = ends_of(held);
    entries.emplace_back(subject, steps_to(ends, [&](UtcMillis at) { return valid_purposes(held, vocabulary, at); }));
    for (const auto recipient : named) {
        auto given = steps_to(ends, [&](UtcMillis at) { return purposes_for(recipient, held, vocabulary, at).given; });
        auto withdrawn = steps_to(ends, [&](UtcMillis at) { return purposes_for(recipient, held, vocabulary, at).withdrawn; });
        join_equal(given);
        join_equal(withdrawn);
        entries.emplace_back(policy::key_for_recipient(subject, recipient, policy::Restriction::given), std::move(given));
        entries.emplace_back(policy::key_for_recipient(subject, recipient, policy::Restriction::withdrawn), std::move(withdrawn));
    }
    return entries;
}

std::optional<UtcMillis> first_end(std::span<const ConsentIndex::Entry> entries) {
    std::optional<UtcMillis> first;
    for (const auto& [key, steps] : entries)
        if (steps.front().until != ConsentStep::forever && (!first || steps.front().until < *first)) first = steps.front().until;
    return first;
}

void put_entries(ConsentIndex& index, std::span<const ConsentIndex::Entry> entries) {
    if (entries.size() == 1) return index.set_steps(entries.front().first, entries.front().second);
    index.set_related(entries);
}

}  // namespace licet::app
