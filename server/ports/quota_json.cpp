#include "server/ports/quota_json.h"

#include <array>

namespace licet::ports {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kMetrics{"events", "bytes"};
constexpr std::array<std::string_view, 2> kPeriods{"month", "day"};
constexpr std::array<std::string_view, 2> kKinds{"hard", "soft"};

template <class Value>
std::optional<Value> parse(const std::array<std::string_view, 2>& names, std::string_view name) noexcept {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<Value>(i);
    return std::nullopt;
}

std::string text_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at == object.end() || !at->is_string() ? std::string() : at->get<std::string>();
}

std::uint64_t number_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at == object.end() || !at->is_number_integer() || *at < 0 ? 0 : at->get<std::uint64_t>();
}

}  // namespace

std::string_view name_of(metering::QuotaMetric metric) noexcept { return kMetrics[static_cast<std::size_t>(metric)]; }
std::string_view name_of(metering::QuotaPeriod period) noexcept { return kPeriods[static_cast<std::size_t>(period)]; }
std::string_view name_of(metering::QuotaKind kind) noexcept { return kKinds[static_cast<std::size_t>(kind)]; }
std::optional<metering::QuotaMetric> parse_quota_metric(std::string_view name) noexcept { return parse<metering::QuotaMetric>(kMetrics, name); }
std::optional<metering::QuotaPeriod> parse_quota_period(std::string_view name) noexcept { return parse<metering::QuotaPeriod>(kPeriods, name); }
std::optional<metering::QuotaKind> parse_quota_kind(std::string_view name) noexcept { return parse<metering::QuotaKind>(kKinds, name); }

void add_quota_json(const QuotaTerms& terms, json& contract) {
    json quotas = json::array();
    for (const auto& q : terms.quotas)
        quotas.push_back({{"metric", name_of(q.metric)}, {"period", name_of(q.period)}, {"kind", name_of(q.kind)}, {"limit", q.limit}});
    contract["quotas"] = std::move(quotas);
    json rates = json::object();
    if (terms.events_per_second != 0) rates["eventsPerSecond"] = terms.events_per_second;
    if (terms.bytes_per_second != 0) rates["bytesPerSecond"] = terms.bytes_per_second;
    contract["rates"] = rates.empty() ? json() : std::move(rates);
}

QuotaTerms quota_terms_from(const json& contract) {
    QuotaTerms out;
    for (const json& q : contract.value("quotas", json::array())) {
        const auto metric = parse_quota_metric(text_of(q, "metric"));
        const auto period = parse_quota_period(text_of(q, "period"));
        // What this build does not know stops delivery, rather than let it pass.
        const auto kind = parse_quota_kind(text_of(q, "kind")).value_or(metering::QuotaKind::hard);
        out.quotas.push_back({metric.value_or(metering::QuotaMetric::events), period.value_or(metering::QuotaPeriod::month), kind,
                              metric && period ? number_of(q, "limit") : 0});
    }
    if (const auto rates = contract.find("rates"); rates != contract.end() && rates->is_object()) {
        out.events_per_second = number_of(*rates, "eventsPerSecond");
        out.bytes_per_second = number_of(*rates, "bytesPerSecond");
    }
    return out;
}

}  // namespace licet::ports
