// Counters of the soak test, and the reports of what is wrong. Used by everything in this folder.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <map>
#include <ostream>
#include <string>

namespace soak {

// Latencies with 16 steps to each doubling: percentiles are exact to 6 %.
class Histogram {
  public:
    void add(std::int64_t us) {
        const auto v = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)) + 16;
        const int top = std::bit_width(v) - 5;
        ++steps_[std::min(steps_.size() - 1, static_cast<std::size_t>(top) * 16 + ((v >> top) & 15))];
        ++count_;
    }
    [[nodiscard]] std::uint64_t at(double p) const {
        auto left = static_cast<std::uint64_t>(p * static_cast<double>(count_));
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            if (left < steps_[i]) return ((i % 16 + 16) << (i / 16)) - 16;
            left -= steps_[i];
        }
        return 0;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    std::array<std::uint64_t, 640> steps_{};
    std::uint64_t count_ = 0;
};

// What must not happen; the first of each kind are told at once.
class Wrong {
  public:
    template <class... Args>
    void report(const char* what, const char* format, Args... args) {
        const auto times = ++counts_[what];
        if (times > 10) return;
        std::fprintf(stderr, "%s: ", what);
        std::fprintf(stderr, format, args...);
        std::fputc('\n', stderr);
    }
    [[nodiscard]] std::uint64_t count(const std::string& what) const {
        const auto it = counts_.find(what);
        return it == counts_.end() ? 0 : it->second;
    }
    [[nodiscard]] std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& [_, n] : counts_) sum += n;
        return sum;
    }

  private:
    std::map<std::string, std::uint64_t> counts_;
};

inline void tell(std::ostream& out, const char* name, const Histogram& of) {
    out << ",\"" << name << "\":{\"count\":" << of.count() << ",\"p50\":" << of.at(0.5) << ",\"p99\":" << of.at(0.99) << ",\"p999\":" << of.at(0.999)
        << "}";
}
template <class Key>
inline void tell(std::ostream& out, const char* name, const std::map<Key, std::uint64_t>& counts) {
    out << ",\"" << name << "\":{";
    bool first = true;
    for (const auto& [key, n] : counts) {
        out << (first ? "\"" : ",\"") << key << "\":" << n;
        first = false;
    }
    out << "}";
}

// For the thread that receives.
struct Stats {
    Wrong wrong;
    Histogram latency_us, kept_up_us;  // of streams left alone for a while; of those always left alone
    std::uint64_t deliveries = 0, bytes = 0, withheld = 0, connections = 0, slow = 0, disconnects = 0, replays = 0, rewinds = 0, acks = 0, pings = 0,
                  compressed = 0, pages = 0;
    std::map<std::string, std::uint64_t> ways;     // of disconnecting
    std::map<int, std::uint64_t> refused, closed;  // by HTTP status, by close code
    bool measuring = false;
};

// For the threads that change and publish.
struct Changes {
    std::atomic<std::uint64_t> policies{0}, withdrawals{0}, givings{0}, suspensions{0}, revocations{0}, tokens{0}, uncertain{0}, refused{0};
};

}  // namespace soak
