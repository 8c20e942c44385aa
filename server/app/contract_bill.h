// What one contract owes for one month: its usage, day by day at the price of the day, and what the price adds to or takes off the whole. Used by the
// account of a period (drafts, statements, rating again) and by usage reports. Pure: the same input, in any order, gives the same bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metering/month.h"
#include "metering/rating.h"
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

// A bill whose usage is gone over and not held, however much of it there is: counted first; then, once it is rated, gone over until it is settled;
// then each part of it is told its line. Parts of the same day, product, region and view are one part, and come in that order.
class BillRating {
  public:
    // Errors: invalid_parameter (query:period); internal, naming the contract, when no price can be read. The contract must outlive it.
    [[nodiscard]] static Result<BillRating> make(const BillOf& of);

    // Every part, once. Error: internal when it is not of the month.
    [[nodiscard]] Status count(const ContractUsage& part);
    // Behind the last part. Error: internal when an amount has too many digits.
    [[nodiscard]] Status rate();
    // Of the whole month, behind the parts: discount, minimum and cap, where they are not zero, per price that was in force. Not numbered.
    [[nodiscard]] const std::vector<ports::AccountLine>& others() const noexcept { return others_; }
    [[nodiscard]] metering::Decimal total() const noexcept { return total_; }
    [[nodiscard]] const std::string& currency() const noexcept { return like_.currency; }
    [[nodiscard]] int exponent() const noexcept { return exponent_; }

    [[nodiscard]] bool settled() const noexcept;
    void weigh(const ContractUsage& part);
    void weighed();
    // Before the first part, each time they are gone over for their lines.
    void begin() noexcept;
    [[nodiscard]] ports::AccountLine line(const ContractUsage& part);  // not numbered

  private:
    // Days of the month at one price.
    struct Segment {
        UtcMillis from, to;
        metering::Share share;
        metering::Rating rating;
        bool used = false;
    };
    BillRating() = default;
    [[nodiscard]] Segment* segment(std::string_view day);
    [[nodiscard]] Error refused(const std::string& why) const;

    std::vector<Segment> segments_;
    std::string day_;  // of the last part looked up, and its segment
    Segment* of_day_ = nullptr;
    ports::AccountLine like_;
    bool minimum_due_ = false;
    int exponent_ = 2;
    std::vector<ports::AccountLine> others_;
    metering::Decimal total_;
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
