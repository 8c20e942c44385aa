// Which policies a compiled entitlement depends on. Used by app::build_snapshot to compile again only what a change concerns.
#pragma once

#include "policy/engine.h"

namespace licet::policy {

// Whether some rule of the policy is about this entitlement by target, assignee and action. One of which none is adds nothing to its program.
[[nodiscard]] bool concerns(const PolicyVersion& policy, const Entitlement& entitlement);

}  // namespace licet::policy
