#include "server/prometheus/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <unordered_map>

#include "base/guarded.h"

namespace licet::prometheus_metrics {
namespace {

class CounterHandle final : public ports::Counter {
  public:
    explicit CounterHandle(prometheus::Counter& counter) : counter_(counter) {}
    void add(double value) noexcept override { counter_.Increment(value); }

  private:
    prometheus::Counter& counter_;
};

class GaugeHandle final : public ports::Gauge {
  public:
    explicit GaugeHandle(prometheus::Gauge& gauge) : gauge_(gauge) {}
    void set(double value) noexcept override { gauge_.Set(value); }
    void add(double value) noexcept override { gauge_.Increment(value); }

  private:
    prometheus::Gauge& gauge_;
};

class Registry final : public ports::Metrics {
  public:
    ports::Counter& counter(const std::string& name, const std::string& help, const Labels& labels) override {
        return handles_.with([&](Handles& h) -> ports::Counter& {
            auto& metric = prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
            auto& handle = h.counters[&metric];
            if (!handle) handle = std::make_unique<CounterHandle>(metric);
            return *handle;
        });
    }
    ports::Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels) override {
        return handles_.with([&](Handles& h) -> ports::Gauge& {
            auto& metric = prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
            auto& handle = h.gauges[&metric];
            if (!handle) handle = std::make_unique<GaugeHandle>(metric);
            return *handle;
        });
    }
    std::string text() const override { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  private:
    struct Handles {
        std::unordered_map<const void*, std::unique_ptr<CounterHandle>> counters;
        std::unordered_map<const void*, std::unique_ptr<GaugeHandle>> gauges;
    };
    // Merging: the same name registers one family, and the same labels within it one metric.
    prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
    Guarded<Handles> handles_;
};

}  // namespace

std::shared_ptr<ports::Metrics> make_metrics() { return std::make_shared<Registry>(); }

}  // namespace licet::prometheus_metrics
