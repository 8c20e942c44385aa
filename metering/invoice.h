// The totals of an invoice as EN 16931 has them (business terms BT-106 to BT-115, tax breakdown BG-23) and the rules they must meet (BR-CO-10 to
// BR-CO-17). Used by the invoice export, and to check documents of others in the tests. Exact; tax is rounded per category on the summed net, never
// per line. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metering/decimal.h"

namespace licet::metering {

// A tax category (UNCL 5305: S, Z, E, AE, K, G, O, ...) and its rate in percent.
struct TaxClass {
    std::string category;
    Decimal rate;
    bool operator==(const TaxClass&) const = default;
};

struct InvoiceItem {
    Decimal net;  // BT-131 of a line, BT-92 of an allowance, BT-99 of a charge; rounded to the currency
    std::optional<TaxClass> tax;
};
struct InvoiceParts {
    std::vector<InvoiceItem> lines, allowances, charges;
    Decimal paid, rounding;  // BT-113, BT-114
};

struct TaxSubtotal {
    TaxClass tax;
    Decimal taxable, amount;  // BT-116, BT-117
    bool operator==(const TaxSubtotal&) const = default;
};
struct InvoiceTotals {
    Decimal lines;                   // BT-106
    Decimal allowances;              // BT-107
    Decimal charges;                 // BT-108
    Decimal net;                     // BT-109 = BT-106 - BT-107 + BT-108
    Decimal tax;                     // BT-110 = sum of BT-117
    Decimal gross;                   // BT-112 = BT-109 + BT-110
    Decimal paid, rounding;          // BT-113, BT-114
    Decimal payable;                 // BT-115 = BT-112 - BT-113 + BT-114
    std::vector<TaxSubtotal> taxes;  // BG-23, by category and rate; items without a tax class are in none
    bool operator==(const InvoiceTotals&) const = default;
};

// nullopt: a number of more than 38 digits. `exponent`: digits of the currency.
[[nodiscard]] std::optional<InvoiceTotals> invoice_totals(const InvoiceParts& parts, int exponent);

// The rules of the standard that `stated` does not meet, e.g. "BR-CO-10", in their order: sums are compared exactly, the tax of a category with the
// tolerance the standard's own validator has: less than one unit of the currency.
[[nodiscard]] std::vector<std::string_view> broken_rules(const InvoiceParts& parts, const InvoiceTotals& stated, int exponent);

}  // namespace licet::metering
