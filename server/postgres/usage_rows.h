// What the usage tables sum up to. Shared by the ledger and by billing, private to this folder.
#pragma once

#include <pqxx/pqxx>
#include <vector>

#include "server/ports/usage_ledger.h"

namespace licet::postgres {

// Of the days of [from, to), booked into a month that began before `booked_before`. Of months that are open now this is all there is.
[[nodiscard]] std::vector<ports::UsageTotal> usage_totals(pqxx::work& transaction, UtcMillis from, UtcMillis to, UtcMillis booked_before,
                                                          const std::vector<ContractNo>& contracts);
// Booked into the months that begin in [from, to); `contracts` empty: of all.
[[nodiscard]] std::vector<ports::UsageBalance> usage_balance(pqxx::work& transaction, UtcMillis from, UtcMillis to,
                                                             const std::vector<ContractNo>& contracts = {});

}  // namespace licet::postgres
