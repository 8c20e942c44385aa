// What EN 16931 asks of an invoice beside its totals for each VAT category (UNCL 5305): what must be known of seller and buyer, what must be said and
// what may not. Used by the invoice export, which states no tax where a rule would be broken. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "metering/decimal.h"

namespace licet::metering {

struct VatSubject {
    bool named = false;  // its name and country are known
    bool vat_id = false;
};
struct VatClass {
    std::string category;
    Decimal rate;
    std::string reason;  // why none is charged (BT-120)
};

struct BrokenVatRule {
    std::string rule;  // of the standard: "BR-AE-02"
    std::string_view what;
    bool operator==(const BrokenVatRule&) const = default;
};

// Of an invoice with these classes: the rules it would break, each once, in the order of the classes.
[[nodiscard]] std::vector<BrokenVatRule> broken_vat_rules(const std::vector<VatClass>& classes, const VatSubject& seller, const VatSubject& buyer);

}  // namespace licet::metering
