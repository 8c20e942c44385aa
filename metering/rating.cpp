#include "metering/rating.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "metering/exact.h"

namespace licet::metering {
namespace {

constexpr std::uint32_t kMegabyte = 1'000'000;
constexpr int kWholeDigits = 18;  // of an amount

// By metric, in what is counted: events, bytes, minutes.
template <class T>
using ByMetric = std::array<T, 3>;
std::size_t at(Metric metric) { return static_cast<std::size_t>(metric); }

__extension__ typedef unsigned __int128 Count;
Integer integer(Count count) { return (Integer(static_cast<std::uint64_t>(count >> 64)) << 64) + static_cast<std::uint64_t>(count); }

Exact exact(Decimal value, Share share) { return exact(value) * Exact(share.days, share.of); }

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

Error too_large() { return {Errc::internal, "an amount has more than " + std::to_string(kWholeDigits) + " digits before the point", {}}; }

}  // namespace

// The usage amount is shared out by weight, weights being what a part counted times `per` its metric: whole units first, what is left to the largest
// remainders, of equal ones to earlier parts. The smallest remainder that gets a unit is looked for by counting: exactly while there are few
// different ones, by ranges of them otherwise, of which the one it lies in is counted again.
struct Rating::State {
    State(const Price& of, Room with) : price(&of), room(with) {}

    const Price* price;
    Room room;
    ByMetric<Count> counted{};
    int exponent = 0;

    Integer usage;          // in the currency's smallest unit
    ByMetric<Integer> per;  // weights
    Integer all;            // of all parts; 0: nothing is shared out

    bool settled = true, first = true;
    Integer rests = 0;  // summed
    Integer low = 0;    // [low, low + 2^bits): where the last unit's remainder lies
    unsigned bits = 0;
    Integer wanted = 0;  // of the parts in there so many get a unit
    bool few = true;     // `values` has all of the range
    std::map<Integer, std::uint64_t> values;
    std::vector<std::uint64_t> ranges;
    std::optional<Integer> last;        // the remainder of the last part that gets one; nullopt: none is left
    Integer equal = 0, equal_left = 0;  // so many of those that have just this remainder

    [[nodiscard]] unsigned shift() const { return bits > room.range_bits ? bits - room.range_bits : 0; }
    void split(const Quantity& part, Integer& whole, Integer& rest) const {
        const Integer weighed = (per[0] * part.events + per[1] * part.bytes + per[2] * part.minutes) * usage;
        divide_qr(weighed, all, whole, rest);
    }
    void share_out(const ByMetric<Exact>& per_counted) {
        per = integers(per_counted);
        all = 0;
        for (std::size_t m = 0; m < per.size(); ++m) all += per[m] * integer(counted[m]);
        settled = all == 0 || usage == 0;
        first = true;
        rests = 0;
        low = 0;
        bits = all == 0 ? 0 : static_cast<unsigned>(msb(all)) + 1;
        last.reset();
        start_pass();
    }
    void start_pass() {
        few = true;
        values.clear();
        ranges.assign(settled ? 0 : std::size_t{1} << std::min(bits, room.range_bits), 0);
    }
    void weigh(const Quantity& part) {
        Integer whole, rest;
        split(part, whole, rest);
        if (first) rests += rest;
        if (rest == 0 || rest < low) return;  // those with no remainder are never given one
        const Integer in = rest - low;
        if (in != 0 && msb(in) >= bits) return;
        if (few) {
            ++values[rest];
            few = values.size() <= room.remainders;
            if (!few) values.clear();
        }
        ++ranges[Integer(in >> shift()).convert_to<std::size_t>()];
    }
    void found(const Integer& remainder) {
        last = remainder;
        equal = wanted;
        settled = true;
    }
    void weighed() {
        if (first) wanted = rests / all;
        first = false;
        if (wanted == 0) {
            settled = true;
        } else if (few) {
            for (auto at = values.rbegin(); at != values.rend() && !settled; ++at) {
                if (wanted <= at->second)
                    found(at->first);
                else
                    wanted -= at->second;
            }
        } else {
            auto range = ranges.size() - 1;
            for (; range > 0 && wanted > ranges[range]; --range) wanted -= ranges[range];
            const unsigned by = shift();
            low += Integer(range) << by;
            bits = by;
            if (bits == 0) found(low);
        }
        start_pass();
    }
};

Rating::Rating(const Price& price) : Rating(price, Room{}) {}
Rating::Rating(const Price& price, Room room) : state_(std::make_unique<State>(price, room)) {}
Rating::~Rating() = default;
Rating::Rating(Rating&&) noexcept = default;
Rating& Rating::operator=(Rating&&) noexcept = default;

void Rating::count(const Quantity& part) noexcept {
    auto& counted = state_->counted;
    counted[at(Metric::events)] += part.events;
    counted[at(Metric::megabytes)] += part.bytes;
    counted[at(Metric::minutes)] += part.minutes;
}

Result<Rated> Rating::rate(Share share, bool minimum_due) {
    auto& s = *state_;
    const Price& price = *s.price;
    const auto exponent = currency_exponent(price.currency);
    if (!exponent) return Error{Errc::internal, "the price has no known currency", {}};
    s.exponent = *exponent;
    Exact sum = 0;
    ByMetric<Exact> per_counted;
    for (const auto& charge : price.charges) {
        const Integer counted = integer(s.counted[at(charge.metric)]);
        const Exact amount = charged(charge, counted, share);
        sum += amount;
        if (amount != 0) per_counted[at(charge.metric)] += amount / Exact(counted);
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
    s.usage = usage;
    s.share_out(per_counted);
    return out;
}

bool Rating::settled() const noexcept { return state_->settled; }
void Rating::weigh(const Quantity& part) { state_->weigh(part); }
void Rating::weighed() { state_->weighed(); }
void Rating::begin() noexcept { state_->equal_left = state_->equal; }

Decimal Rating::amount(const Quantity& part) {
    auto& s = *state_;
    if (s.all == 0) return {};
    Integer units, rest;
    s.split(part, units, rest);
    if (s.last && rest >= *s.last) {
        if (rest > *s.last)
            ++units;
        else if (s.equal_left > 0) {
            --s.equal_left;
            ++units;
        }
    }
    return decimal_of(units, s.exponent).value_or(Decimal{});
}

}  // namespace licet::metering
