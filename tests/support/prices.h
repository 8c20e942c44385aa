// Prices for tests that need a contract to have one.
#pragma once

#include <string>
#include <vector>

#include "metering/price.h"

namespace licet::testing {

inline std::vector<metering::DatedPrice> flat_prices(const char* currency, const char* per_event, const char* per_mb) {
    return {{"", metering::flat_price(currency, *metering::Decimal::parse(per_event), *metering::Decimal::parse(per_mb))}};
}

}  // namespace licet::testing
