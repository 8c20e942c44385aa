// What every contract owes for a period, at one moment of the ledger. The one computation that drafts, closing and rating again share. Pure but for
// the ledger it is handed.
#pragma once

#include <functional>
#include <map>
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
    std::map<ProductNo, std::string> products;  // names
};
[[nodiscard]] BillingTerms terms_of(const Snapshot& snapshot);
[[nodiscard]] BillingTerms terms_of(const ports::Configuration& configuration);

struct PeriodWanted {
    std::string period;           // YYYY-MM
    std::string region;           // of the ledger
    bool finished = false;        // the month is over: what is missing to a minimum is owed
    std::string contract, party;  // empty: all
};

struct PeriodAccount {
    ports::Account account;  // not closed
    std::vector<ports::AccountLine> lines;
    const ports::Contract* contract;  // of the terms
};

// Every account with a line, or with something on its books, by the contract's name. Lines: usage and charges of the month's own days; then, by
// charge period, what usage of closed months that was booked into this one changes of their bills, at the prices they were billed at; then notes.
// Errors: invalid_parameter (query:period); internal when there is usage of a contract or product the terms do not hold: a line must not be missed in
// silence.
[[nodiscard]] Status each_account(ports::BookedUsage& ledger, const BillingTerms& terms, const PeriodWanted& wanted,
                                  const std::function<Status(PeriodAccount)>& take);

}  // namespace licet::app
