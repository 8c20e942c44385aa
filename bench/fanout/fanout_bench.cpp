// Fan-out of governed, metered events to 1,000 WebSocket subscribers beside the floor of the machine, plain and with TLS, beside the same node
// governing nothing, and beside other servers, in the same run. README.md says what is inside and what is not. Ends with one JSON line.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "bench/support/contender.h"
#include "bench/support/machine.h"
#include "bench/support/options.h"
#include "bench/support/report.h"

namespace {

using namespace licet::bench;

constexpr std::uint32_t kViews = 100;

struct Options {
    std::uint64_t rounds = 7, contracts = kSubscribers, batch = 256, window = 4, publishers = 4, events = 8192;
    std::uint64_t shreddable = 0, tls = 1, governance = 1, peers = 1;
};

nlohmann::json json_of(const Series& s) {
    return {
        {"deliveries_per_s", std::round(median(s.rate))}, {"spread", rounded(spread(s.rate), 2)}, {"cpu_ns_per_delivery", rounded(median(s.cpu_ns))}};
}

struct Ratio {
    double wall = 0, cpu = 0, lower = 0;
    nlohmann::json json;
};

// Of neighbouring rounds: what disturbs the machine disturbs both. The lower one counts: rates suffer from whatever else runs, on either side;
// processor time does not see a server that waits.
Ratio ratio(const Series& mine, const Series& other) {
    std::vector<double> walls, cpus;
    for (std::size_t i = 0; i < mine.rate.size(); ++i) {
        walls.push_back(mine.rate[i] / other.rate[i]);
        cpus.push_back(other.cpu_ns[i] / mine.cpu_ns[i]);
    }
    Ratio out{median(walls), median(cpus), 0, {}};
    out.lower = std::min(out.wall, out.cpu);
    out.json = {{"ratio", rounded(out.lower)},
                {"ratio_wall", rounded(out.wall)},
                {"ratio_wall_spread", rounded(spread(walls), 2)},
                {"ratio_cpu", rounded(out.cpu)},
                {"ratio_cpu_spread", rounded(spread(cpus), 2)}};
    return out;
}

class Bench {
  public:
    explicit Bench(const Options& options) : options_(options), cores_(two_cores()) {
        allow_descriptors(14 * kSubscribers);
        crowd_ = std::make_unique<Crowd>(cores_.client, secret_);
        certificate_ = make_certificate(scratch_.path());
        if (options.peers != 0)  // before there are threads
            programs_ =
                start_peers({Service::relay, Service::nats, Service::redis, Service::nchan, Service::ws, Service::centrifugo, Service::mercure},
                            scratch_.path(), cores_.server);
        pin_to(cores_.server);
        NodeRounds rounds{static_cast<std::uint32_t>(options.publishers), window(), options.events, false};
        governed_ = node("governed", Governance::one_view, options.contracts, rounds);
        floor_ = std::make_unique<FloorContender>(*crowd_, next_target_++, "floor", *governed_, Certificate{});
        order_ = {governed_.get(), floor_.get()};
        if (options.governance != 0) {
            ungoverned_ = node("ungoverned", Governance::none, 1, rounds);
            apart_ = node("100 views", Governance::view_per_contract, kViews, rounds);
            order_.insert(order_.end(), {ungoverned_.get(), apart_.get()});
        }
        if (options.tls != 0) {
            rounds.tls = true;
            rounds.events = std::max<std::uint64_t>(options.events / 2, options.batch);
            tls_ = node("governed, TLS", Governance::one_view, options.contracts, rounds);
            tls_floor_ = std::make_unique<FloorContender>(*crowd_, next_target_++, "TLS floor", *tls_, certificate_);
            order_.insert(order_.end(), {tls_.get(), tls_floor_.get()});
        }
        for (RunningPeer& p : programs_) {
            peers_.push_back(std::make_unique<PeerContender>(*crowd_, next_target_++, std::move(p)));
            order_.push_back(peers_.back().get());
        }
    }

    nlohmann::json measure(std::size_t message_bytes) {
        for (Contender* c : order_) c->prepare(message_bytes);
        for (std::uint64_t round = 0; round <= options_.rounds; ++round) {
            std::printf("%4zu B round %2llu, M/s:", message_bytes, static_cast<unsigned long long>(round));
            for (Contender* c : order_) {
                c->play();
                std::printf(" %s %.3f;", c->name().c_str(), c->last_rate() / 1e6);
                std::fflush(stdout);
                if (round == 0) c->forget();  // warms up
            }
            std::printf("\n");
        }
        const auto out = summary();
        for (Contender* c : order_) c->forget();
        return out;
    }

    bool metered() {
        bool out = true;
        for (auto* n : {governed_.get(), ungoverned_.get(), apart_.get(), tls_.get()})
            if (n != nullptr) out = n->metered() && out;
        return out;
    }

  private:
    [[nodiscard]] Window window() const { return {static_cast<std::uint32_t>(options_.batch), static_cast<std::uint32_t>(options_.window)}; }

    std::unique_ptr<NodeContender> node(const std::string& name, Governance governance, std::uint64_t contracts, const NodeRounds& rounds) {
        NodeOptions o;
        o.directory = scratch_.path() + "/" + std::to_string(next_target_);
        std::filesystem::create_directories(o.directory);
        o.secret = secret_;
        o.contracts = static_cast<unsigned>(contracts);
        o.shreddable = options_.shreddable != 0;
        o.governance = governance;
        if (rounds.tls) o.certificate = certificate_;
        return std::make_unique<NodeContender>(*crowd_, next_target_++, name, o, rounds);
    }

