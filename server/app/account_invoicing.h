// What a statement says of who bills and what tax, fixed when it is made; and which contracts keep a month open because they cannot be rated. Used by
// the accounts of periods and by closing. Pure but for the ledger they are handed.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/result.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"
#include "server/ports/invoicing.h"

namespace licet::app {

// Of the account's own month as configured; of each month it corrects, as that month's statement says, or as configured where that says nothing.
[[nodiscard]] Result<ports::Invoicing> account_invoicing(ports::BookedUsage& ledger, const ports::InvoicingConfig& config,
                                                         const ports::Account& account, const std::set<std::string>& corrected);

// What a note on `corrected` says: as that statement does, of its month alone; nothing when that says nothing.
void keep_invoicing_of(const ports::StatementRow& corrected, ports::Account& account);

// The contracts of a month that cannot be rated.
class Unrated {
  public:
    void add(const std::string& contract, const Error& why);
    // period_open, naming them in `gaps` as {contract, reason}.
    [[nodiscard]] Status status() const;

  private:
    nlohmann::json gaps_ = nlohmann::json::array();
};

}  // namespace licet::app
