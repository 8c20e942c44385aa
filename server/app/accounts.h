// ports::Accounts: what each contract owes for a period; a draft from the ledger while it is open, the statement once it is closed. Built by
// server/main; read by exports, the control plane and the edge.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/app/snapshot.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"
#include "server/ports/invoicing.h"

namespace licet::app {

struct AccountParts {
    std::shared_ptr<ports::Billing> billing;
    std::function<std::shared_ptr<const Snapshot>()> snapshot;
    std::shared_ptr<const Clock> clock;
    std::string region;
    std::shared_ptr<const ports::InvoicingConfig> invoicing = {};  // null: drafts say nothing of it
};

// A reading of an open period keeps a transaction of the ledger open for as long as it takes: what is read is of one moment.
[[nodiscard]] std::shared_ptr<ports::Accounts> make_accounts(AccountParts parts);

}  // namespace licet::app
