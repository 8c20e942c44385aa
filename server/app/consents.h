// From what was recorded of a data subject to the purposes consented to: the one rule, for now (Governance) and for a moment past (Admin::explain).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "policy/consent_recipients.h"
#include "policy/vocabulary.h"
#include "server/ports/catalog.h"

namespace licet::app {

// What is recorded of one subject, purpose and recipient: the last consent, if that is the last word, and the last withdrawal.
struct HeldConsent {
    using Order = std::pair<std::uint64_t, std::uint64_t>;  // revision, position
    policy::PurposeId purpose;
    bool valid;
    UtcMillis valid_until;
    Order given;
    std::optional<Order> withdrawn;
    policy::RecipientNo recipient = 0;  // 0: every recipient
};

// Nothing for a purpose this build does not know: it is consented to by nobody.
[[nodiscard]] std::optional<HeldConsent> held_consent(const ports::ConsentRow& row, const policy::Vocabulary& vocabulary);

// Of all that is held of one subject. In the order they were recorded: consent for P covers what is below P; a withdrawal of P takes what is below P
// and, because consent above P would still cover it, what is above. What a withdrawal took only a later consent gives back.
// For those that no consent of the subject names as a recipient.
[[nodiscard]] policy::PurposeSet valid_purposes(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary, UtcMillis now);

// The same for one recipient: of the records that name it and those that name none. `withdrawn`: what a withdrawal that names it took, until a
// consent that names it, or none, gives it back.
struct ForRecipient {
    policy::PurposeSet given, withdrawn;
};
[[nodiscard]] ForRecipient purposes_for(policy::RecipientNo recipient, std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary,
                                        UtcMillis now);

}  // namespace licet::app
