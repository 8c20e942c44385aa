// Subscribers, publishers and changes against one running node, and the judgement of all that arrives (judge.h). soak.py starts the node, writes the
// plan, watches the node's memory and compares the books with what is counted here. Prints a line of JSON every two seconds, and a last one.
//
//   soak_client --port PORT --plan FILE --seconds N --warm-up N --subscribers N --replays N --rate EVENTS_PER_SECOND (0: half of what the warm-up
//   shows) --rest SECONDS --pace FACTOR --seed N
#include <csignal>
#include <iostream>
#include <sstream>

#include "tests/soak/chain.h"
#include "tests/soak/changes.h"
#include "tests/soak/publisher.h"

namespace soak {
namespace {

constexpr int kDrainSeconds = 300;

struct Options {
    std::string plan;
    std::uint16_t port = 0;
    int seconds = 20, warm_up = 5, subscribers = 100, replays = 4;
    double rate = 0, rest = 10, pace = 1;
    unsigned seed = 1;
};

class Soak {
  public:
    explicit Soak(Options options)
        : options_(std::move(options)),
          changing_(world_, changes_, pace(options_.pace), options_.seed),
          desk_{world_, stats_, std::minstd_rand(options_.seed), ::epoll_create1(EPOLL_CLOEXEC), {}} {
        world_.port = options_.port;
        read_plan(options_.plan, world_);
        for (auto& product : world_.products) {
            // Of those who leave, more than there is time for.
            const std::size_t people = product.kind == Class::steady     ? 1
                                       : product.kind == Class::wavering ? 300
                                                                         : 4000 + static_cast<std::size_t>(options_.seconds) * 20;
            product.subjects.resize(people);
        }
    }

    int run() {
        for (auto& policy : world_.policies)
            if (policy.kind == 'h') changing_.prepared(*policy.product, 'h');
        if (!changing_.prepare()) return fail("consents could not be given");
        race::Http http(options_.port, 20);
        for (auto& reader : world_.readers)
            if (!fetch_token(http, reader)) return fail("no token for " + reader.id);
        subscribe();
        if (!loop(30, [this](std::int64_t) { return streaming() == options_.subscribers; }))
            return fail(std::to_string(streaming()) + " of " + std::to_string(options_.subscribers) + " subscribers stream");
        for (auto& product : world_.products)
            publishers_.emplace_back(world_, product, options_.seed * 7 + static_cast<unsigned>(publishers_.size()));
        std::vector<std::thread> threads, publishing;
        for (auto& product : world_.products) product.rate = options_.rate * product.weight;
        for (auto& publisher : publishers_) publishing.emplace_back([&publisher] { publisher.run(); });
        changing_.start(threads);
        warm_up();
        stats_.measuring = true;
        begun_ns_ = now_ns();
        begun_deliveries_ = stats_.deliveries;
        tell("measuring");
        loop(options_.seconds, [this](std::int64_t) { return broken(); });
        measured_ns_ = now_ns() - begun_ns_;
        stats_.measuring = false;
        tell("draining");
        world_.changes_end = true;
        // What changes things ends in order: a contract that was suspended is in force again.
        loop(3, [](std::int64_t) { return false; });
        world_.stopping = true;
        for (auto& thread : publishing) thread.join();
        for (std::size_t i = 1; i < threads.size(); ++i) threads[i].join();
        threads[0].join();
        settle_tokens(http);
        for (auto& chain : chains_) chain.settle();
        const bool drained = loop(kDrainSeconds, [this, &http](std::int64_t) {
            settle_tokens(http);
            return complete();
        });
        if (!drained) report_incomplete();
        for (auto& publisher : publishers_)
            if (publisher.failed) stats_.wrong.report("incomplete", "%s", "events were refused");
        chains_.clear();
        tell("last");
        return drained && stats_.wrong.total() == 0 ? 0 : 1;
    }

  private:
    static Pace pace(double factor) {
        Pace out;
        return {out.consents * factor, out.policies * factor, out.contracts * factor, out.revocations * factor};
    }
    static int fail(const std::string& why) {
        std::fprintf(stderr, "%s\n", why.c_str());
        return 2;
    }

