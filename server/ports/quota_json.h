// The quota members of a contract's JSON, as the API shows and the catalog stores them; and the names of what they are made of.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "server/ports/quota.h"

namespace licet::ports {

[[nodiscard]] std::string_view name_of(metering::QuotaMetric metric) noexcept;
[[nodiscard]] std::string_view name_of(metering::QuotaPeriod period) noexcept;
[[nodiscard]] std::string_view name_of(metering::QuotaKind kind) noexcept;
[[nodiscard]] std::optional<metering::QuotaMetric> parse_quota_metric(std::string_view name) noexcept;
[[nodiscard]] std::optional<metering::QuotaPeriod> parse_quota_period(std::string_view name) noexcept;
[[nodiscard]] std::optional<metering::QuotaKind> parse_quota_kind(std::string_view name) noexcept;

// Writes `quotas` and `rates` into a contract's JSON.
void add_quota_json(const QuotaTerms& terms, nlohmann::json& contract);
// Of a stored, already checked contract.
[[nodiscard]] QuotaTerms quota_terms_from(const nlohmann::json& contract);

}  // namespace licet::ports
