// The account of a billing period, as finance reads it: lines by contract, rated, with the books beside them; open (a draft that still moves) or
// closed (a signed statement). Implemented by server/app over the ledger and the catalog; read by exports, the control plane and partners' own usage.
// Calls block. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "metering/decimal.h"
#include "metering/price.h"
#include "server/ports/invoicing.h"
#include "server/ports/usage_ledger.h"

namespace licet::ports {

enum class LineKind : std::uint8_t { usage, discount, minimum, cap, correction };
[[nodiscard]] constexpr std::string_view line_kind_name(LineKind kind) noexcept {
    constexpr std::string_view names[] = {"usage", "discount", "minimum", "cap", "correction"};
    return names[static_cast<std::size_t>(kind)];
}

// The finest line there is: groups are sums of these, so that every grouping comes to the same total, to the cent.
struct AccountLine {
    std::uint64_t no = 0;  // from 1, dense within the account of its contract
    LineKind kind = LineKind::usage;
    std::string contract, party;
    std::string product, region, day;         // day: UTC, YYYY-MM-DD; empty where the line is of the whole period
    std::string view, purpose, jurisdiction;  // the view's digest in hex; the contract's purposes, by a space; the party's country
    std::uint64_t events = 0, bytes = 0, minutes = 0;
    std::string currency;       // ISO 4217
    metering::Decimal amount;   // rounded to the currency's exponent
    std::string charge_period;  // YYYY-MM of the usage: in a correction earlier than the account's
    std::string reason;         // of a correction; of discount, minimum and cap the days they are for, where the price changed within the period
};

// The books of a contract in the period: delivered = billed + unbilled, and what a crash left undecided.
struct AccountBooks {
    UsageCount delivered, billed, unbilled;
    std::uint64_t suspense_offsets = 0;
    UsageCount replayed;  // paid for once more, so that the lines have billed + replayed
};

struct Account {
    std::string contract, party, party_title, party_country;
    std::string period;  // YYYY-MM
    UtcMillis from, to;  // [from, to), UTC
    std::string currency;
    int exponent = 2;                                    // digits after the point
    metering::Metric priced = metering::Metric::events;  // what its prices count; of several things the first
    metering::Decimal total;                             // the sum of the lines
    std::uint64_t lines = 0;
    AccountBooks books;
    bool closing = false;                // nothing of it moves any more, and its statement is being made
    std::optional<Invoicing> invoicing;  // nullopt: a statement made before it was part of them
    bool closed = false;
    // Of a closed one:
    std::uint64_t statement = 0;  // its number: dense within the region
    UtcMillis closed_at;
    std::string root, previous, hash, key_id, signature;  // hex, hex, hex, text, base64url
};

struct AccountsWanted {
    std::string period;    // YYYY-MM
    std::string contract;  // empty: all
    std::string party;     // empty: all
};

// The accounts of one moment. Valid during the call it is handed to.
class AccountsReading {
  public:
    virtual ~AccountsReading() = default;
    // By contract name.
    [[nodiscard]] virtual const std::vector<Account>& accounts() const = 0;
    // Lines of one contract's account behind number `after`, in their order; none is held. Errors: not_found, unavailable, those of `take`.
    [[nodiscard]] virtual Status lines(std::string_view contract, std::uint64_t after, const std::function<Status(const AccountLine&)>& take) = 0;
};

class Accounts {
  public:
    virtual ~Accounts() = default;
    // When the period was closed, with every account there is in it; nullopt: it is open. Errors: invalid_parameter (query:period), unavailable.
    [[nodiscard]] virtual Result<std::optional<UtcMillis>> closed_at(std::string_view period) = 0;
    // By contract name. Errors: invalid_parameter (query:period), unavailable.
    [[nodiscard]] virtual Result<std::vector<Account>> accounts(const AccountsWanted& wanted) = 0;
    // Accounts and lines that belong together, though usage is booked meanwhile. Errors as above, those of `read`.
    [[nodiscard]] virtual Status read(const AccountsWanted& wanted, const std::function<Status(AccountsReading&)>& read) = 0;
};

}  // namespace licet::ports