    // One that keeps up for each product of each contract, then the others in turn.
    void subscribe() {
        struct Place {
            Product* product;
            Taken* taken;
            Contract* contract;
        };
        std::vector<Place> places;
        for (auto& contract : world_.contracts)
            for (std::size_t i = 0; i < contract.products.size(); ++i) places.push_back({contract.products[i], &contract.taken[i], &contract});
        const auto reader = [this](Contract* contract, bool books, std::size_t turn) -> Credentials& {
            std::vector<Credentials*> of;
            for (auto& one : world_.readers)
                if (one.contract == contract && one.books == books) of.push_back(&one);
            return *of.at(turn % of.size());
        };
        static constexpr Transport kMix[] = {Transport::websocket, Transport::sse,       Transport::websocket, Transport::deflate,
                                             Transport::sse,       Transport::websocket, Transport::websocket, Transport::sse,
                                             Transport::pull,      Transport::websocket};
        for (int i = 0; i < options_.subscribers + options_.replays; ++i) {
            const auto turn = static_cast<std::size_t>(i);
            const auto& place = places[turn % places.size()];
            const bool books = turn < places.size(), replays = i >= options_.subscribers;
            const auto transport = books     ? Transport::websocket
                                   : replays ? (turn % 2 == 0 ? Transport::websocket : Transport::sse)
                                             : kMix[(turn / places.size() + turn) % std::size(kMix)];
            chains_.emplace_back(desk_, *place.product, *place.taken, reader(place.contract, books, turn / places.size()), transport,
                                 Habits{books, replays, options_.rest});
        }
    }

    // Until `done`, or for so many seconds; whether it was done.
    template <class Done>
    bool loop(double seconds, Done done) {
        std::vector<epoll_event> events(256);
        const auto until = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
        while (true) {
            const int n = ::epoll_wait(desk_.epoll, events.data(), static_cast<int>(events.size()), 5);
            for (int i = 0; i < n; ++i) static_cast<Chain*>(events[static_cast<std::size_t>(i)].data.ptr)->readable();
            const auto now = now_ns();
            if (now - turned_ns_ < 10 * kMs) continue;
            turned_ns_ = now;
            for (auto& chain : chains_) chain.turn(now);
            note_reached();
            if (now - told_ns_ > 2 * kSecond) tell("");
            if (done(now)) return true;
            if (now >= until) return false;
        }
    }
    void note_reached() {
        for (auto& product : world_.products) {
            std::uint32_t least = ~0U;
            for (const auto& chain : chains_) {
                if (!chain.keeps_up()) break;  // they come first
                if (&chain.product() == &product) least = std::min(least, chain.next());
            }
            product.reached = least == ~0U ? 0 : least;
        }
    }
    [[nodiscard]] int streaming() const {
        int out = 0;
        for (const auto& chain : chains_) out += chain.streaming() || (!chain.replays() && std::string_view(chain.way()) == "pull");
        return std::min(out, options_.subscribers);
    }
    [[nodiscard]] bool broken() const {
        bool out = stats_.wrong.total() > 1000;
        for (const auto& publisher : publishers_) out = out || publisher.failed;
        return out;
    }
    [[nodiscard]] bool complete() const {
        for (const auto& chain : chains_)
            if (!chain.replays() && chain.next() < chain.product().begun) return false;
        return true;
    }
    void report_incomplete() {
        for (const auto& chain : chains_)
            if (!chain.replays() && chain.next() < chain.product().begun)
                stats_.wrong.report("incomplete", "%s of %s: at %u of %u", chain.way(), chain.product().name.c_str(), chain.next(),
                                    chain.product().begun.load());
    }
    void settle_tokens(race::Http& http) {
        for (auto& reader : world_.readers)
            if (reader.stale && fetch_token(http, reader)) ++changes_.tokens;
    }

    // As fast as those who keep up follow; half of that is the load. The first third is not counted.
    void warm_up() {
        if (options_.rate > 0) {
            loop(options_.warm_up, [this](std::int64_t) { return broken(); });
            return;
        }
        loop(options_.warm_up / 3.0, [this](std::int64_t) { return broken(); });
        tell("full load");
        std::vector<std::uint32_t> before;
        for (auto& product : world_.products) before.push_back(product.reached);
        const auto begun = now_ns();
        loop(options_.warm_up * 2 / 3.0, [this](std::int64_t) { return broken(); });
        const auto seconds = static_cast<double>(now_ns() - begun) / 1e9;
        for (std::size_t i = 0; auto& product : world_.products) {
            const auto rate = (product.reached - before[i++]) / seconds;
            capacity_ += rate;
            product.rate = std::max(1.0, rate / 2);
        }
        tell("settling");
        // What the full load left behind is caught up with first.
        loop(std::max(5, options_.warm_up / 2), [this](std::int64_t) { return broken(); });
    }

