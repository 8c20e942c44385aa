// What every contract owes for a period, at one moment of the ledger. The one computation that drafts, closing and rating again share. Lines are made
// one after the other and never held: usage is gone over in the ledger as often as it takes. Pure but for the ledger it is handed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/app/snapshot.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"
#include "server/ports/catalog.h"

namespace licet::app {

// What is billed to whom, at one moment.
struct BillingTerms {
    std::map<ContractNo, ports::Contract> contracts;
    std::map<std::string, ports::Party> parties;
    std::map<ProductNo, std::string> products;                     // names
    std::shared_ptr<const ports::InvoicingConfig> invoicing = {};  // null: accounts say nothing of it
};
[[nodiscard]] BillingTerms terms_of(const Snapshot& snapshot);
[[nodiscard]] BillingTerms terms_of(const ports::Configuration& configuration);
// As text, for the cut of a period: one JSON object per line. Of parties there is what statements state.
[[nodiscard]] std::string terms_text(const BillingTerms& terms);
[[nodiscard]] Result<BillingTerms> parse_terms(const std::string& text);  // corrupt

struct PeriodWanted {
    std::string period;           // YYYY-MM
    std::string region;           // of the ledger
    bool finished = false;        // the month is over: what is missing to a minimum is owed
    std::string contract, party;  // empty: all
};

class RatedAccount {
  public:
    virtual ~RatedAccount() = default;
    [[nodiscard]] virtual const ports::Account& account() const = 0;  // not closed; with the number of its lines and their total
    [[nodiscard]] virtual const ports::Contract& contract() const = 0;
    // Its lines, numbered from 1; the same each time. Errors: of the ledger and of `take`.
    [[nodiscard]] virtual Status lines(const std::function<Status(const ports::AccountLine&)>& take) = 0;
};

// Every account with a line, or with something on its books, by the contract's name. Lines: usage and charges of the month's own days; then, by
// charge period, what usage of closed months that was booked into this one changes of their bills, at the prices they were billed at; then notes.
// Errors: invalid_parameter (query:period); internal when a contract cannot be rated, or there is usage of a contract or product the terms do not
// hold: a line must not be missed in silence. With `unrated` those are named to it, and the others go on.
using TakeUnrated = std::function<void(const std::string& contract, const Error& why)>;
[[nodiscard]] Status each_account(ports::BookedUsage& ledger, const BillingTerms& terms, const PeriodWanted& wanted,
                                  const std::function<Status(RatedAccount&)>& take, const TakeUnrated& unrated = {});

}  // namespace licet::app
