// Quotas and rate limits of a contract: a part of its document. Read by server/app and delivery; JSON in server/ports/quota_json.h.
#pragma once

#include <cstdint>
#include <vector>

#include "metering/quota_terms.h"

namespace licet::ports {

struct Quota {
    metering::QuotaMetric metric{};
    metering::QuotaPeriod period{};
    metering::QuotaKind kind{};
    std::uint64_t limit = 0;
    bool operator==(const Quota&) const = default;
};

struct QuotaTerms {
    std::vector<Quota> quotas;                                  // no two of one metric, period and kind
    std::uint64_t events_per_second = 0, bytes_per_second = 0;  // 0: any
    // Whether a node has to count before it writes.
    [[nodiscard]] bool limits() const noexcept { return !quotas.empty() || events_per_second != 0 || bytes_per_second != 0; }
    bool operator==(const QuotaTerms&) const = default;
};

}  // namespace licet::ports
