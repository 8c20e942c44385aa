#include "metering/price.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "metering/exact.h"

namespace licet::metering {
namespace {

constexpr std::array<std::string_view, 3> kMetrics{"events", "megabytes", "minutes"};
constexpr std::array<std::string_view, 4> kModels{"flat", "graduated", "volume", "package"};
constexpr std::uint32_t kMegabyte = 1'000'000;
constexpr int kWholeDigits = 18;  // of an amount

// By metric, in what is counted: events, bytes, minutes.
template <class T>
using ByMetric = std::array<T, kMetrics.size()>;
std::size_t at(Metric metric) { return static_cast<std::size_t>(metric); }

Exact exact(Decimal value, Share share) { return exact(value) * Exact(share.days, share.of); }

ByMetric<Integer> sum_of(std::span<const Quantity> parts) {
    ByMetric<Integer> sum;
    for (const auto& part : parts) {
        sum[at(Metric::events)] += part.events;
        sum[at(Metric::megabytes)] += part.bytes;
        sum[at(Metric::minutes)] += part.minutes;
    }
    return sum;
}

Exact tiered(const Charge& charge, const Exact& quantity, Share share) {
    Exact amount = 0, from = 0;
    for (const auto& tier : charge.tiers) {
        const bool last = !tier.up_to || quantity <= exact(*tier.up_to, share);
        const Exact to = last ? quantity : exact(*tier.up_to, share);
        const bool whole = charge.model == ChargeModel::volume;
        if (!whole || last) {
            const Exact units = whole ? quantity : Exact(to - from);
            if (units > 0) amount += units * exact(tier.unit_price) + exact(tier.flat_fee, share);
        }
        if (last) return amount;
        from = to;
    }
    return amount;
}

Exact charged(const Charge& charge, const Integer& counted, Share share) {
    const Exact used = charge.metric == Metric::megabytes ? Exact(counted, kMegabyte) : Exact(counted);
    const Exact quantity = used - exact(charge.included, share);
    if (quantity <= 0) return 0;
    if (charge.model != ChargeModel::package) return tiered(charge, quantity, share);
    return -floor_of(-quantity / exact(charge.package_size)) * exact(charge.package_price);
}

// The same ratios as integers without a common divisor, so that sharing out needs no rational per part.
ByMetric<Integer> integers(const ByMetric<Exact>& ratios) {
    Integer common = 1, divisor = 0;
    for (const auto& ratio : ratios) common = lcm(common, Integer(denominator(ratio)));
    ByMetric<Integer> out;
    for (std::size_t m = 0; m < out.size(); ++m) {
        out[m] = numerator(ratios[m]) * (common / denominator(ratios[m]));
        divisor = gcd(divisor, out[m]);
    }
    if (divisor > 1)
        for (auto& value : out) value /= divisor;
    return out;
}

// `total` by weight, weights being what a part counted times `per` its metric: whole units first, what is left to the largest remainders.
std::vector<Integer> shared_out(const Integer& total, const ByMetric<Integer>& per, std::span<const Quantity> parts) {
    const auto counted = sum_of(parts);
    Integer all = 0, left = total;
    for (std::size_t m = 0; m < per.size(); ++m) all += per[m] * counted[m];
    std::vector<Integer> out(parts.size(), 0), rests(parts.size());
    if (all == 0) return out;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Integer weighed = (per[0] * parts[i].events + per[1] * parts[i].bytes + per[2] * parts[i].minutes) * total;
        divide_qr(weighed, all, out[i], rests[i]);
        left -= out[i];
    }
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto count = left.convert_to<std::ptrdiff_t>();  // fewer than there are parts with a remainder
    const auto greater = [&](std::size_t a, std::size_t b) { return rests[a] != rests[b] ? rests[a] > rests[b] : a < b; };
    std::nth_element(order.begin(), order.begin() + count, order.end(), greater);
    for (std::ptrdiff_t i = 0; i < count; ++i) ++out[order[static_cast<std::size_t>(i)]];
    return out;
}

Error too_large() { return {Errc::internal, "an amount has more than " + std::to_string(kWholeDigits) + " digits before the point", {}}; }

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
    const auto exponent = currency_exponent(price.currency);
    if (!exponent) return Error{Errc::internal, "the price has no known currency", {}};
    const auto counted = sum_of(parts);
    Exact sum = 0;
    ByMetric<Exact> per_counted;
    for (const auto& charge : price.charges) {
        const Exact amount = charged(charge, counted[at(charge.metric)], share);
        sum += amount;
        if (amount != 0) per_counted[at(charge.metric)] += amount / Exact(counted[at(charge.metric)]);
    }
    const Integer usage = rounded(sum, *exponent);
    const Integer discount = -rounded(Exact(usage) * exact(price.discount_percent) / 100, 0);
    const auto limit = [&](const std::optional<Decimal>& of) { return rounded(exact(*of, share), *exponent); };
    const Integer net = usage + discount;
    Integer minimum = 0, cap = 0;
    if (minimum_due && price.minimum && net < limit(price.minimum)) minimum = limit(price.minimum) - net;
    if (price.cap && net > limit(price.cap)) cap = limit(price.cap) - net;

    const Integer most = boost::multiprecision::pow(Integer(10), static_cast<unsigned>(kWholeDigits + *exponent));
    Rated out;
    for (const auto& [into, units] : {std::pair<Decimal*, Integer>{&out.usage, usage},
                                      {&out.discount, discount},
                                      {&out.minimum, minimum},
                                      {&out.cap, cap},
                                      {&out.total, net + minimum + cap}}) {
        const auto value = decimal_of(units, *exponent);
        if (!value || abs(units) >= most) return too_large();
        *into = *value;
    }
    out.parts.reserve(parts.size());
    for (const auto& units : shared_out(usage, integers(per_counted), parts)) out.parts.push_back(decimal_of(units, *exponent).value_or(Decimal{}));
    return out;
}

std::string_view metric_name(Metric metric) noexcept { return kMetrics[at(metric)]; }
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
