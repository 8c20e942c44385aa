// ports::Metrics over a prometheus-cpp registry. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/metrics.h"

namespace licet::prometheus_metrics {

[[nodiscard]] std::shared_ptr<ports::Metrics> make_metrics();

}  // namespace licet::prometheus_metrics
