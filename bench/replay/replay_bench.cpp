// Replay of the log from its beginning, decided under today's governance, to one and to many subscribers at once, beside the floor that sends the
// same bytes from memory; and what it does to those who read live. README.md says what is counted. Ends with one JSON line.
#include <cstdio>
#include <memory>

#include "bench/support/contender.h"
#include "bench/support/machine.h"
#include "bench/support/options.h"
#include "bench/support/report.h"

namespace {

using namespace licet::bench;

constexpr std::uint32_t kLive = 100;
constexpr std::size_t kFillMax = 49'152;  // events of a filling round: what subscriber 0 keeps of it is bounded

struct Options {
    std::uint64_t rounds = 3, events = 1'000'000, replayers = 100, contracts = 100, bytes = 256, rate = 500, seconds = 5;
};

struct Percentiles {
    double p50 = 0, p99 = 0;
};
Percentiles live_latency(const Sample* samples, std::uint64_t count) {
    std::vector<double> all;
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(static_cast<double>(samples[i].read - samples[i].written) / 1e3);
    std::sort(all.begin(), all.end());
    return {all[all.size() / 2], all[all.size() * 99 / 100]};
}

struct Replays {
    std::vector<double> per_core_s, per_s;
    [[nodiscard]] nlohmann::json json() const {
        return {{"events_per_s_core", std::round(median(per_core_s))},
                {"events_per_s_core_spread", rounded(spread(per_core_s), 2)},
                {"events_per_s", std::round(median(per_s))}};
    }
};

class Bench {
  public:
    explicit Bench(const Options& options) : options_(options), cores_(two_cores()) {
        allow_descriptors(8 * kSubscribers);
        const std::string secret = "secret of a benchmark's clients";
        crowd_ = std::make_unique<Crowd>(cores_.client, secret);
        pin_to(cores_.server);
        NodeOptions o;
        o.directory = scratch_.path();
        o.secret = secret;
        o.contracts = static_cast<unsigned>(options.contracts);
        NodeRounds rounds;
        rounds.window = {1024, 4};
        rounds.events = std::min<std::uint64_t>(options.events, kFillMax);
        rounds.subscribers = kLive;
        node_ = std::make_unique<NodeContender>(*crowd_, 0, "governed", o, rounds);
        node_->prepare(options.bytes);
        for (std::uint64_t published = 0; published < options.events; published += rounds.events) node_->play();
        events_ = node_->delivered_events();
        bytes_ = node_->frames_bytes();
        fill_ = node_->last_bytes();
        std::printf("%llu events, %llu of them delivered (%.0f MB of frames)\n", static_cast<unsigned long long>(options.events),
                    static_cast<unsigned long long>(events_), static_cast<double>(bytes_) / 1e6);
    }

    nlohmann::json measure() {
        const auto many = static_cast<std::uint32_t>(options_.replayers);
        Replays one, all, floor;
        std::vector<double> quiet50, quiet99, busy50, busy99, busy_rate;
        const auto rate = static_cast<double>(options_.rate);
        for (std::uint64_t round = 0; round < options_.rounds; ++round) {
            replay(1, one);
            replay(many, all);
            send_raw(floor);
            const Outcome alone = node_->pace(rate, static_cast<double>(options_.seconds), 64);
            const auto quiet = live_latency(crowd_->samples(), alone.samples);
            quiet50.push_back(quiet.p50);
            quiet99.push_back(quiet.p99);
            const Outcome beside = node_->replay(many, bytes_, rate, static_cast<double>(options_.seconds));
            const auto busy = live_latency(crowd_->samples(), beside.samples);
            busy50.push_back(busy.p50);
            busy99.push_back(busy.p99);
            busy_rate.push_back(static_cast<double>(events_ * many) / (static_cast<double>(beside.replay_ns) / 1e9));
            std::printf(
                "round %llu: %.2f M/s of a core to one, %.2f to %u, floor %.2f; live p50 %.0f us, while replaying %.0f us; p99 %.0f, %.0f us\n",
                static_cast<unsigned long long>(round + 1), one.per_core_s.back() / 1e6, all.per_core_s.back() / 1e6, many,
                floor.per_core_s.back() / 1e6, quiet.p50, busy.p50, quiet.p99, busy.p99);
            std::fflush(stdout);
        }
        return {{"one", one.json()},
                {"many", all.json()},
                {"floor", floor.json()},
                {"live",
                 {{"events_per_s", options_.rate},
                  {"subscribers", kLive},
                  {"p50_us", rounded(median(quiet50))},
                  {"p99_us", rounded(median(quiet99))},
                  {"p50_us_replaying", rounded(median(busy50))},
                  {"p99_us_replaying", rounded(median(busy99))},
                  {"replayed_per_s", std::round(median(busy_rate))}}}};
    }

