#include "metering/price.h"

#include <algorithm>
#include <array>

#include "metering/rating.h"

namespace licet::metering {
namespace {

constexpr std::array<std::string_view, 3> kMetrics{"events", "megabytes", "minutes"};
constexpr std::array<std::string_view, 4> kModels{"flat", "graduated", "volume", "package"};

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - names.begin()));
}

}  // namespace

Price flat_price(std::string currency, Decimal per_event, Decimal per_mb) {
    const auto flat = [](Metric metric, Decimal unit_price) {
        return Charge{metric, ChargeModel::flat, {}, {{std::nullopt, unit_price, {}}}, {}, {}};
    };
    return {std::move(currency), {flat(Metric::events, per_event), flat(Metric::megabytes, per_mb)}, {}, std::nullopt, std::nullopt};
}

Result<Rated> rate(const Price& price, std::span<const Quantity> parts, Share share, bool minimum_due) {
    Rating rating(price);
    for (const auto& part : parts) rating.count(part);
    auto out = rating.rate(share, minimum_due);
    if (!out) return out;
    while (!rating.settled()) {
        for (const auto& part : parts) rating.weigh(part);
        rating.weighed();
    }
    out->parts.reserve(parts.size());
    rating.begin();
    for (const auto& part : parts) out->parts.push_back(rating.amount(part));
    return out;
}

std::string_view metric_name(Metric metric) noexcept { return kMetrics[static_cast<std::size_t>(metric)]; }
std::string_view charge_model_name(ChargeModel model) noexcept { return kModels[static_cast<std::size_t>(model)]; }
std::optional<Metric> parse_metric(std::string_view name) noexcept {
    const auto found = index_of(kMetrics, name);
    return found ? std::optional(static_cast<Metric>(*found)) : std::nullopt;
}
std::optional<ChargeModel> parse_charge_model(std::string_view name) noexcept {
    const auto found = index_of(kModels, name);
    return found ? std::optional(static_cast<ChargeModel>(*found)) : std::nullopt;
}

}  // namespace licet::metering
