// Reads `quotas` and `rates` of a contract's document strictly. Used by Admin::put_contract.
#pragma once

#include "server/app/fields.h"
#include "server/ports/quota.h"

namespace licet::app {

// Mistakes are noted in `contract`, with their pointer; or returned.
[[nodiscard]] Result<ports::QuotaTerms> quota_terms_of(Fields& contract);

}  // namespace licet::app
