// Durable ingest through the node's own door, beside redis-server with appendfsync always, in the same run with the same documents in the same
// batches over the same number of connections. README.md says what is inside and what is not. Ends with one JSON line.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>

#include "bench/ingest/redis_peer.h"
#include "bench/support/client.h"
#include "bench/support/feed.h"
#include "bench/support/machine.h"
#include "bench/support/node.h"
#include "bench/support/options.h"
#include "bench/support/report.h"

namespace {

using namespace licet::bench;

constexpr std::size_t kDocumentBytes = 256;
constexpr int kStallMs = 30'000;

// A connection to redis: one request of many commands at a time, its answer counted in lines.
class RedisClient {
  public:
    explicit RedisClient(int fd) : fd_(fd) { set_non_blocking(fd); }
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool idle() const noexcept { return request_ == nullptr; }
    [[nodiscard]] bool wants_to_write() const noexcept { return request_ != nullptr && written_ < request_->bytes.size(); }
    bool begin(const RedisRequest& request) {
        request_ = &request;
        written_ = lines_ = 0;
        return advance();
    }
    bool advance() {
        if (idle()) return false;
        while (wants_to_write()) {
            const ssize_t n = ::send(fd_, request_->bytes.data() + written_, request_->bytes.size() - written_, MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) break;
            if (n <= 0) die("redis closed a connection");
            written_ += static_cast<std::size_t>(n);
        }
        char buffer[65536];
        for (;;) {
            const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n < 0 && errno == EAGAIN) break;
            if (n <= 0) die("redis closed a connection");
            for (ssize_t i = 0; i < n; ++i) {
                if (line_start_ && buffer[i] == '-') die("redis refused: " + std::string(buffer + i, static_cast<std::size_t>(n - i)));
                line_start_ = buffer[i] == '\n';
                lines_ += line_start_;
            }
        }
        if (lines_ < request_->answer_lines) return false;
        if (lines_ > request_->answer_lines) die("redis answered more than it was asked");
        request_ = nullptr;
        return true;
    }

  private:
    const int fd_;
    const RedisRequest* request_ = nullptr;
    std::size_t written_ = 0, lines_ = 0;
    bool line_start_ = true;
};

