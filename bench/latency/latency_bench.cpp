// How long an event takes to the last of 1,000 subscribers while events keep coming: at half of what the node can do, and beside other servers at
// half of what each of them can, and at the same rate. README.md says from when to when. Ends with one JSON line.
#include <cstdio>
#include <memory>

#include "bench/support/contender.h"
#include "bench/support/machine.h"
#include "bench/support/options.h"
#include "bench/support/report.h"

namespace {

using namespace licet::bench;

struct Options {
    std::uint64_t rounds = 5, contracts = kSubscribers, bytes = 256, milliseconds = 1500, percent = 50, peers = 1;
};

// Microseconds over the rounds, each the percentile of its round.
struct Times {
    std::vector<double> p50, p99, max, accepted_p50, accepted_p99, due_p50, due_p99, rate;

    void add(const Sample* samples, std::uint64_t count, double events_per_s) {
        std::vector<double> written, accepted, due;
        for (std::uint64_t i = 0; i < count; ++i) {
            const Sample& s = samples[i];
            written.push_back(static_cast<double>(s.read - s.written) / 1e3);
            accepted.push_back(static_cast<double>(s.read - s.answered) / 1e3);
            due.push_back(static_cast<double>(s.read - s.due) / 1e3);
        }
        const auto both = [](std::vector<double>& from, std::vector<double>& half, std::vector<double>& nearly) {
            std::sort(from.begin(), from.end());
            half.push_back(from[from.size() / 2]);
            nearly.push_back(from[from.size() * 99 / 100]);
        };
        both(written, p50, p99);
        both(accepted, accepted_p50, accepted_p99);
        both(due, due_p50, due_p99);
        max.push_back(written.back());
        rate.push_back(events_per_s);
    }
    [[nodiscard]] nlohmann::json json() const {
        if (p50.empty()) return nullptr;
        return {{"p50_us", rounded(median(p50))},
                {"p50_spread", rounded(spread(p50), 2)},
                {"p99_us", rounded(median(p99))},
                {"p99_spread", rounded(spread(p99), 2)},
                {"max_us", rounded(median(max))},
                {"accepted_p50_us", rounded(median(accepted_p50))},
                {"accepted_p99_us", rounded(median(accepted_p99))},
                {"due_p50_us", rounded(median(due_p50))},
                {"due_p99_us", rounded(median(due_p99))},
                {"events_per_s", std::round(median(rate))}};
    }
};

class Bench {
  public:
    explicit Bench(const Options& options) : options_(options), cores_(two_cores()) {
        allow_descriptors(8 * kSubscribers);
        const std::string secret = "secret of a benchmark's clients";
        crowd_ = std::make_unique<Crowd>(cores_.client, secret);
        if (options.peers != 0)
            running_ =
                start_peers({Service::relay, Service::nats, Service::redis, Service::centrifugo, Service::mercure}, scratch_.path(), cores_.server);
        pin_to(cores_.server);
        NodeOptions o;
        o.directory = scratch_.path();
        o.secret = secret;
        o.contracts = static_cast<unsigned>(options.contracts);
        contenders_.push_back(std::make_unique<NodeContender>(*crowd_, 0, "governed", o, NodeRounds{}));
        for (RunningPeer& p : running_)
            contenders_.push_back(std::make_unique<PeerContender>(*crowd_, static_cast<std::uint32_t>(contenders_.size()), std::move(p)));
    }

