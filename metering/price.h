// What a contract's usage of a period costs: prices with charges, tiers, packages, included quantities, a discount, a minimum and a cap, rated
// exactly. Read from the contract (server/ports), applied to the ledger's totals (server/app). Pure; no floats.
//
// Rules: a charge multiplies its metric's quantity, less what is included. Nothing is rounded until the charges are summed; that sum is rounded once,
// half away from zero, to the currency's exponent. Then, each a line of its own and rounded once: the discount, what is missing to the minimum, what
// is beyond the cap. The total is the sum of the lines.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "metering/currency.h"
#include "metering/decimal.h"

namespace licet::metering {

enum class Metric : std::uint8_t {
    events,
    megabytes,  // 1,000,000 bytes of delivered data
    minutes,    // UTC minutes in which something was delivered
};
enum class ChargeModel : std::uint8_t {
    flat,       // every unit at one price
    graduated,  // each unit at the price of the tier it falls into
    volume,     // all units at the price of the tier the whole quantity falls into
    package,    // whole packages, also one only begun
};

struct Tier {
    std::optional<Decimal> up_to;  // the last quantity of the tier; the last tier has none
    Decimal unit_price;
    Decimal flat_fee;  // once, when a unit falls into the tier (volume: when the quantity does)
    bool operator==(const Tier&) const = default;
};

struct Charge {
    Metric metric = Metric::events;
    ChargeModel model = ChargeModel::flat;
    Decimal included;         // units of the period that cost nothing
    std::vector<Tier> tiers;  // flat: one; package: none
    Decimal package_size, package_price;
    bool operator==(const Charge&) const = default;
};

// What is said of the whole period beside the charges is of the whole contract, not of a product.
struct Price {
    std::string currency;  // ISO 4217
    std::vector<Charge> charges;
    Decimal discount_percent;        // of the charges' sum
    std::optional<Decimal> minimum;  // of the period, after the discount
    std::optional<Decimal> cap;
    bool operator==(const Price&) const = default;
};

// The short form of a price: so much per event and so much per megabyte.
[[nodiscard]] Price flat_price(std::string currency, Decimal per_event, Decimal per_mb);

// From the UTC day on; the first of a contract has none and is the price from the beginning.
struct DatedPrice {
    std::string from;  // YYYY-MM-DD or empty
    Price price;
    bool operator==(const DatedPrice&) const = default;
};

// The part of the period a price is for. What is stated per period (included quantities, bounds of tiers, fees of tiers, minimum, cap) counts in
// this proportion.
struct Share {
    std::uint32_t days = 1, of = 1;
};

struct Quantity {
    std::uint64_t events = 0, bytes = 0, minutes = 0;
};

struct Rated {
    Decimal usage;                   // what the charges come to
    Decimal discount, minimum, cap;  // lines of their own: <= 0, >= 0, <= 0
    Decimal total;
    std::vector<Decimal> parts;  // `usage` by part of the quantity: their sum is `usage`, to the last cent
};

// Rates the sum of `parts`; each part gets its share of the usage amount by what it contributed to each charge, the cents that rounding leaves going
// to the largest remainders, earlier parts first. `minimum_due`: the period is over, and what is missing to the minimum is owed. Errors: internal for
// an unknown currency, and for an amount of 10^18 of the currency or more (a sum of a million such amounts still is a Decimal).
[[nodiscard]] Result<Rated> rate(const Price& price, std::span<const Quantity> parts, Share share, bool minimum_due);

[[nodiscard]] std::string_view metric_name(Metric metric) noexcept;
[[nodiscard]] std::optional<Metric> parse_metric(std::string_view name) noexcept;
[[nodiscard]] std::string_view charge_model_name(ChargeModel model) noexcept;
[[nodiscard]] std::optional<ChargeModel> parse_charge_model(std::string_view name) noexcept;

}  // namespace licet::metering
