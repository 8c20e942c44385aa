// Fan-out of governed, metered events to 1,000 WebSocket subscribers of one view, against the floor of the machine in the same run. README.md says
// what is inside and what is not. Ends with one JSON line.
#include <cstdio>
#include <cstring>
#include <memory>

#include "bench/fanout/check.h"
#include "bench/fanout/floor.h"
#include "bench/fanout/subscribers.h"
#include "bench/support/feed.h"
#include "bench/support/machine.h"
#include "bench/support/node.h"

namespace {

using namespace licet::bench;

struct Options {
    int rounds = 9;
    std::uint32_t contracts = kSubscribers, batch = 256, window = 4, publishers = 4;
    std::uint64_t events = 8192;  // per round
    bool shreddable = false;
};

Options read_options(int count, char** arguments) {
    Options out;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = arguments[i];
        const auto value = std::strtoul(arguments[i + 1], nullptr, 10);
        if (value == 0) die(name + " expects a number");
        if (name == "--rounds")
            out.rounds = static_cast<int>(value);
        else if (name == "--contracts")
            out.contracts = static_cast<std::uint32_t>(value);
        else if (name == "--batch")
            out.batch = static_cast<std::uint32_t>(value);
        else if (name == "--window")
            out.window = static_cast<std::uint32_t>(value);
        else if (name == "--publishers")
            out.publishers = static_cast<std::uint32_t>(value);
        else if (name == "--events")
            out.events = value;
        else if (name == "--shreddable")
            out.shreddable = true;
        else
            die("bench_fanout [--rounds N] [--contracts N] [--batch EVENTS] [--window BATCHES] [--publishers N] [--events N] [--shreddable 1]");
    }
    if (out.batch % kConsentedOf != 0) die("--batch expects a multiple of 8");
    return out;
}

struct Series {
    std::vector<double> rate, cpu_ns;  // deliveries per second; processor nanoseconds per delivery
};

class Bench {
  public:
    explicit Bench(Options options) : options_(options), cores_(two_cores()) {
        allow_descriptors(4 * kSubscribers + 256);
        char secret[] = "secret of a benchmark's clients";
        subscribers_ = std::make_unique<Subscribers>(cores_.client, secret);
        pin_to(cores_.server);
        node_ = Node::start({scratch_.path(), secret, options_.contracts, options_.shreddable});
        Round connect{Round::Kind::connect_server, node_->port(), options_.contracts};
        connect.publishers = options_.publishers;
        (void)subscribers_->run(connect);
        subscribers_->tell({Round::Kind::connect_floor, floor_.port()});
        floor_.accept_all(kSubscribers);
        (void)subscribers_->wait();
    }

    nlohmann::json measure(std::size_t message_bytes) {
        const std::uint64_t pad = pad_for(message_bytes);
        Round round{Round::Kind::publish_and_read};
        round.batches = static_cast<std::uint32_t>(std::max<std::uint64_t>(options_.events / options_.batch, 1));
        round.batch_events = options_.batch;
        round.window = options_.window;
        round.pad = pad;
        const std::uint64_t delivered_of_batch = options_.batch / kConsentedOf * kConsented;
        round.batch_bytes = frame_bytes_ * delivered_of_batch;
        const double deliveries = static_cast<double>(round.batches * delivered_of_batch) * kSubscribers;

        Series server, floor;
        for (int i = -1; i < options_.rounds; ++i) {  // the first pair warms up
            const double server_rate = serve(round, deliveries, i < 0 ? nullptr : &server);
            const double floor_rate = send_raw(round, deliveries, i < 0 ? nullptr : &floor);
            std::printf("%4zu B round %2d: governed %.2f M/s, floor %.2f M/s, ratio %.3f\n", message_bytes, i + 1, server_rate / 1e6,
                        floor_rate / 1e6, server_rate / floor_rate);
            std::fflush(stdout);
        }
        return summary(server, floor);
    }

    // Every delivered event billed once to its contract: the journal as the flusher brought it into the ledger.
    bool metered() {
        node_->stop();
        const auto billed = node_->billed();
        const std::uint64_t read_by_one_contract = delivered_events_;
        std::printf("billed: %llu contracts, %llu to %llu events each of %llu delivered, %llu journal records\n",
                    static_cast<unsigned long long>(billed.contracts), static_cast<unsigned long long>(billed.least_events),
                    static_cast<unsigned long long>(billed.most_events), static_cast<unsigned long long>(read_by_one_contract),
                    static_cast<unsigned long long>(billed.records));
        return !billed.gap && !billed.overlap && billed.contracts == options_.contracts && billed.least_events == read_by_one_contract &&
               billed.most_events == read_by_one_contract && billed.bytes == delivered_bytes_ * options_.contracts;
    }

