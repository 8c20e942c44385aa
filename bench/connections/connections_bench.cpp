// What an idle WebSocket costs in memory, and how fast connections can come: plain and TLS, beside other servers. README.md says what is counted.
// Ends with one JSON line.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <sstream>
#include <thread>

#include "bench/connections/opener.h"
#include "bench/peers/peer.h"
#include "bench/support/machine.h"
#include "bench/support/node.h"
#include "bench/support/options.h"
#include "bench/support/report.h"

namespace {

using namespace licet::bench;

constexpr std::uint64_t kReserve = 500;  // descriptors of a process that are not connections

struct Options {
    std::uint64_t connections = 50'000, storm_rate = 5'000, storm = 10'000, contracts = 100, peers = 1, peer_connections = 5'000, tls = 1;
};

struct Memory {
    double pss = 0, rss = 0, anonymous = 0;
    void add(const Memory& other) {
        pss += other.pss;
        rss += other.rss;
        anonymous += other.anonymous;
    }
};

// Of a process and those it started.
Memory memory_of(pid_t pid) {
    Memory out;
    const std::string at = "/proc/" + std::to_string(pid);
    std::ifstream in(at + "/smaps_rollup");
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string name;
        double kib = 0;
        fields >> name >> kib;
        if (name == "Pss:") out.pss = kib * 1024;
        if (name == "Rss:") out.rss = kib * 1024;
        if (name == "Anonymous:") out.anonymous = kib * 1024;
    }
    std::ifstream children(at + "/task/" + std::to_string(pid) + "/children");
    for (pid_t child = 0; children >> child;) out.add(memory_of(child));
    return out;
}

struct Kernel {
    double slab = 0, tcp = 0;  // bytes
};
Kernel kernel_memory() {
    Kernel out;
    std::ifstream memory("/proc/meminfo"), sockets("/proc/net/sockstat");
    for (std::string line; std::getline(memory, line);)
        if (line.starts_with("Slab:")) out.slab = std::strtod(line.c_str() + 5, nullptr) * 1024;
    for (std::string line; std::getline(sockets, line);)
        if (line.starts_with("TCP:"))
            out.tcp = std::strtod(line.c_str() + line.find("mem ") + 4, nullptr) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    return out;
}

