// What an existing contract no longer changes: what its days so far were agreed at. Asked by the catalog within the transaction that changes it, so
// that of two who change a contract at once the second is held against what the first wrote. Pure. docs/finance.md, "What a price change may do".
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "server/ports/catalog.h"

namespace licet::ports {

// A contract that has not begun (`validFrom` is to come) may be changed at will, but not begin before today. One that has begun keeps its party, its
// currency, whether replays are paid for, the prices of every day up to today, and which of those days it stands on. Days are of UTC. Error:
// conflict, with the pointer of what it would have changed.
[[nodiscard]] Status check_contract_change(const Contract& held, const Contract& wanted, UtcMillis now);

}  // namespace licet::ports