  private:
    // One event tells how long its message is; the filling makes it as long as asked.
    std::uint64_t pad_for(std::size_t message_bytes) {
        const std::uint64_t header = message_bytes < 126 ? 2 : 4;
        const auto probe = [&](std::uint64_t pad) {
            Round round{Round::Kind::publish_and_read};
            round.first_event = next_event();
            round.batches = round.batch_events = round.window = 1;
            round.pad = pad;
            const Outcome out = subscribers_->run(round);
            account({subscribers_->capture(), out.bytes}, out.frame_bytes, round.first_event, 1, 1);
            return out.frame_bytes - (out.frame_bytes < 2 + 126 ? 2 : 4);
        };
        const std::uint64_t without = probe(0);
        if (without > message_bytes) die("an event of " + std::to_string(without) + " B does not fit into " + std::to_string(message_bytes) + " B");
        const std::uint64_t pad = message_bytes - without;
        if (probe(pad) != message_bytes) die("the messages have another size than asked");
        frame_bytes_ = message_bytes + header;
        return pad;
    }

    // Numbers go on over all rounds; a round starts at a subject with consent.
    std::uint64_t next_event() {
        next_event_ = (next_event_ + kConsentedOf - 1) / kConsentedOf * kConsentedOf;
        return next_event_;
    }
    void account(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t batches, std::uint64_t batch_events) {
        delivered_bytes_ += check_frames(frames, frame_bytes, first, batches, batch_events);
        delivered_events_ += frames.size() / frame_bytes;
        next_event_ = first + batches * batch_events;
    }

    double serve(Round round, double deliveries, Series* series) {
        round.first_event = next_event();
        const double cpu = process_cpu_seconds();
        const Outcome out = subscribers_->run(round);
        const double used = process_cpu_seconds() - cpu;
        account({subscribers_->capture(), out.bytes}, frame_bytes_, round.first_event, round.batches, round.batch_events);
        const double rate = deliveries / (static_cast<double>(out.ns) / 1e9);
        if (series != nullptr) {
            series->rate.push_back(rate);
            series->cpu_ns.push_back(used * 1e9 / deliveries);
        }
        return rate;
    }

    double send_raw(Round round, double deliveries, Series* series) {
        const std::string bytes(subscribers_->capture(), round.batches * round.batch_bytes);  // what the server just sent to each
        round.kind = Round::Kind::read_only;
        subscribers_->tell(round);
        const double used =
            floor_.send_to_all(bytes, round.batch_bytes, round.window, subscribers_->progress(), [this] { return subscribers_->batches_read(); });
        const Outcome out = subscribers_->wait();
        const double rate = deliveries / (static_cast<double>(out.ns) / 1e9);
        if (series != nullptr) {
            series->rate.push_back(rate);
            series->cpu_ns.push_back(used * 1e9 / deliveries);
        }
        return rate;
    }

    static nlohmann::json summary(const Series& server, const Series& floor) {
        std::vector<double> ratios, cpu_ratios;  // of neighbouring rounds: what disturbs the machine disturbs both
        for (std::size_t i = 0; i < server.rate.size(); ++i) {
            ratios.push_back(server.rate[i] / floor.rate[i]);
            cpu_ratios.push_back(floor.cpu_ns[i] / server.cpu_ns[i]);
        }
        // The lower one: rates suffer from whatever else runs, on either side; processor time does not see a server that waits.
        return {{"floor_ratio", rounded(std::min(median(ratios), median(cpu_ratios)))},
                {"floor_ratio_wall", rounded(median(ratios))},
                {"floor_ratio_wall_spread", rounded(spread(ratios), 2)},
                {"floor_ratio_cpu", rounded(median(cpu_ratios))},
                {"floor_ratio_cpu_spread", rounded(spread(cpu_ratios), 2)},
                {"deliveries_per_s", std::round(median(server.rate))},
                {"floor_per_s", std::round(median(floor.rate))},
                {"cpu_ns_per_delivery", rounded(median(server.cpu_ns))},
                {"floor_cpu_ns_per_delivery", rounded(median(floor.cpu_ns))}};
    }

    const Options options_;
    const Cores cores_;
    ScratchDirectory scratch_;
    std::unique_ptr<Subscribers> subscribers_;
    std::unique_ptr<Node> node_;
    Floor floor_;
    std::uint64_t next_event_ = 0, frame_bytes_ = 0, delivered_events_ = 0, delivered_bytes_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    const Options options = read_options(count, arguments);
    nlohmann::json line;
    {
        Bench bench(options);
        const auto small = bench.measure(256), large = bench.measure(1024);
        const bool metered = bench.metered();
        line = {{"bench", "fanout"},
                {"floor_ratio", std::min(small["floor_ratio"].get<double>(), large["floor_ratio"].get<double>())},
                {"floor_ratio_256", small["floor_ratio"]},
                {"floor_ratio_1024", large["floor_ratio"]},
                {"subscribers", kSubscribers},
                {"contracts", options.contracts},
                {"events_per_s_core", std::round(1e9 / small["cpu_ns_per_delivery"].get<double>())},
                {"shreddable", options.shreddable},
                {"metered", metered},
                {"inside",
                 "edge HTTP and tokens, ingest, RocksDB log with fsync, policy, consent, redaction, cursors, tapes, fsynced usage journal, flusher"},
                {"outside", "TLS, PostgreSQL (ledger and catalog in memory), Redis, control plane"},
                {"rounds", options.rounds},
                {"batch_events", options.batch},
                {"window_batches", options.window},
                {"256", small},
                {"1024", large},
                {"machine", machine()},
                {"load_average", load_average()}};
    }
    std::printf("%s\n", line.dump().c_str());
    return line["metered"].get<bool>() ? 0 : 1;
}