  private:
    void replay(std::uint32_t replayers, Replays& into) {
        const double cpu = process_cpu_seconds();
        const Outcome out = node_->replay(replayers, bytes_, 0, 0);
        const double events = static_cast<double>(events_ * replayers);
        into.per_core_s.push_back(events / (process_cpu_seconds() - cpu));
        into.per_s.push_back(events / (static_cast<double>(out.replay_ns) / 1e9));
    }

    // What the last filling round brought, to as many sockets, from memory.
    void send_raw(Replays& into) {
        if (!floor_) {
            floor_ = std::make_unique<Floor>();
            Order connect;
            connect.kind = Order::Kind::connect;
            connect.target = 1;
            connect.service = Service::floor;
            connect.port = floor_->port();
            connect.subscribers = static_cast<std::uint32_t>(options_.replayers);
            crowd_->tell(connect);
            floor_->accept_all(static_cast<int>(options_.replayers));
            (void)crowd_->wait();
        }
        Order order;
        order.kind = Order::Kind::play;
        order.target = 1;
        order.batches = order.window = 1;
        order.batch_bytes = fill_.size();
        crowd_->tell(order);
        const double used = floor_->send_to_all(fill_, fill_.size(), 1, crowd_->progress(), [this] { return crowd_->batches_read(); });
        const Outcome out = crowd_->wait();
        const double events = static_cast<double>(fill_.size()) / static_cast<double>(options_.bytes + 4) * static_cast<double>(options_.replayers);
        into.per_core_s.push_back(events / used);
        into.per_s.push_back(events / (static_cast<double>(out.ns) / 1e9));
    }

    const Options options_;
    const Cores cores_;
    ScratchDirectory scratch_;
    std::unique_ptr<Crowd> crowd_;
    std::unique_ptr<NodeContender> node_;
    std::unique_ptr<Floor> floor_;
    std::string fill_;
    std::uint64_t events_ = 0, bytes_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    Options o;
    read_options(count, arguments,
                 {{"--rounds", &o.rounds},
                  {"--events", &o.events},
                  {"--replayers", &o.replayers},
                  {"--contracts", &o.contracts},
                  {"--bytes", &o.bytes},
                  {"--rate", &o.rate},
                  {"--seconds", &o.seconds}});
    if (o.bytes < 126) die("--bytes expects at least 126");
    nlohmann::json line;
    {
        Bench bench(o);
        const auto all = bench.measure();
        line = {{"events_per_s_core", std::min(all["one"]["events_per_s_core"].get<double>(), all["many"]["events_per_s_core"].get<double>())},
                {"events_per_s_core_1", all["one"]["events_per_s_core"]},
                {"events_per_s_core_many", all["many"]["events_per_s_core"]},
                {"floor_ratio", rounded(all["many"]["events_per_s_core"].get<double>() / all["floor"]["events_per_s_core"].get<double>())},
                {"live_p50_us", all["live"]["p50_us"]},
                {"live_p50_us_replaying", all["live"]["p50_us_replaying"]},
                {"live_p99_us", all["live"]["p99_us"]},
                {"live_p99_us_replaying", all["live"]["p99_us_replaying"]},
                {"events", o.events},
                {"replayers", o.replayers},
                {"message_bytes", o.bytes},
                {"rounds", o.rounds},
                {"all", all}};
    }
    report("replay", line);
    return 0;
}
