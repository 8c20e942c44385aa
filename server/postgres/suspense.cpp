#include "server/postgres/suspense.h"

#include <algorithm>
#include <map>
#include <set>

#include "server/postgres/rows.h"
#include "server/postgres/usage_batch.h"

namespace licet::postgres {
namespace {

using metering::IntervalSet;
using ports::UsageOf;

UsageOf meter_of(const pqxx::row& row) {
    return {{row[0].as<std::uint32_t>()}, {row[1].as<std::uint32_t>()}, {row[2].as<std::uint16_t>()}, {row[3].as<std::uint32_t>()}};
}

IntervalSet subtract(IntervalSet from, const IntervalSet& what) {
    for (const auto& [begin, end] : what.all()) from.remove(begin, end);
    return from;
}

void cut(IntervalSet& ranges, Offset end) { ranges.remove(end, std::max(ranges.tail(), end)); }

IntervalSet suspended_ranges(pqxx::work& t, const UsageOf& k) {
    return read_ranges(
        t.exec_params(std::string("SELECT range_agg(r) FROM (SELECT unnest(ranges) AS r FROM usage_suspense WHERE ") + kUsageOf + ") open",
                      k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value));
}

// When a start was last heard of: what it had delivered before that is in the ledger, so what it left open it delivered later, if at all.
std::int64_t heard_of(pqxx::work& t, const std::string& node, std::uint64_t boot) {
    const auto rows = t.exec_params(
        "SELECT greatest((SELECT w.at FROM usage_watermark w WHERE w.node = $1 AND w.boot = $2), (SELECT n.flushed_until FROM usage_nodes n WHERE "
        "n.node = $1 AND n.boot = $2), 0), licet_utc_ms()",
        node, boot);
    const auto at = rows[0][0].as<std::int64_t>();
    return at > 0 ? at : rows[0][1].as<std::int64_t>();
}

void add_suspense(pqxx::work& t, const UsageOf& k, std::int64_t at, const IntervalSet& ranges) {
    t.exec_params(
        "INSERT INTO usage_suspense (contract, product, partition, stream_epoch, at, ranges) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (contract, product, partition, stream_epoch, at, period) DO UPDATE SET ranges = usage_suspense.ranges + excluded.ranges",
        k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, at, multirange_literal(ranges));
}

// Those behind an offset that is billed bound nothing any more.
void add_beginnings(pqxx::work& t, const UsageOf& k, const IntervalSet& added, const IntervalSet& billed) {
    auto all = read_ranges(t.exec_params(std::string("SELECT offsets FROM usage_begun WHERE ") + kUsageOf, k.contract.value, k.product.value,
                                         k.partition.value, k.stream_epoch.value));
    if (all.ranges() == 0 && added.ranges() == 0) return;
    for (const auto& [from, to] : added.all()) all.add(from, to);
    for (const auto& [from, to] : billed.all()) all.remove(from + 1, to + 1);
    t.exec_params(
        "INSERT INTO usage_begun VALUES ($1, $2, $3, $4, $5) ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET "
        "offsets = excluded.offsets",
        k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(all));
}

// Nothing can have been delivered behind the end of the log, whoever put it in suspense (writing a node off, its log is not at hand).
void cut_suspense(pqxx::work& t, const std::vector<UsageOf>& meters, const std::function<Offset(const UsageOf&, Offset)>& log_end) {
    for (const auto& k : meters) {
        const Offset tail = suspended_ranges(t, k).tail();
        const Offset end = tail > 0 ? log_end(k, tail) : tail;
        if (end < tail)
            t.exec_params(std::string("UPDATE usage_suspense SET ranges = ranges * int8multirange(int8range(0, $5)) WHERE ") + kUsageOf,
                          k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, end);
        t.exec_params(std::string("DELETE FROM usage_suspense WHERE isempty(ranges) AND ") + kUsageOf, k.contract.value, k.product.value,
                      k.partition.value, k.stream_epoch.value);
    }
}

}  // namespace

IntervalSet read_ranges(const pqxx::result& rows) { return rows.empty() || rows[0][0].is_null() ? IntervalSet{} : multirange_of(rows[0][0].c_str()); }

IntervalSet billed_ranges(pqxx::work& t, const UsageOf& k) {
    return read_ranges(t.exec_params(std::string("SELECT ranges FROM usage_covered WHERE ") + kUsageOf, k.contract.value, k.product.value,
                                     k.partition.value, k.stream_epoch.value));
}

std::uint64_t suspend_intents(pqxx::work& t, const std::string& node, std::uint64_t below_boot,
                              const std::function<Offset(const UsageOf&, Offset)>& log_end) {
    const auto rows = t.exec_params(
        "DELETE FROM usage_intent WHERE node = $1 AND boot < $2 RETURNING contract, product, partition, stream_epoch, boot, ranges, begun", node,
        below_boot);
    std::set<UsageOf> meters;
    for (const auto& row : rows) meters.insert(meter_of(row));
    for (const auto& row : t.exec("SELECT DISTINCT contract, product, partition, stream_epoch FROM usage_suspense")) meters.insert(meter_of(row));
    const std::vector<UsageOf> all(meters.begin(), meters.end());
    lock_meters(t, all);
    cut_suspense(t, all, log_end);
    std::map<std::uint64_t, std::int64_t> heard;
    // Its intents are suspense already; beginnings may have come since.
    const bool written_off = !t.exec_params("SELECT 1 FROM usage_nodes WHERE node = $1 AND state = 'written-off'", node).empty();
    std::uint64_t added = 0;
    for (const auto& row : rows) {
        const UsageOf k = meter_of(row);
        const auto boot = row[4].as<std::uint64_t>();
        if (!heard.contains(boot)) heard[boot] = heard_of(t, node, boot);
        const auto billed = billed_ranges(t, k);
        auto open = subtract(multirange_of(row[5].c_str()), billed);
        if (open.tail() > 0) cut(open, log_end(k, open.tail()));
        if (open.ranges() == 0 && !written_off) continue;
        // What an earlier start left open keeps the time of that one.
        open = subtract(std::move(open), suspended_ranges(t, k));
        if (open.ranges() > 0) add_suspense(t, k, heard[boot], open);
        add_beginnings(t, k, multirange_of(row[6].c_str()), billed);
        added += open.total();
    }
    return added;
}

}  // namespace licet::postgres
