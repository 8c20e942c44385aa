// What a data subject consents to as time passes, for the consent index: from now on it needs neither the records nor the catalog to know when
// something ends. Used by Governance.
#pragma once

#include <span>
#include <vector>

#include "policy/consent_index.h"
#include "server/app/consents.h"

namespace licet::app {

// valid_purposes() at every time, as steps; the last is without an end. Steps that change nothing are left out.
[[nodiscard]] std::vector<policy::ConsentStep> consent_steps(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary);

}  // namespace licet::app
