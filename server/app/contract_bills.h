// The bills of all contracts for one month, from the ledger's totals and the prices of a snapshot. Used by usage reports and by who closes a period.
// Pure.
#pragma once

#include <string_view>
#include <vector>

#include "server/app/contract_bill.h"
#include "server/app/snapshot.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

// A line of the ledger as what is billed: what was billed, and what was delivered again while the contract paid for that.
[[nodiscard]] ContractUsage contract_usage(const ports::UsageTotal& total, const std::string& product);

struct BillsWanted {
    std::string period;  // YYYY-MM
    std::string region;  // of the ledger
    std::string party;   // empty: all
    bool finished = false;
};

// By contract name; also of contracts nothing was delivered to, which may owe a minimum. Errors: those of bill_contract, and internal when there is
// usage of a contract or product the snapshot does not hold: a line must not be missed in silence.
[[nodiscard]] Result<std::vector<ContractBill>> bill_contracts(const Snapshot& snapshot, const BillsWanted& wanted,
                                                               const std::vector<ports::UsageTotal>& totals);

}  // namespace licet::app
