#include "bench/metering/month.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <pqxx/pqxx>

#include "base/limits.h"
#include "bench/support/machine.h"
#include "bench/support/node.h"
#include "metering/price.h"
#include "policy/vocabulary.h"
#include "server/app/accounts.h"
#include "server/app/periods.h"
#include "server/exports/exporter.h"
#include "server/openssl/crypto.h"
#include "server/postgres/billing.h"
#include "server/postgres/catalog.h"
#include "server/postgres/ledger.h"
#include "server/postgres/pool.h"

namespace licet::bench {
namespace {

constexpr std::uint64_t kEvents = 1'000'000'000, kDays = 30, kProducts = 4, kIntervals = 4;  // intervals of a line
constexpr std::int64_t kDayMs = 86'400'000, kMonthFrom = 1'790'812'800'000;                  // 2026-10-01: over
constexpr const char* kNode = "month";

double seconds_since(std::chrono::steady_clock::time_point from) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

struct RealClock final : Clock {
    UtcMillis utc_now() const noexcept override {
        return {std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    }
    std::int64_t monotonic_ns() const noexcept override { return std::chrono::steady_clock::now().time_since_epoch().count(); }
};

ports::Configuration market(std::uint64_t contracts) {
    const nlohmann::json mapping{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                                 {"fields", nlohmann::json::array()}};
    ports::Configuration c;
    c.parties = {{"owner", "Owner", "DE", {}, {}}};
    std::vector<std::string> products;
    for (std::uint32_t p = 1; p <= kProducts; ++p) {
        products.push_back("product-" + std::to_string(p));
        c.products.push_back({{p}, products.back(), "Product", "owner", "owner", "", 1, {mapping}});
    }
    const auto price = metering::flat_price("EUR", *metering::Decimal::parse("0.0005"), *metering::Decimal::parse("0.10"));
    for (std::uint32_t i = 1; i <= contracts; ++i) {
        const auto n = std::to_string(100'000 + i);
        c.parties.push_back({"party-" + n, "Party " + n, "DE", {}, {}});
        ports::Contract contract;
        contract.no = {i};
        contract.name = "contract-" + n;
        contract.party = "party-" + n;
        contract.products = products;
        contract.purposes = {"dpv:ServiceProvision"};
        contract.prices = {{"", price}};
        c.contracts.push_back(std::move(contract));
    }
    return c;
}

// Written as a node's flusher would; returns what is in the ledger then.
std::uint64_t fill(ports::UsageLedger& ledger, std::uint64_t contracts) {
    if (!ledger.settle_ended_boots(kNode, 1, [](const ports::UsageOf&, Offset to) { return to; })) die("the ledger takes no node");
    const std::uint64_t each = kEvents / (contracts * kProducts * kDays * kIntervals);
    std::uint64_t sequence = 0, events = 0;
    std::vector<metering::JournalRecord> batch;
    const auto flush = [&] {
        if (const auto done = ledger.flush(kNode, "eu", batch); !done) die("flush: " + done.error().detail);
        batch.clear();
    };
    for (std::uint64_t day = 0; day < kDays; ++day)
        for (std::uint64_t i = 0; i < kIntervals; ++i)
            for (std::uint64_t contract = 1; contract <= contracts; ++contract)
                for (std::uint64_t product = 1; product <= kProducts; ++product) {
                    metering::JournalRecord r;
                    r.boot = 1;
                    r.sequence = ++sequence;
                    r.kind = metering::RecordKind::delivered;
                    r.contract = {static_cast<std::uint32_t>(contract)};
                    r.product = {static_cast<std::uint32_t>(product)};
                    r.stream_epoch = {1};
                    r.from = (day * kIntervals + i) * (each + 1);  // they do not touch
                    r.to = r.from + each;
                    r.events = each;
                    r.bytes = each * 256 + contract;
                    r.at = {kMonthFrom + static_cast<std::int64_t>(day) * kDayMs + static_cast<std::int64_t>(i) * 3'600'000};
                    events += each;
                    batch.push_back(r);
                    if (batch.size() == limits::ledger_flush_max_records) flush();
                }
    if (!batch.empty()) flush();
    return events;
}

double peak_mib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    die("the peak of memory cannot be read");
}

// Of the CSV's column `events`.
std::uint64_t events_of(const std::string& path, std::uint64_t& lines) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    std::size_t column = 0;
    for (std::size_t at = 0, comma = 0; line.substr(at, line.find_first_of(",\r", at) - at) != "events"; ++column) {
        comma = line.find(',', at);
        if (comma == std::string::npos) die("the export has no column of events");
        at = comma + 1;
    }
    std::uint64_t sum = 0;
    for (lines = 0; std::getline(in, line); ++lines) {
        std::size_t at = 0;
        for (std::size_t i = 0; i < column; ++i) at = line.find(',', at) + 1;
        sum += std::stoull(line.substr(at));
    }
    return sum;
}

}  // namespace

Month month_of(const std::string& dsn, const std::string& directory, std::uint64_t lines) {
    const auto contracts = std::max<std::uint64_t>(1, lines / (kProducts * kDays));
    const auto configuration = market(contracts);
    const auto clock = std::make_shared<RealClock>();
    const auto pool = postgres::make_pool(dsn);
    const std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    const auto signer = make_signer(*crypto);
    const std::shared_ptr<ports::Billing> billing = postgres::make_billing(pool, {crypto, signer, clock});
    const auto snapshot = app::build_snapshot(configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    const auto events = fill(*postgres::make_ledger(pool), contracts);
    if (!billing->advance(kNode, 1, {kMonthFrom + static_cast<std::int64_t>(kDays + 1) * kDayMs})) die("the node's progress is not taken");

    std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins here
    Month out;
    auto began = std::chrono::steady_clock::now();
    app::Periods periods({billing, [&] { return Result<ports::Configuration>(configuration); }, crypto, signer, clock, "eu"});
    if (const auto closed = periods.close({"bench"}, "2026-10"); !closed) die("the month is not closed: " + closed.error().detail);
    out.close_s = seconds_since(began);

    began = std::chrono::steady_clock::now();
    const auto accounts = app::make_accounts({billing, [&] { return snapshot; }, clock, "eu"});
    exports::Exporter exporter({accounts, {}, clock, {}, directory});
    const auto wanted = exports::parse_wanted("lines", "csv", "2026-10", "", "");
    if (!wanted) die("the export is not understood");
    const std::string path = directory + "/month.csv";
    if (const auto written = exporter.to_file(*wanted, path, std::nullopt, [](const auto&, const auto*) { return success(); }); !written)
        die("the month is not exported: " + written.error().detail);
    out.export_s = seconds_since(began);
    out.peak_mib = peak_mib();
    out.bytes = std::filesystem::file_size(path);
    out.agrees = events_of(path, out.lines) == events;
    return out;
}

}  // namespace licet::bench
