// Prices of a contract as its JSON document states them: `price`, and `priceChanges` from later days on. Read strictly, where admins write them and
// where the catalog is read; written back in the same form. Used by catalog_json and the admin use cases.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.h"
#include "metering/price.h"

namespace licet::ports {

struct PriceTerms {
    std::vector<metering::DatedPrice> prices;
    bool replays_billed = false;
};

// `contract`: the whole document. Errors: invalid_document with the pointer. Limits: price_charges_max, price_tiers_max, price_changes_max.
[[nodiscard]] Result<PriceTerms> price_terms_from(const nlohmann::json& contract);

// Sets `price` and, if there are any, `priceChanges`.
void put_price_terms(const PriceTerms& terms, nlohmann::json& contract);

}  // namespace licet::ports
