// What metering costs: fan-out with and without it, the flush into PostgreSQL beside a COPY, a month of a billion events closed and exported.
// README.md says what is counted. Ends with one JSON line.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <pqxx/pqxx>

#include "bench/metering/flush.h"
#include "bench/metering/month.h"
#include "bench/support/contender.h"
#include "bench/support/machine.h"
#include "bench/support/options.h"
#include "bench/support/report.h"
#include "server/openssl/crypto.h"
#include "server/postgres/migrate.h"

namespace {

using namespace licet;
using namespace licet::bench;

struct Options {
    std::uint64_t rounds = 7, records = 200'000, lines = 120'000, events = 8192, publishers = 4;
};
constexpr std::uint64_t kTouching = 64;

// A new database.
std::string migrated_dsn() {
    static int count = 0;
    const char* server = std::getenv("LICET_TEST_DSN");
    if (server == nullptr) die("run by tests/support/with_postgres");
    const std::string name = "bench_" + std::to_string(++count), dsn = std::string(server) + " dbname=" + name;
    pqxx::connection connection(server);
    pqxx::nontransaction(connection).exec("CREATE DATABASE " + name);
    const auto crypto = openssl::make_crypto();
    const auto done =
        postgres::migrate({dsn, true, {}, "eu", std::nullopt}, [&](const std::string& text) { return hex(crypto->sha256(as_bytes(text))); });
    if (!done) die("the database cannot be made: " + done.error().detail);
    return dsn;
}

struct Fanout {
    double ratio = 0, wall = 0, cpu = 0, spread = 0, rate = 0;
    bool metered = false;
};

// The rounds alternate: what disturbs the machine disturbs both.
Fanout fan_out(const Options& options, const std::string& directory) {
    const auto cores = two_cores();
    allow_descriptors(8 * kSubscribers);
    const std::string secret = "secret of a benchmark's clients";
    Crowd crowd(cores.client, secret);
    pin_to(cores.server);
    std::uint32_t target = 0;
    const auto node = [&](const char* name, bool metered) {
        NodeOptions o;
        o.directory = directory + "/" + name;
        std::filesystem::create_directories(o.directory);
        o.secret = secret;
        o.contracts = kSubscribers;
        o.metered = metered;
        return std::make_unique<NodeContender>(crowd, target++, name, o,
                                               NodeRounds{static_cast<std::uint32_t>(options.publishers), {256, 4}, options.events, false});
    };
    const auto with = node("metered", true), without = node("unmetered", false);
    with->prepare(256);
    without->prepare(256);
    for (std::uint64_t round = 0; round <= options.rounds; ++round) {
        with->play();
        without->play();
        std::printf("round %llu, M/s: metered %.3f, unmetered %.3f\n", static_cast<unsigned long long>(round), with->last_rate() / 1e6,
                    without->last_rate() / 1e6);
        std::fflush(stdout);
        if (round == 0) {
            with->forget();
            without->forget();
        }
    }
    std::vector<double> walls, cpus;
    for (std::size_t i = 0; i < with->series().rate.size(); ++i) {
        walls.push_back(with->series().rate[i] / without->series().rate[i]);
        cpus.push_back(without->series().cpu_ns[i] / with->series().cpu_ns[i]);
    }
    Fanout out{0, median(walls), median(cpus), spread(walls), median(with->series().rate), with->metered()};
    out.ratio = std::min(out.wall, out.cpu);
    return out;
}

}  // namespace

int main(int count, char** arguments) {
    Options o;
    read_options(
        count, arguments,
        {{"--rounds", &o.rounds}, {"--records", &o.records}, {"--lines", &o.lines}, {"--events", &o.events}, {"--publishers", &o.publishers}});
    ScratchDirectory scratch;
    const auto month = month_of(migrated_dsn(), scratch.path(), o.lines);  // first: its memory is counted
    std::printf("a month of 1,000,000,000 events: closed in %.1f s, %llu lines exported in %.1f s, %.0f MiB\n", month.close_s,
                static_cast<unsigned long long>(month.lines), month.export_s, month.peak_mib);
    std::vector<double> ratios, busy, rates, records;
    for (std::uint64_t round = 0; round < std::max<std::uint64_t>(1, o.rounds / 2); ++round) {
        const auto apart = flush_beside_copy(migrated_dsn(), o.records, 1), touching = flush_beside_copy(migrated_dsn(), o.records, kTouching);
        std::printf("flush %llu: %.0f rows/s beside %.0f of COPY; touching: %.0f records/s into %.0f rows/s beside %.0f\n",
                    static_cast<unsigned long long>(round), apart.rows_per_s, apart.copy_rows_per_s, touching.records_per_s, touching.rows_per_s,
                    touching.copy_rows_per_s);
        ratios.push_back(apart.rows_per_s / apart.copy_rows_per_s);
        busy.push_back(touching.records_per_s / apart.copy_rows_per_s);
        rates.push_back(apart.rows_per_s);
        records.push_back(touching.records_per_s);
    }
    const auto fanout = fan_out(o, scratch.path());
    const bool right = fanout.metered && month.agrees;
    report("metering", {{"metered_ratio", rounded(fanout.ratio)},
                        {"metered_ratio_wall", rounded(fanout.wall)},
                        {"metered_ratio_cpu", rounded(fanout.cpu)},
                        {"metered_ratio_spread", rounded(fanout.spread, 2)},
                        {"deliveries_per_s", std::round(fanout.rate)},
                        {"copy_ratio", rounded(median(ratios))},
                        {"copy_ratio_busy", rounded(median(busy))},
                        {"flushed_rows_per_s", std::round(median(rates))},
                        {"flushed_records_per_s", std::round(median(records))},
                        {"export_s", rounded(month.close_s + month.export_s, 1)},
                        {"rate_s", rounded(month.close_s, 1)},
                        {"csv_s", rounded(month.export_s, 1)},
                        {"export_mib", std::round(month.peak_mib)},
                        {"export_lines", month.lines},
                        {"export_bytes", month.bytes},
                        {"metered", right}});
    return right ? 0 : 1;
}
