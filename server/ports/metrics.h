// Metrics as the server uses them; implemented over prometheus-cpp in server/prometheus. Handles live as long as the registry. Thread-safe, wait-free
// adds.
#pragma once

#include <map>
#include <string>

namespace licet::ports {

class Counter {
  public:
    virtual ~Counter() = default;
    virtual void add(double value = 1) noexcept = 0;
};
class Gauge {
  public:
    virtual ~Gauge() = default;
    virtual void set(double value) noexcept = 0;
    virtual void add(double value) noexcept = 0;
};
class Metrics {
  public:
    using Labels = std::map<std::string, std::string>;
    virtual ~Metrics() = default;
    // Names follow Prometheus practice: licet_<what>_<unit>[_total]. Same name and labels: same handle.
    [[nodiscard]] virtual Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {}) = 0;
    [[nodiscard]] virtual Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {}) = 0;
    [[nodiscard]] virtual std::string text() const = 0;  // Prometheus text exposition format 0.0.4
};

}  // namespace licet::ports
