#include "bench/policy/scale.h"

#include <malloc.h>
#include <ctime>

#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr std::size_t kWarmSamples = 200'000, kRoundEvents = 50'000, kColdSamplesMin = 400;
constexpr int kRounds = 5;
constexpr std::int64_t kColdBudgetNs = 2'000'000'000;

double heap_bytes() {
    const struct mallinfo2 info = ::mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
}
double thread_cpu_s() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}
double percentile(std::vector<std::uint32_t>& samples, double q) {
    const auto at = samples.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(samples.size() - 1));
    std::nth_element(samples.begin(), at, samples.end());
    return *at;
}
std::vector<std::string> texts_of(const std::vector<nlohmann::json>& documents) {
    std::vector<std::string> out;
    out.reserve(documents.size());
    for (const auto& d : documents) out.push_back(d.dump());
    return out;
}

class Views {
  public:
    Views(const Scenario& scenario, std::vector<std::shared_ptr<const policy::Program>> programs)
        : scenario_(scenario), programs_(std::move(programs)) {
        out_.reserve(4 * Scenario::kDataBytes);
        reset();
    }
    void reset() {
        deciders_.clear();
        for (const auto& p : programs_) deciders_.push_back(policy::make_decider(p, scenario_.consents, *scenario_.pseudonymiser));
    }
    // The whole of what a view does with an event before it is framed.
    void step(std::size_t view, std::size_t event) {
        out_.clear();
        policy::Decider& decider = *deciders_[view];
        const auto& e = scenario_.events[event];
        const policy::Decision decision = decider.decide(e, kNow);
        if (!decision.deliver || !decider.redact(e, decision, out_)) die("withheld: " + std::string(policy::reason_name(decision.reason)));
    }
    // Every view sees each kind of event for the first time.
    void first_of_each(std::vector<std::uint32_t>& samples) {
        for (std::size_t view = 0; view < deciders_.size(); ++view)
            for (std::size_t event = 0; event < std::size(Scenario::kCountries); ++event) timed(view, event, samples);
    }
    void timed(std::size_t view, std::size_t event, std::vector<std::uint32_t>& samples) {
        const std::int64_t start = now_ns();
        step(view, event);
        samples.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(now_ns() - start, UINT32_MAX)));
    }
    [[nodiscard]] std::size_t size() const { return deciders_.size(); }

  private:
    static constexpr UtcMillis kNow{1'790'000'000'000};
    const Scenario& scenario_;
    std::vector<std::shared_ptr<const policy::Program>> programs_;
    std::vector<std::unique_ptr<policy::Decider>> deciders_;
    std::string out_;
};

// Views and events in an order that repeats neither soon.
struct Order {
    std::uint64_t state = 1;
    std::size_t event() { return static_cast<std::size_t>(next() % Scenario::kEvents); }
    std::size_t view(std::size_t views) { return static_cast<std::size_t>(next() % views); }
    std::uint64_t next() {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return state >> 33;
    }
};

}  // namespace

double clock_ns() {
    double best = 1e18;
    for (int round = 0; round < kRounds; ++round) {
        const std::int64_t start = now_ns();
        std::int64_t last = start;
        for (int i = 0; i < 10'000; ++i) last = now_ns();
        best = std::min(best, static_cast<double>(last - start) / 10'000);
    }
    return best;
}

Scale measure_scale(const Scenario& scenario, std::size_t policies, std::size_t entitlements) {
    Scale out{policies, entitlements};
    const auto texts = texts_of(Scenario::documents(policies, entitlements));
    const double before = heap_bytes();
    const auto versions = scenario.read(texts);
    const double read = heap_bytes();
    std::vector<std::shared_ptr<const policy::Program>> programs;
    for (std::size_t i = 0; i < entitlements; ++i) programs.push_back(scenario.compile(Scenario::entitlement(i), versions));
    Views views(scenario, std::move(programs));

    std::vector<std::uint32_t> samples;
    views.first_of_each(samples);
    out.policy_bytes = read - before;
    out.program_bytes = heap_bytes() - read - static_cast<double>(samples.capacity() * sizeof samples[0]);
    for (const std::int64_t start = now_ns(); samples.size() < kColdSamplesMin && now_ns() - start < kColdBudgetNs;) {
        views.reset();
        views.first_of_each(samples);
    }
    out.cold_p50_ns = percentile(samples, 0.5);
    out.cold_p99_ns = percentile(samples, 0.99);

    samples.clear();
    samples.reserve(kWarmSamples);
    Order order;
    for (std::size_t i = 0; i < kWarmSamples; ++i) {
        const std::size_t view = order.view(views.size());
        views.timed(view, order.event(), samples);
    }
    out.warm_p50_ns = percentile(samples, 0.5);
    out.warm_p99_ns = percentile(samples, 0.99);
    double best = 1e18;
    for (int round = 0; round < kRounds; ++round) {
        const double start = thread_cpu_s();
        for (std::size_t i = 0; i < kRoundEvents; ++i) {
            const std::size_t view = order.view(views.size());
            views.step(view, order.event());
        }
        best = std::min(best, thread_cpu_s() - start);
    }
    out.decisions_per_s = static_cast<double>(kRoundEvents) / best;
    return out;
}

nlohmann::json to_json(const Scale& s) {
    return {{"policies", s.policies},
            {"entitlements", s.entitlements},
            {"p50_ns", s.warm_p50_ns},
            {"p99_ns", s.warm_p99_ns},
            {"decisions_per_s", rounded(s.decisions_per_s)},
            {"cold_p50_ns", s.cold_p50_ns},
            {"cold_p99_ns", s.cold_p99_ns},
            {"policy_bytes", s.policy_bytes},
            {"program_bytes", s.program_bytes}};
}

CompileTime measure_compile(const Scenario& scenario, std::size_t policies) {
    const auto texts = texts_of(Scenario::documents(policies, 1));
    CompileTime best{1e18, 1e18};
    for (int round = 0; round < 3; ++round) {
        const double start = thread_cpu_s();
        const auto versions = scenario.read(texts);
        const double read = thread_cpu_s();
        if (scenario.compile(Scenario::entitlement(0), versions)->rules().size() != policies) die("not every policy bears on the entitlement");
        const double done = thread_cpu_s();
        if (done - start < best.read_s + best.compile_s) best = {read - start, done - read};
    }
    return best;
}

}  // namespace licet::bench