    nlohmann::json summary() const {
        const Series& governed = governed_->series();
        const Ratio to_floor = ratio(governed, floor_->series());
        nlohmann::json out{{"floor_ratio", rounded(to_floor.lower)},
                           {"floor_ratio_wall", rounded(to_floor.wall)},
                           {"floor_ratio_wall_spread", to_floor.json["ratio_wall_spread"]},
                           {"floor_ratio_cpu", rounded(to_floor.cpu)},
                           {"floor_ratio_cpu_spread", to_floor.json["ratio_cpu_spread"]},
                           {"deliveries_per_s", std::round(median(governed.rate))},
                           {"floor_per_s", std::round(median(floor_->series().rate))},
                           {"cpu_ns_per_delivery", rounded(median(governed.cpu_ns))},
                           {"floor_cpu_ns_per_delivery", rounded(median(floor_->series().cpu_ns))}};
        const auto put = [&](const char* name, const NodeContender* mine, const Contender* other) {
            out[name] = mine == nullptr ? nlohmann::json() : ratio(mine->series(), other->series()).json;
        };
        put("tls_floor", tls_.get(), tls_floor_.get());
        put("governance_1_view", ungoverned_ ? governed_.get() : nullptr, ungoverned_.get());
        put("governance_100_views", apart_.get(), ungoverned_.get());
        for (const Contender* c : order_) out["all"][c->name()] = json_of(c->series());
        for (const auto& p : peers_) {
            const auto r = ratio(governed, p->series());
            out["peers"][p->name()] = {{"ratio", rounded(r.wall)},
                                       {"ratio_spread", r.json["ratio_wall_spread"]},
                                       {"batch_events", p->window().batch},
                                       {"window_batches", p->window().batches}};
        }
        return out;
    }

    const Options options_;
    const Cores cores_;
    const std::string secret_ = "secret of a benchmark's clients";
    ScratchDirectory scratch_;
    Certificate certificate_;
    std::unique_ptr<Crowd> crowd_;
    std::vector<RunningPeer> programs_;
    std::uint32_t next_target_ = 0;
    std::unique_ptr<NodeContender> governed_, ungoverned_, apart_, tls_;
    std::unique_ptr<FloorContender> floor_, tls_floor_;
    std::vector<std::unique_ptr<PeerContender>> peers_;
    std::vector<Contender*> order_;
};

// The lower of both sizes; null where either is missing.
nlohmann::json lower(const nlohmann::json& small, const nlohmann::json& large, const char* pointer) {
    const auto one = member(small, pointer), other = member(large, pointer);
    return one.is_null() || other.is_null() ? nlohmann::json() : std::min(one, other);
}

}  // namespace

int main(int count, char** arguments) {
    Options o;
    read_options(count, arguments,
                 {{"--rounds", &o.rounds},
                  {"--contracts", &o.contracts},
                  {"--batch", &o.batch},
                  {"--window", &o.window},
                  {"--publishers", &o.publishers},
                  {"--events", &o.events},
                  {"--shreddable", &o.shreddable},
                  {"--tls", &o.tls},
                  {"--governance", &o.governance},
                  {"--peers", &o.peers}});
    if (o.batch % kConsentedOf != 0) die("--batch expects a multiple of 8");
    nlohmann::json line;
    {
        Bench bench(o);
        const auto small = bench.measure(256), large = bench.measure(1024);
        const bool metered = bench.metered();
        line = {{"floor_ratio", lower(small, large, "/floor_ratio")},
                {"floor_ratio_256", small["floor_ratio"]},
                {"floor_ratio_1024", large["floor_ratio"]},
                {"tls_floor_ratio", lower(small, large, "/tls_floor/ratio")},
                {"relay_ratio", lower(small, large, "/peers/relay/ratio")},
                {"nats_ratio", lower(small, large, "/peers/nats/ratio")},
                {"nchan_ratio", lower(small, large, "/peers/nchan/ratio")},
                {"ws_ratio", lower(small, large, "/peers/ws/ratio")},
                {"centrifugo_ratio", lower(small, large, "/peers/centrifugo/ratio")},
                {"mercure_ratio", lower(small, large, "/peers/mercure/ratio")},
                {"redis_pubsub_ratio", lower(small, large, "/peers/redis/ratio")},
                {"governance_ratio_1_view", lower(small, large, "/governance_1_view/ratio")},
                {"governance_ratio_100_views", lower(small, large, "/governance_100_views/ratio")},
                {"subscribers", kSubscribers},
                {"contracts", o.contracts},
                {"events_per_s_core", std::round(1e9 / small["cpu_ns_per_delivery"].get<double>())},
                {"shreddable", o.shreddable != 0},
                {"metered", metered},
                {"inside",
                 "edge HTTP and tokens, ingest, RocksDB log with fsync, policy, consent, redaction, cursors, tapes, fsynced usage journal, flusher"},
                {"outside", "TLS of the publishers, PostgreSQL (ledger and catalog in memory), Redis, control plane"},
                {"rounds", o.rounds},
                {"batch_events", o.batch},
                {"window_batches", o.window},
                {"256", small},
                {"1024", large}};
    }
    report("fanout", line);
    return line["metered"].get<bool>() ? 0 : 1;
}
