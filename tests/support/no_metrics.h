// Metrics that nobody reads: for tests of what has to have some.
#pragma once

#include <string>

#include "server/ports/metrics.h"

namespace licet::testing {

class NoMetrics final : public ports::Metrics {
  public:
    struct Number final : ports::Counter, ports::Gauge {
        void add(double) noexcept override {}
        void set(double) noexcept override {}
    };
    ports::Counter& counter(const std::string&, const std::string&, const Labels&) override { return number; }
    ports::Gauge& gauge(const std::string&, const std::string&, const Labels&) override { return number; }
    std::string text() const override { return {}; }
    Number number;
};

}  // namespace licet::testing