// A node in a process of its own: its memory is nobody else's.
class NodeProcess {
  public:
    NodeProcess(const NodeOptions& options, int core) {
        void* memory = ::mmap(nullptr, sizeof(Ports), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) die("cannot share memory");
        ports_ = new (memory) Ports;
        program_ = std::make_unique<Program>("node", core, options.directory + "/node.log", [&] {
            const auto node = Node::start(options);
            ports_->tls = node->tls_port();
            ports_->plain.store(node->port(), std::memory_order_release);
            for (;;) ::pause();
        });
        while (ports_->plain.load(std::memory_order_acquire) == 0) {
            if (!program_->running()) program_->complain();
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    ~NodeProcess() { ::munmap(ports_, sizeof(Ports)); }
    NodeProcess(const NodeProcess&) = delete;
    [[nodiscard]] std::uint16_t port() const { return ports_->plain; }
    [[nodiscard]] std::uint16_t tls_port() const { return ports_->tls; }
    [[nodiscard]] const Program& program() const { return *program_; }

  private:
    struct Ports {
        std::atomic<std::uint16_t> plain{0};
        std::uint16_t tls = 0;
    };
    Ports* ports_ = nullptr;
    std::unique_ptr<Program> program_;
};

class Bench {
  public:
    explicit Bench(const Options& options) : options_(options), cores_(two_cores()) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        allow_descriptors(limit.rlim_max);
        if (limit.rlim_max <= 2 * kReserve) die("needs more open descriptors (ulimit -n)");
        of_one_process_ = std::min<std::uint64_t>(limit.rlim_max - kReserve, options.connections);
        certificate_ = make_certificate(scratch_.path());
    }
    [[nodiscard]] std::uint64_t of_one_process() const { return of_one_process_; }

    // Idle connections over as many nodes as it takes, then a storm on a fresh node.
    nlohmann::json node(bool tls) {
        const std::uint64_t count = (options_.connections + of_one_process_ - 1) / of_one_process_;
        std::vector<std::unique_ptr<NodeProcess>> nodes;
        std::vector<std::unique_ptr<Opener>> openers;
        std::vector<OpenOrder> orders;
        std::uint64_t left = options_.connections;
        for (std::uint64_t i = 0; i < count; ++i) {
            nodes.push_back(start_node(tls));
            openers.push_back(std::make_unique<Opener>(cores_.client, kSecret));
            orders.push_back(order_for(*nodes.back(), tls));
            // The first connections are not counted: what a node has once is not of a connection.
            orders.back().count = 100;
            (void)openers.back()->run(orders.back());
            orders.back().count = static_cast<std::uint32_t>(left / (count - i));
            left -= orders.back().count;
        }
        const auto all = [&] {
            Memory out;
            for (const auto& n : nodes) out.add(memory_of(n->program().pid()));
            return out;
        };
        const Memory before = all();
        const Kernel kernel_before = kernel_memory();
        const auto opened = together(openers, orders);
        const Memory idle = all();
        const Kernel kernel = kernel_memory();
        for (OpenOrder& o : orders) o.kind = OpenOrder::Kind::event;
        const auto heard = together(openers, orders);
        const Memory after = all();
        const auto connections = static_cast<double>(options_.connections);
        if (heard.open < options_.connections) die("connections were lost: " + std::to_string(heard.lost));
        std::printf("%s: %.0f idle connections over %llu node(s), %.0f B each (RSS %.0f), %.0f B after an event; kernel %.0f B; opened %.0f/s\n",
                    tls ? "TLS" : "plain", connections, static_cast<unsigned long long>(count), (idle.pss - before.pss) / connections,
                    (idle.rss - before.rss) / connections, (after.pss - before.pss) / connections,
                    (kernel.slab - kernel_before.slab + kernel.tcp - kernel_before.tcp) / connections, connections / seconds(opened));
        std::fflush(stdout);
        openers.clear();
        nodes.clear();
        return {{"connections", options_.connections},
                {"nodes", count},
                {"bytes_per_connection", std::round((idle.pss - before.pss) / connections)},
                {"rss_per_connection", std::round((idle.rss - before.rss) / connections)},
                {"bytes_per_connection_after_event", std::round((after.pss - before.pss) / connections)},
                {"kernel_bytes_per_connection", std::round((kernel.slab - kernel_before.slab + kernel.tcp - kernel_before.tcp) / connections)},
                {"accepts_per_s", std::round(connections / seconds(opened))},
                {"crowd_busy", rounded(opened.cpu_seconds / seconds(opened), 2)},
                {"storm", storm(tls)}};
    }

    nlohmann::json peer(Service service) {
        auto running = start_peers({service}, scratch_.path(), cores_.server);
        if (running.empty()) return nullptr;
        Opener opener(cores_.client, kSecret);
        OpenOrder order;
        order.service = service;
        order.port = running[0].port;
        order.count = 100;
        (void)opener.run(order);
        const Memory before = memory_of(running[0].program->pid());
        order.count = static_cast<std::uint32_t>(options_.peer_connections);
        const OpenOutcome opened = opener.run(order);
        const Memory after = memory_of(running[0].program->pid());
        const auto connections = static_cast<double>(order.count);
        const char* name = make_peer(service)->name();
        std::printf("%s: %.0f connections, %.0f B each, opened %.0f/s, %llu lost\n", name, connections, (after.pss - before.pss) / connections,
                    connections / seconds(opened), static_cast<unsigned long long>(opened.lost));
        return {{"connections", order.count},
                {"bytes_per_connection", std::round((after.pss - before.pss) / connections)},
                {"accepts_per_s", std::round(connections / seconds(opened))},
                {"lost", opened.lost}};
    }

  private:
    static constexpr const char* kSecret = "secret of a benchmark's clients";

    static double seconds(const OpenOutcome& o) { return static_cast<double>(o.ns) / 1e9; }

    std::unique_ptr<NodeProcess> start_node(bool tls) {
        NodeOptions o;
        o.directory = scratch_.path() + "/node-" + std::to_string(next_++);
        std::filesystem::create_directories(o.directory);
        o.secret = kSecret;
        o.contracts = static_cast<unsigned>(options_.contracts);
        if (tls) o.certificate = certificate_;
        return std::make_unique<NodeProcess>(o, cores_.server);
    }

    [[nodiscard]] OpenOrder order_for(const NodeProcess& node, bool tls) const {
        OpenOrder out;
        out.service = tls ? Service::licet_tls : Service::licet;
        out.port = node.port();
        out.tls_port = node.tls_port();
        out.contracts = static_cast<std::uint32_t>(options_.contracts);
        return out;
    }

    // Less the first hundred of each.
    static OpenOutcome together(std::vector<std::unique_ptr<Opener>>& openers, const std::vector<OpenOrder>& orders) {
        for (std::size_t i = 0; i < openers.size(); ++i) openers[i]->tell(orders[i]);
        OpenOutcome out;
        for (const auto& o : openers) {
            const OpenOutcome one = o->wait();
            out.open += one.open - 100;
            out.lost += one.lost;
            out.ns = std::max(out.ns, one.ns);
            out.cpu_seconds += one.cpu_seconds;
        }
        return out;
    }

    nlohmann::json storm(bool tls) {
        const auto node = start_node(tls);
        Opener opener(cores_.client, kSecret);
        OpenOrder order = order_for(*node, tls);
        order.count = static_cast<std::uint32_t>(std::min(options_.storm, of_one_process_));
        order.rate = static_cast<double>(options_.storm_rate);
        order.in_flight = order.count;
        const OpenOutcome out = opener.run(order);
        std::printf("%s storm: %llu of %u at %.0f/s offered in %.2f s; p50 %.0f us, p99 %.0f us, longest %.0f us\n", tls ? "TLS" : "plain",
                    static_cast<unsigned long long>(out.open), order.count, order.rate, seconds(out), out.p50_us, out.p99_us, out.max_us);
        std::fflush(stdout);
        return {{"offered_per_s", options_.storm_rate},
                {"connections", order.count},
                {"accepted", out.open},
                {"accepted_per_s", std::round(static_cast<double>(out.open) / seconds(out))},
                {"p50_us", rounded(out.p50_us)},
                {"p99_us", rounded(out.p99_us)},
                {"max_us", rounded(out.max_us)},
                {"crowd_busy", rounded(out.cpu_seconds / seconds(out), 2)}};
    }

    const Options options_;
    const Cores cores_;
    ScratchDirectory scratch_;
    Certificate certificate_;
    std::uint64_t of_one_process_ = 0;
    int next_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    Options o;
    read_options(count, arguments,
                 {{"--connections", &o.connections},
                  {"--storm", &o.storm},
                  {"--storm-rate", &o.storm_rate},
                  {"--contracts", &o.contracts},
                  {"--tls", &o.tls},
                  {"--peers", &o.peers},
                  {"--peer-connections", &o.peer_connections}});
    nlohmann::json line;
    {
        Bench bench(o);
        const auto plain = bench.node(false);
        const auto tls = o.tls != 0 ? bench.node(true) : nlohmann::json();
        nlohmann::json peers;
        if (o.peers != 0)
            for (const Service s : {Service::relay, Service::nats, Service::nchan, Service::ws}) peers[make_peer(s)->name()] = bench.peer(s);
        line = {{"bytes_per_connection", plain["bytes_per_connection"]},
                {"tls_bytes_per_connection", member(tls, "/bytes_per_connection")},
                {"kernel_bytes_per_connection", plain["kernel_bytes_per_connection"]},
                {"accepts_per_s", plain["accepts_per_s"]},
                {"tls_accepts_per_s", member(tls, "/accepts_per_s")},
                {"connections", o.connections},
                {"most_of_one_process", bench.of_one_process()},
                {"plain", plain},
                {"tls", tls},
                {"peers", peers}};
    }
    report("connections", line);
    return 0;
}
