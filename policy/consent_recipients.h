// Consents that name a recipient: how they lie in the consent index beside those that name none, and how a decision reads both. Written by
// app::Governance; read by deciders, explain and simulation. Described in docs/consent.md.
//
// Of a subject the index holds one set of purposes for everybody, and for each recipient (a party or a category of parties) that a consent of theirs
// names two more: what is consented to for it, and what was withdrawn from it. Consented to for a contract is what everybody or one of its recipients
// may, without what was withdrawn from any of them.
#pragma once

#include <cstdint>
#include <span>

#include "policy/consent_index.h"

namespace licet::policy {

// Number of a party or category that some consent of the region names; given by the catalog, never reused. 0: every recipient.
using RecipientNo = std::uint16_t;

enum class Restriction : std::uint8_t { given, withdrawn };

// Where the index keeps the set. Distinct for distinct recipients of one subject; those of different subjects meet as rarely as keys do.
[[nodiscard]] SubjectKey key_for_recipient(const SubjectKey& subject, RecipientNo recipient, Restriction what) noexcept;

// For a contract whose party is, or belongs to, these recipients. Never a mixture of before and after a change. Any thread.
[[nodiscard]] PurposeSet consented_purposes(const ConsentIndex& consents, const SubjectKey& subject, std::span<const RecipientNo> recipients,
                                            UtcMillis now) noexcept;

}  // namespace licet::policy
