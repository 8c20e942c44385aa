// ports::Accounts: what each contract owes for a period; a draft from the ledger while it is open, the statement once it is closed. Built by
// server/main; read by exports, the control plane and the edge.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/app/snapshot.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"

namespace licet::app {

struct AccountParts {
    std::shared_ptr<ports::Billing> billing;
    std::function<std::shared_ptr<const Snapshot>()> snapshot;
    std::shared_ptr<const Clock> clock;
    std::string region;
};

// The lines of an open account move; read page by page they are those of the first page for as long as limits::account_pages_kept_ms.
[[nodiscard]] std::shared_ptr<ports::Accounts> make_accounts(AccountParts parts);

}  // namespace licet::app
