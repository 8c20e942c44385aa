#include "bench/metering/flush.h"

#include <chrono>
#include <pqxx/pqxx>
#include <pqxx/stream_to>
#include <tuple>

#include "base/limits.h"
#include "bench/support/machine.h"
#include "server/postgres/catalog.h"
#include "server/postgres/ledger.h"
#include "server/postgres/pool.h"

namespace licet::bench {
namespace {

constexpr std::uint64_t kMeters = 1024;
constexpr std::int64_t kNoon = 1'795'262'400'000;  // 2026-11-21T12:00:00Z

double seconds_since(std::chrono::steady_clock::time_point from) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

std::vector<metering::JournalRecord> made_up(std::uint64_t records, std::uint64_t touching) {
    std::vector<metering::JournalRecord> out(records);
    for (std::uint64_t i = 0; i < records; ++i) {
        auto& r = out[i];
        const std::uint64_t run = i / touching, at = run / kMeters * (touching + 1) + i % touching;
        r.boot = 1;
        r.sequence = i + 1;
        r.kind = metering::RecordKind::delivered;
        r.contract = {static_cast<std::uint32_t>(1 + run % kMeters)};
        r.product = {1};
        r.stream_epoch = {1};
        r.from = at * 100;
        r.to = r.from + 100;
        r.events = 100;
        r.bytes = 25'600;
        r.at = {kNoon + static_cast<std::int64_t>(i / 100)};
    }
    return out;
}

}  // namespace

FlushRates flush_beside_copy(const std::string& dsn, std::uint64_t records, std::uint64_t touching) {
    const auto pool = postgres::make_pool(dsn);
    const auto ledger = postgres::make_ledger(pool);
    const auto all = made_up(records, touching);
    const std::string node = "flush";
    pqxx::connection connection(dsn);
    pqxx::nontransaction t(connection);
    if (!ledger->settle_ended_boots(node, 1, [](const ports::UsageOf&, Offset to) { return to; })) die("the ledger takes no node");
    auto began = std::chrono::steady_clock::now();
    for (std::uint64_t at = 0; at < records; at += limits::ledger_flush_max_records) {
        const auto end = std::min<std::uint64_t>(records, at + limits::ledger_flush_max_records);
        const auto done = ledger->flush(node, "eu", {all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(end)});
        if (!done) die("flush: " + done.error().detail);
    }
    const double flushed = seconds_since(began);
    const auto held = t.exec1("SELECT count(*), sum(events) FROM usage_billed");
    const auto rows = held[0].as<std::uint64_t>();
    if (held[1].as<std::uint64_t>() != records * 100) die("the ledger holds another sum");

    t.exec(
        "CREATE TABLE plain_copy (contract integer, product integer, partition integer, stream_epoch bigint, range int8range, events bigint, "
        "bytes bigint, day date, region text, node text, boot bigint, sequence bigint)");
    began = std::chrono::steady_clock::now();
    {
        pqxx::connection copying(dsn);
        pqxx::work work(copying);
        pqxx::stream_to stream(work, "plain_copy");
        for (std::uint64_t i = 0; i < rows; ++i) {
            const auto& r = all[i * touching];
            stream << std::make_tuple(r.contract.value, r.product.value, r.partition.value, r.stream_epoch.value,
                                      "[" + std::to_string(r.from) + "," + std::to_string(r.from + 100 * touching) + ")", r.events, r.bytes,
                                      "2026-11-21", "eu", node, r.boot, r.sequence);
        }
        stream.complete();
        work.commit();
    }
    const double copied = seconds_since(began);
    return {static_cast<double>(records) / flushed, static_cast<double>(rows) / flushed, static_cast<double>(rows) / copied};
}

}  // namespace licet::bench