    void tell(std::string_view phase) {
        told_ns_ = now_ns();
        std::uint64_t published = 0, retried = 0;
        double rate = 0;
        for (auto& product : world_.products) published += product.acknowledged, rate += product.rate;
        for (auto& publisher : publishers_) retried += publisher.retried;
        std::ostringstream out;
        out << "{\"phase\":\"" << phase << "\",\"seconds\":" << (begun_ns_ == 0 ? 0 : (now_ns() - begun_ns_) / kSecond) << ",\"events\":" << published
            << ",\"rate\":" << static_cast<int>(rate) << ",\"capacity\":" << static_cast<int>(capacity_) << ",\"deliveries\":" << stats_.deliveries
            << ",\"delivered_bytes\":" << stats_.bytes << ",\"passed_over\":" << stats_.withheld << ",\"connections\":" << stats_.connections
            << ",\"disconnects\":" << stats_.disconnects << ",\"slow\":" << stats_.slow << ",\"replays\":" << stats_.replays
            << ",\"rewinds\":" << stats_.rewinds << ",\"acks\":" << stats_.acks << ",\"pages\":" << stats_.pages
            << ",\"compressed\":" << stats_.compressed << ",\"streaming\":" << streaming() << ",\"policies\":" << changes_.policies
            << ",\"withdrawals\":" << changes_.withdrawals << ",\"givings\":" << changes_.givings << ",\"suspensions\":" << changes_.suspensions
            << ",\"revocations\":" << changes_.revocations << ",\"tokens\":" << changes_.tokens << ",\"uncertain\":" << changes_.uncertain
            << ",\"changes_refused\":" << changes_.refused << ",\"posts_retried\":" << retried << ",\"wrong\":" << stats_.wrong.total();
        if (phase == "last") last(out);
        std::cout << out.str() << "}" << std::endl;
    }
    void last(std::ostream& out) {
        for (const char* what : {"gap", "duplicate", "before since, or a duplicate", "after until", "late", "not redacted", "outdated policy", "size",
                                 "malformed", "invented", "incomplete", "refused", "closed"})
            out << ",\"" << what << "\":" << stats_.wrong.count(what);
        soak::tell(out, "ways", stats_.ways);
        soak::tell(out, "answers", stats_.refused);
        soak::tell(out, "close_codes", stats_.closed);
        const double seconds = static_cast<double>(measured_ns_) / 1e9;
        out << ",\"measured_seconds\":" << seconds
            << ",\"deliveries_per_s\":" << static_cast<std::uint64_t>(static_cast<double>(stats_.deliveries - begun_deliveries_) / seconds);
        soak::tell(out, "latency_us", stats_.latency_us);
        soak::tell(out, "kept_up_us", stats_.kept_up_us);
        out << ",\"taken\":[";
        bool first = true;
        for (const auto& contract : world_.contracts)
            for (std::size_t i = 0; i < contract.products.size(); ++i) {
                const auto& t = contract.taken[i];
                out << (first ? "" : ",") << "{\"contract\":\"" << contract.name << "\",\"product\":\"" << contract.products[i]->name
                    << "\",\"exact\":" << (contract.products[i]->kind == Class::wavering ? "false" : "true") << ",\"events\":" << t.events
                    << ",\"bytes\":" << t.bytes << ",\"certain_events\":" << t.certain_events << ",\"certain_bytes\":" << t.certain_bytes << "}";
                first = false;
            }
        out << "]";
    }

    const Options options_;
    World world_;
    Stats stats_;
    Changes changes_;
    Changing changing_;
    Desk desk_;
    std::deque<Chain> chains_;
    std::deque<Publisher> publishers_;
    double capacity_ = 0;
    std::int64_t begun_ns_ = 0, measured_ns_ = 0, turned_ns_ = 0, told_ns_ = 0;
    std::uint64_t begun_deliveries_ = 0;
};

Options parse(int argc, char** argv) {
    Options out;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        if (name == "--port") out.port = static_cast<std::uint16_t>(std::stoi(value));
        if (name == "--plan") out.plan = value;
        if (name == "--seconds") out.seconds = std::stoi(value);
        if (name == "--warm-up") out.warm_up = std::stoi(value);
        if (name == "--subscribers") out.subscribers = std::stoi(value);
        if (name == "--replays") out.replays = std::stoi(value);
        if (name == "--rate") out.rate = std::stod(value);
        if (name == "--rest") out.rest = std::stod(value);
        if (name == "--pace") out.pace = std::stod(value);
        if (name == "--seed") out.seed = static_cast<unsigned>(std::stoul(value));
    }
    return out;
}

}  // namespace
}  // namespace soak

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    return soak::Soak(soak::parse(argc, argv)).run();
}