// Keeps every connection busy with one batch until all batches are answered. Returns events per second.
template <class Connection>
double play(std::vector<std::unique_ptr<Connection>>& connections, std::size_t batches, std::size_t events,
            const std::function<bool(Connection&, std::size_t)>& begin) {
    std::vector<pollfd> polled(connections.size());
    const std::int64_t start = now_ns();
    std::size_t next = 0, done = 0;
    while (done < batches) {
        for (std::size_t i = 0; i < connections.size(); ++i) {
            auto& c = *connections[i];
            if (c.idle() && next < batches && begin(c, next++)) ++done;
            polled[i] = {c.fd(), static_cast<short>(c.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0};
        }
        if (::poll(polled.data(), polled.size(), kStallMs) <= 0) die("no answer");
        for (std::size_t i = 0; i < connections.size(); ++i)
            if (polled[i].revents != 0 && connections[i]->advance()) ++done;
    }
    return static_cast<double>(batches * events) / (static_cast<double>(now_ns() - start) / 1e9);
}

struct Series {
    std::vector<double> rate, cpu_us;
    void add(double events_per_s, double cpu_seconds, double events) {
        rate.push_back(events_per_s);
        cpu_us.push_back(cpu_seconds * 1e6 / events);
    }
};

class Bench {
  public:
    Bench(int rounds, unsigned connections, bool shreddable) : rounds_(rounds), cores_(two_cores()) {
        redis_ = std::make_unique<RedisPeer>(scratch_.path() + "/redis", cores_.server);  // before there are threads
        pin_to(cores_.server);
        const std::string secret = "secret of a benchmark's clients";
        node_ = Node::start({scratch_.path(), secret, 1, shreddable});
        pin_to(cores_.client);  // this thread alone: the node's stay where they are
        token_ = fetch_token(connect_loopback(node_->port()), "publisher", secret);
        for (unsigned i = 0; i < connections; ++i) {
            publishers_.push_back(std::make_unique<Publisher>(connect_loopback(node_->port())));
            redis_clients_.push_back(std::make_unique<RedisClient>(connect_loopback(redis_->port())));
        }
    }

    nlohmann::json measure(std::size_t batch, std::size_t events) {
        const std::size_t batches = events / batch;
        const double count = static_cast<double>(batches * batch);
        Series licet, pipelined, transaction;
        for (int round = -1; round < rounds_; ++round) {  // the first of each warms up
            const auto documents = next_documents(batches, batch);
            Series l, p, t;
            ingest(documents, batch, count, l);
            redis(documents, batch, count, pipelined_xadd, p);
            if (batch > 1) redis(documents, batch, count, transaction_xadd, t);
            std::printf("batches of %4zu round %2d: licet %.0f/s, redis pipelined %.0f/s, in transactions %.0f/s\n", batch, round + 1, l.rate[0],
                        p.rate[0], batch > 1 ? t.rate[0] : p.rate[0]);
            std::fflush(stdout);
            if (round < 0) continue;
            licet.add(l.rate[0], l.cpu_us[0] * count / 1e6, count);
            pipelined.add(p.rate[0], p.cpu_us[0] * count / 1e6, count);
            transaction.add(batch > 1 ? t.rate[0] : p.rate[0], (batch > 1 ? t : p).cpu_us[0] * count / 1e6, count);
        }
        return summary(licet, pipelined, transaction);
    }

    [[nodiscard]] std::string redis_version() const { return redis_->version(); }

  private:
    using Documents = std::vector<std::vector<std::string>>;

    Documents next_documents(std::size_t batches, std::size_t batch) {
        const std::size_t pad = kDocumentBytes - document(0, 0).size();
        Documents out(batches);
        for (auto& documents : out)
            for (std::size_t i = 0; i < batch; ++i) documents.push_back(document(next_event_++, pad));
        return out;
    }

    void ingest(const Documents& documents, std::size_t batch, double count, Series& series) {
        std::vector<std::string> requests;
        for (const auto& each : documents) {
            std::string body;
            for (const auto& d : each) body.append(d).append("\n");
            requests.push_back(publish_request(token_, body));
        }
        const double before = node_cpu_seconds();
        const double rate =
            play<Publisher>(publishers_, requests.size(), batch, [&](Publisher& p, std::size_t i) { return p.begin(requests[i], batch); });
        series.add(rate, node_cpu_seconds() - before, count);
    }

    void redis(const Documents& documents, std::size_t batch, double count, RedisRequest (*encode)(const std::vector<std::string>&), Series& series) {
        std::vector<RedisRequest> requests;
        for (const auto& each : documents) requests.push_back(encode(each));
        const double before = redis_->cpu_seconds();
        const double rate =
            play<RedisClient>(redis_clients_, requests.size(), batch, [&](RedisClient& c, std::size_t i) { return c.begin(requests[i]); });
        series.add(rate, redis_->cpu_seconds() - before, count);
    }

    // Of all threads but this one, which is the client.
    static double node_cpu_seconds() {
        timespec own{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
        return process_cpu_seconds() - (static_cast<double>(own.tv_sec) + static_cast<double>(own.tv_nsec) / 1e9);
    }

    static nlohmann::json summary(const Series& licet, const Series& pipelined, const Series& transaction) {
        std::vector<double> to_pipelined, to_transaction, to_best;
        for (std::size_t i = 0; i < licet.rate.size(); ++i) {
            to_pipelined.push_back(licet.rate[i] / pipelined.rate[i]);
            to_transaction.push_back(licet.rate[i] / transaction.rate[i]);
            to_best.push_back(licet.rate[i] / std::max(pipelined.rate[i], transaction.rate[i]));
        }
        return {{"redis_ratio", rounded(median(to_best))},
                {"redis_ratio_spread", rounded(spread(to_best), 2)},
                {"pipelined_ratio", rounded(median(to_pipelined))},
                {"transaction_ratio", rounded(median(to_transaction))},
                {"events_per_s", std::round(median(licet.rate))},
                {"redis_pipelined_per_s", std::round(median(pipelined.rate))},
                {"redis_transaction_per_s", std::round(median(transaction.rate))},
                {"cpu_us_per_event", rounded(median(licet.cpu_us))},
                {"redis_cpu_us_per_event", rounded(median(transaction.cpu_us))}};
    }

    const int rounds_;
    const Cores cores_;
    ScratchDirectory scratch_;
    std::unique_ptr<RedisPeer> redis_;
    std::unique_ptr<Node> node_;
    std::string token_;
    std::vector<std::unique_ptr<Publisher>> publishers_;
    std::vector<std::unique_ptr<RedisClient>> redis_clients_;
    std::uint64_t next_event_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
    std::uint64_t rounds = 7, connections = 4, shreddable = 0;
    read_options(count, arguments, {{"--rounds", &rounds}, {"--connections", &connections}, {"--shreddable", &shreddable}});
    nlohmann::json line;
    {
        Bench bench(static_cast<int>(rounds), static_cast<unsigned>(connections), shreddable != 0);
        const auto one = bench.measure(1, 2'000), hundred = bench.measure(100, 20'000), thousand = bench.measure(1000, 40'000);
        line = {{"redis_ratio",
                 std::min({one["redis_ratio"].get<double>(), hundred["redis_ratio"].get<double>(), thousand["redis_ratio"].get<double>()})},
                {"redis_ratio_1", one["redis_ratio"]},
                {"redis_ratio_100", hundred["redis_ratio"]},
                {"redis_ratio_1000", thousand["redis_ratio"]},
                {"events_per_s", thousand["events_per_s"]},
                {"shreddable", shreddable != 0},
                {"connections", connections},
                {"document_bytes", kDocumentBytes},
                {"rounds", rounds},
                {"1", one},
                {"100", hundred},
                {"1000", thousand},
                {"redis", bench.redis_version()}};
    }
    report("ingest", line);
    return 0;
}
