// Usage reports: the partner's own usage and finance's export, priced exactly. Used by the edge (partner) and the control plane (finance). Calls
// block.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/app/contract_bill.h"
#include "server/app/snapshot.h"
#include "server/ports/accounts.h"
#include "server/ports/billing.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

struct UsageLine {
    std::string contract, product, day, region;  // empty where not grouped by, and where a charge is of the whole contract
    ports::LineKind kind = ports::LineKind::usage;
    std::uint64_t events = 0, bytes = 0, minutes = 0;
    std::string currency;
    metering::Decimal amount;
    int exponent = 2;
};

// The books of one contract in the period: delivered = billed + unbilled; suspense (offsets that a crash left undecided) is in no line.
struct UsageBooks {
    std::string contract;
    ports::UsageCount delivered, billed, unbilled;
    std::uint64_t suspense_offsets = 0;
    [[nodiscard]] bool balanced() const noexcept {
        return delivered.events == billed.events + unbilled.events && delivered.bytes == billed.bytes + unbilled.bytes;
    }
};

// The signed document a closed period's lines are of.
struct UsageStatement {
    std::string contract;
    std::uint64_t number = 0;
    std::string hash;
    UtcMillis closed_at;
};

struct UsageReport {
    std::string period;
    std::vector<std::string> group;  // contract always first: a line has one currency
    std::vector<UsageLine> lines;
    std::vector<UsageBooks> books;  // by contract
    bool closed = false;
    std::vector<UsageStatement> statements = {};  // of a closed period, by contract
};

class UsageReports {
  public:
    // Without `billing` and `accounts` no period is closed.
    UsageReports(std::shared_ptr<ports::UsageLedger> ledger, std::shared_ptr<const Clock> clock, std::string region,
                 std::shared_ptr<ports::Billing> billing = nullptr, std::shared_ptr<ports::Accounts> accounts = nullptr)
        : ledger_(std::move(ledger)),
          clock_(std::move(clock)),
          region_(std::move(region)),
          billing_(std::move(billing)),
          accounts_(std::move(accounts)) {}

    // `period`: "YYYY-MM" (UTC). `group`: of contract, product, day, region; contract is added when missing. `party` not empty: its contracts only.
    // A line is a sum of an account's lines (ports::AccountLine), so that every grouping comes to the same total. What is missing to a minimum is
    // owed once the month is over. A closed period is read from its statements, whatever was delivered or changed since. Errors: invalid_parameter
    // (query:period, query:group), unavailable, internal when an amount has too many digits or usage is of a contract not in the snapshot.
    [[nodiscard]] Result<UsageReport> report(const Snapshot& snapshot, std::string_view period, std::string_view group, std::string_view party) const;

  private:
    [[nodiscard]] Result<bool> is_closed(std::string_view period) const;
    [[nodiscard]] Result<UsageReport> stated(UsageReport report, std::string_view party) const;

    const std::shared_ptr<ports::UsageLedger> ledger_;
    const std::shared_ptr<const Clock> clock_;
    const std::string region_;
    const std::shared_ptr<ports::Billing> billing_;
    const std::shared_ptr<ports::Accounts> accounts_;
};

[[nodiscard]] nlohmann::json to_json(const UsageReport& report);
// RFC 4180, one header line, CRLF; decimals without exponent.
[[nodiscard]] std::string to_csv(const UsageReport& report);

}  // namespace licet::app
