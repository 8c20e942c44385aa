#include "server/app/priced_metric.h"

#include <algorithm>
#include <optional>

namespace licet::app {
namespace {

bool costs(const metering::Charge& charge) {
    const metering::Decimal nothing;
    return !(charge.package_price == nothing) || std::any_of(charge.tiers.begin(), charge.tiers.end(), [&](const metering::Tier& tier) {
        return !(tier.unit_price == nothing) || !(tier.flat_fee == nothing);
    });
}

}  // namespace

metering::Metric priced_metric(const ports::Contract& contract, metering::Month month) {
    const auto first = format_rfc3339(month.from).substr(0, 10), behind = format_rfc3339(month.to).substr(0, 10);
    std::optional<metering::Metric> out;
    for (auto price = contract.prices.begin(); price != contract.prices.end(); ++price) {
        const auto next = std::next(price);
        if (price->from >= behind || (next != contract.prices.end() && next->from <= first)) continue;
        for (const auto& charge : price->price.charges)
            if (costs(charge)) out = std::min(out.value_or(charge.metric), charge.metric);
    }
    return out.value_or(metering::Metric::events);
}

}  // namespace licet::app
