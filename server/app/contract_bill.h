// What one contract owes for one month: its usage, day by day at the price of the day, and what the price adds to or takes off the whole. Used by the
// account of a period (drafts, statements, rating again) and by usage reports. Pure: the same input, in any order, gives the same bytes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "metering/month.h"
#include "server/ports/accounts.h"
#include "server/ports/catalog.h"

namespace licet::app {

// As ports::UsageTotal, with the product's name.
struct ContractUsage {
    std::string product, region, day, view;  // day: UTC, YYYY-MM-DD, within the month
    std::uint64_t events = 0, bytes = 0, minutes = 0;
};

struct BillOf {
    const ports::Contract& contract;  // its prices of every day of the month
    std::string jurisdiction;         // the party's country
    std::string region;               // of the ledger, which charges of the whole month are put down to
    std::string period;               // YYYY-MM
    bool finished = false;            // the month is over: what is missing to a minimum is owed
};

struct ContractBill {
    std::string contract;
    std::string currency;  // ISO 4217
    int exponent = 2;
    // Numbered from 1. Usage by day, product, region and view (usage of the same is one line); then discount, minimum and cap, where they are not
    // zero, per price that was in force. Each rounded once, parts to the last cent: every grouping of them comes to the same total.
    std::vector<ports::AccountLine> lines;
    metering::Decimal total;
};

// Errors: invalid_parameter (query:period); internal, naming the contract, when a price cannot be read, an amount or a count has too many digits, or
// usage is not of the month.
[[nodiscard]] Result<ContractBill> bill_contract(const BillOf& of, std::span<const ContractUsage> usage);

}  // namespace licet::app
