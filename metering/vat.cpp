#include "metering/vat.h"

#include <algorithm>
#include <array>

namespace licet::metering {
namespace {

struct Category {
    std::string_view code, prefix;  // of its rules
    bool charged;                   // at a rate above zero, or one that may be (L, M)
    bool reasoned;
    bool seller_id, buyer_id;  // must have a VAT identifier
};
constexpr std::array<Category, 9> kCategories{{{"S", "BR-S", true, false, true, false},
                                               {"Z", "BR-Z", false, false, true, false},
                                               {"E", "BR-E", false, true, true, false},
                                               {"AE", "BR-AE", false, true, true, true},
                                               {"K", "BR-IC", false, true, true, true},
                                               {"G", "BR-G", false, true, true, false},
                                               {"O", "BR-O", false, true, false, false},
                                               {"L", "BR-AF", true, false, true, false},
                                               {"M", "BR-AG", true, false, true, false}}};

class Rules {
  public:
    std::vector<BrokenVatRule> broken;
    void met(bool is, std::string rule, std::string_view what) {
        if (is || std::any_of(broken.begin(), broken.end(), [&](const auto& b) { return b.rule == rule; })) return;
        broken.push_back({std::move(rule), what});
    }
};

void check(Rules& rules, const VatClass& c, const VatSubject& seller, const VatSubject& buyer) {
    const auto* at = std::find_if(kCategories.begin(), kCategories.end(), [&](const Category& known) { return known.code == c.category; });
    if (at == kCategories.end()) return rules.met(false, "BR-CL-17", "the VAT category is not one of the standard's");
    const std::string prefix(at->prefix);
    const bool none = c.rate == Decimal{};
    rules.met(seller.vat_id || !at->seller_id, prefix + "-02", "the seller's VAT identifier is missing");
    rules.met(buyer.vat_id || !at->buyer_id, prefix + "-02", "the buyer's VAT identifier is missing");
    rules.met(at->charged ? !none || c.category != "S" : none, prefix + "-05", "the rate is not one of its category");
    rules.met(at->reasoned != c.reason.empty(), prefix + "-10",
              at->reasoned ? "why no tax is charged is missing" : "a reason is given where tax is charged");
}

}  // namespace

std::vector<BrokenVatRule> broken_vat_rules(const std::vector<VatClass>& classes, const VatSubject& seller, const VatSubject& buyer) {
    Rules rules;
    rules.met(seller.named, "BR-06", "the seller's name or country is missing");
    rules.met(buyer.named, "BR-07", "the buyer's name or country is missing");
    const auto outside = std::count_if(classes.begin(), classes.end(), [](const auto& c) { return c.category == "O"; });
    rules.met(outside == 0 || static_cast<std::size_t>(outside) == classes.size(), "BR-O-11", "what is not subject to VAT stands beside what is");
    for (const auto& c : classes) check(rules, c, seller, buyer);
    return std::move(rules.broken);
}

}  // namespace licet::metering
