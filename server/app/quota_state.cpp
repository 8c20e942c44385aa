// What a purse says of itself: to subscribers and in headers.
#include <algorithm>

#include "server/app/quota_purse.h"
#include "server/ports/quota_json.h"

namespace licet::app {
namespace {

using metering::QuotaKind;
using metering::QuotaMetric;
using nlohmann::json;

std::uint64_t remaining(const metering::QuotaShare& share) noexcept { return share.limit() - std::min(share.limit(), share.used_by_all()); }

int percent_of(const metering::QuotaShare& share) noexcept {
    return share.limit() == 0 ? 100 : static_cast<int>(share.used_by_all() * 100 / share.limit());
}

json state_of(const ports::Quota& quota, const metering::QuotaSpan& span, const metering::QuotaShare& share) {
    json out{{"metric", ports::name_of(quota.metric)},
             {"period", ports::name_of(quota.period)},
             {"kind", ports::name_of(quota.kind)},
             {"limit", quota.limit},
             {"resets", format_rfc3339(span.until)}};
    if (share.known())
        out.update(json{{"used", share.used_by_all()}, {"remaining", remaining(share)}, {"percent", percent_of(share)}});
    else
        out["unknown"] = true;
    return out;
}

// The policy's name within the contract, as a structured field's string.
std::string policy_name(const ports::Quota& quota) {
    std::string out = "\"";
    out += ports::name_of(quota.metric);
    out += "-";
    out += ports::name_of(quota.period);
    return out + (quota.kind == QuotaKind::soft ? "-soft\"" : "\"");
}

const char* unit(QuotaMetric metric) { return metric == QuotaMetric::events ? ";qu=\"events\"" : ";qu=\"content-bytes\""; }

std::int64_t seconds_until(UtcMillis until, UtcMillis now) { return std::max<std::int64_t>(0, (until.value - now.value + 999) / 1000); }

}  // namespace

json QuotaPurse::state(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return index < balances_.size() ? state_of(balances_[index].quota, balances_[index].span, balances_[index].share) : json();
}

json QuotaPurse::states() const {
    const std::lock_guard lock(mutex_);
    json out = json::array();
    for (const auto& b : balances_) out.push_back(state_of(b.quota, b.span, b.share));
    return out;
}

std::string QuotaPurse::headers(UtcMillis now) const {
    const std::lock_guard lock(mutex_);
    std::string policies, states;
    const auto add = [](std::string& list, const std::string& one) { list += (list.empty() ? "" : ", ") + one; };
    for (const auto& b : balances_) {
        const auto name = policy_name(b.quota);
        add(policies, name + ";q=" + std::to_string(b.quota.limit) + unit(b.quota.metric) +
                          ";w=" + std::to_string((b.span.until.value - b.span.from.value) / 1000));
        if (b.share.known())
            add(states, name + ";r=" + std::to_string(remaining(b.share)) + ";t=" + std::to_string(seconds_until(b.span.until, now)));
    }
    for (std::size_t m = 0; m < rates_.size(); ++m) {
        if (rates_[m].per_second == 0) continue;
        const auto metric = static_cast<QuotaMetric>(m);
        add(policies, "\"" + std::string(ports::name_of(metric)) + "-second\";q=" + std::to_string(rates_[m].per_second) + unit(metric) + ";w=1");
    }
    std::string out;
    if (!policies.empty()) out += "RateLimit-Policy: " + policies + "\r\n";
    if (!states.empty()) out += "RateLimit: " + states + "\r\n";
    return out;
}

std::int64_t QuotaPurse::retry_after_s(UtcMillis now) const {
    const std::lock_guard lock(mutex_);
    std::int64_t out = 1;
    for (const auto& b : balances_)
        if (b.quota.kind == QuotaKind::hard && b.share.exhausted(1)) out = std::max(out, seconds_until(b.span.until, now));
    return out;
}

std::vector<QuotaPurse::Passed> QuotaPurse::passed() {
    const std::lock_guard lock(mutex_);
    std::vector<Passed> out;
    for (auto& b : balances_) {
        if (!b.share.known()) continue;
        for (const auto& [bit, percent] : {std::pair{1, 80}, std::pair{2, 100}}) {
            if ((b.told & bit) != 0 || percent_of(b.share) < percent) continue;
            b.told = static_cast<std::uint8_t>(b.told | bit);
            out.push_back({b.quota, b.span, percent, state_of(b.quota, b.span, b.share)});
        }
    }
    return out;
}

}  // namespace licet::app
