// What a data subject consents to as time passes, for the consent index: from now on it needs neither the records nor the catalog to know when
// something ends. Used by Governance, and by Admin::explain for a moment past.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "policy/consent_index.h"
#include "server/app/consents.h"

namespace licet::app {

// valid_purposes() at every time, as steps; the last is without an end. Steps that change nothing are left out.
[[nodiscard]] std::vector<policy::ConsentStep> consent_steps(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary);

// What the index keeps of a subject: one entry, and two for each recipient that she names. Then the first entry has a step for every end, also where
// her purposes stay the same: who is told that a consent of hers ended is told of her.
[[nodiscard]] std::vector<policy::ConsentIndex::Entry> consent_entries(const SubjectKey& subject, std::span<const HeldConsent> held,
                                                                       const policy::Vocabulary& vocabulary);
// The first end of any; nullopt: none ends.
[[nodiscard]] std::optional<UtcMillis> first_end(std::span<const policy::ConsentIndex::Entry> entries);
// As one change.
void put_entries(policy::ConsentIndex& index, std::span<const policy::ConsentIndex::Entry> entries);

}  // namespace licet::app