    nlohmann::json measure() {
        const std::size_t n = contenders_.size();
        std::vector<double> most(n);
        for (const auto& c : contenders_) c->prepare(options_.bytes);
        for (int round = 0; round < 4; ++round)
            for (const auto& c : contenders_) {
                c->play();
                if (round == 0) c->forget();
            }
        for (std::size_t i = 0; i < n; ++i) {
            most[i] = median(contenders_[i]->series().rate) / kSubscribers;
            std::printf("%s: at most %.0f events/s\n", contenders_[i]->name().c_str(), most[i]);
        }
        const double share = static_cast<double>(options_.percent) / 100, seconds = static_cast<double>(options_.milliseconds) / 1e3;
        // At its own share of its maximum; the node at that rate; the peer at the node's own rate, if it can.
        std::vector<Times> own(n), node_at(n), at_node(n);
        for (std::uint64_t round = 0; round < options_.rounds; ++round) {
            for (std::size_t i = 0; i < n; ++i) {
                pace(i, most[i] * share, seconds, own[i]);
                if (i == 0) continue;
                if (most[i] * share < most[0] * 0.9) pace(0, most[i] * share, seconds, node_at[i]);
                if (most[0] * share < most[i] * 0.9) pace(i, most[0] * share, seconds, at_node[i]);
            }
        }
        nlohmann::json out = own[0].json();
        out["max_events_per_s"] = std::round(most[0]);
        for (std::size_t i = 1; i < n; ++i)
            out["peers"][contenders_[i]->name()] = {{"max_events_per_s", std::round(most[i])},
                                                    {"own_rate", own[i].json()},
                                                    {"node_at_its_rate", node_at[i].json()},
                                                    {"at_nodes_rate", at_node[i].json()}};
        return out;
    }

  private:
    void pace(std::size_t i, double rate, double seconds, Times& times) {
        const Outcome out = contenders_[i]->pace(rate, seconds, 64);
        times.add(crowd_->samples(), out.samples, rate);
        std::printf("%s at %.0f events/s: p50 %.0f us, p99 %.0f us, crowd busy %.0f %%\n", contenders_[i]->name().c_str(), rate, times.p50.back(),
                    times.p99.back(), 100 * out.cpu_seconds / (static_cast<double>(out.ns) / 1e9));
        std::fflush(stdout);
    }

    const Options options_;
    const Cores cores_;
    ScratchDirectory scratch_;
    std::unique_ptr<Crowd> crowd_;
    std::vector<RunningPeer> running_;
    std::vector<std::unique_ptr<Contender>> contenders_;  // the node first
};

}  // namespace

int main(int count, char** arguments) {
    Options o;
    read_options(count, arguments,
                 {{"--rounds", &o.rounds},
                  {"--contracts", &o.contracts},
                  {"--bytes", &o.bytes},
                  {"--milliseconds", &o.milliseconds},
                  {"--percent", &o.percent},
                  {"--peers", &o.peers}});
    nlohmann::json line;
    {
        Bench bench(o);
        const auto all = bench.measure();
        line = {{"p50_us", all["p50_us"]},
                {"p99_us", all["p99_us"]},
                {"accepted_p50_us", all["accepted_p50_us"]},
                {"accepted_p99_us", all["accepted_p99_us"]},
                {"nats_p50_us", member(all, "/peers/nats/own_rate/p50_us")},
                {"nats_p99_us", member(all, "/peers/nats/own_rate/p99_us")},
                {"p50_us_at_nats_rate", member(all, "/peers/nats/node_at_its_rate/p50_us")},
                {"p99_us_at_nats_rate", member(all, "/peers/nats/node_at_its_rate/p99_us")},
                {"centrifugo_p50_us", member(all, "/peers/centrifugo/own_rate/p50_us")},
                {"centrifugo_p99_us", member(all, "/peers/centrifugo/own_rate/p99_us")},
                {"p50_us_at_centrifugo_rate", member(all, "/peers/centrifugo/node_at_its_rate/p50_us")},
                {"p99_us_at_centrifugo_rate", member(all, "/peers/centrifugo/node_at_its_rate/p99_us")},
                {"mercure_p50_us", member(all, "/peers/mercure/own_rate/p50_us")},
                {"mercure_p99_us", member(all, "/peers/mercure/own_rate/p99_us")},
                {"p50_us_at_mercure_rate", member(all, "/peers/mercure/node_at_its_rate/p50_us")},
                {"p99_us_at_mercure_rate", member(all, "/peers/mercure/node_at_its_rate/p99_us")},
                {"relay_p50_us", member(all, "/peers/relay/at_nodes_rate/p50_us")},
                {"relay_p99_us", member(all, "/peers/relay/at_nodes_rate/p99_us")},
                {"subscribers", kSubscribers},
                {"message_bytes", o.bytes},
                {"percent_of_maximum", o.percent},
                {"rounds", o.rounds},
                {"all", all}};
    }
    report("latency", line);
    return 0;
}
