#include "server/postgres/ledger.h"

#include <algorithm>
#include <map>
#include <set>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using metering::JournalRecord;
using metering::RecordKind;
using ports::UsageOf;

constexpr const char* kOf = "contract = $1 AND product = $2 AND partition = $3 AND stream_epoch = $4";

UsageOf of(const JournalRecord& r) { return {r.contract, r.product, r.partition, r.stream_epoch}; }
std::string range(Offset from, Offset to) { return "[" + std::to_string(from) + "," + std::to_string(to) + ")"; }
std::string day(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

metering::IntervalSet subtract(metering::IntervalSet from, const metering::IntervalSet& what) {
    for (const auto& [begin, end] : what.all()) from.remove(begin, end);
    return from;
}

constexpr int kMeterLocks = 0x6c696375;  // "licu"
constexpr std::uint64_t kMeterBuckets = 256;

// Until commit nobody else bills these meters or puts them in suspense: either must see the other's work. A lock may stand for several meters, so
// that a flush of many does not exhaust the server's lock table; taken in one order.
void lock_meters(pqxx::work& t, const std::vector<UsageOf>& meters) {
    std::set<std::uint64_t> buckets;
    for (const auto& of : meters) {
        const std::uint64_t words[] = {of.contract.value, of.product.value, of.partition.value, of.stream_epoch.value};
        std::uint64_t mixed = 0;
        for (const auto word : words) mixed = (mixed ^ word) * 0x9e3779b97f4a7c15u;
        buckets.insert((mixed >> 32) % kMeterBuckets);
    }
    for (const auto bucket : buckets) t.exec_params("SELECT pg_advisory_xact_lock($1::int, $2::int)", kMeterLocks, bucket);
}

class PgLedger final : public ports::UsageLedger {
  public:
    explicit PgLedger(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

    Status flush(const std::string& node, const std::string& region, const std::vector<JournalRecord>& records) override {
        if (records.empty()) return success();
        return pool_->transact("ledger_flush", [&](pqxx::work& t) {
            std::map<std::uint64_t, std::uint64_t> watermarks;
            for (const auto& r : t.exec_params("SELECT boot, sequence FROM usage_watermark WHERE node = $1 FOR UPDATE", node))
                watermarks[r[0].as<std::uint64_t>()] = r[1].as<std::uint64_t>();
            Taken taken;
            for (const auto& r : records) {
                auto& watermark = watermarks[r.boot];
                if (r.sequence <= watermark) continue;
                if (r.sequence != watermark + 1)
                    throw Refused{
                        {Errc::corrupt,
                         "the usage journal of " + node + " misses sequence " + std::to_string(watermark + 1) + " of start " + std::to_string(r.boot),
                         {}}};
                watermark = r.sequence;
                taken.add(r);
            }
            std::vector<UsageOf> meters;
            for (const auto& run : taken.delivered) meters.push_back(of(run.whole));
            lock_meters(t, meters);
            for (const auto& run : taken.delivered) bill_run(t, node, region, run);
            write_intents(t, node, taken);
            for (const auto& [key, count] : taken.counts)
                t.exec_params(
                    "INSERT INTO usage_delivered VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (contract, product, partition, stream_epoch, day) "
                    "DO UPDATE "
                    "SET events = usage_delivered.events + excluded.events, bytes = usage_delivered.bytes + excluded.bytes",
                    key.first.contract.value, key.first.product.value, key.first.partition.value, key.first.stream_epoch.value, key.second,
                    count.events, count.bytes);
            for (const auto& [boot, sequence] : watermarks)
                t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, $3) ON CONFLICT (node, boot) DO UPDATE SET sequence = excluded.sequence",
                              node, boot, sequence);
            return Unit{};
        });
    }

    Status settle_ended_boots(const std::string& node, std::uint64_t boot, const std::function<Offset(const UsageOf&, Offset)>& log_end) override {
        return pool_->transact("ledger_settle", [&](pqxx::work& t) {
            claim(t, node, boot);
            const auto rows = t.exec_params(
                "DELETE FROM usage_intent WHERE node = $1 AND boot < $2 RETURNING contract, product, partition, stream_epoch, ranges", node, boot);
            const auto meter = [](const pqxx::row& row) {
                return UsageOf{
                    {row[0].as<std::uint32_t>()}, {row[1].as<std::uint32_t>()}, {row[2].as<std::uint16_t>()}, {row[3].as<std::uint32_t>()}};
            };
            std::vector<UsageOf> meters;
            for (const auto& row : rows) meters.push_back(meter(row));
            lock_meters(t, meters);
            for (const auto& row : rows) {
                const UsageOf key = meter(row);
                auto open = subtract(multirange_of(row[4].c_str()), billed(t, key));
                if (open.tail() > 0) {
                    const Offset end = log_end(key, open.tail());
                    open.remove(end, std::max(open.tail(), end));
                }
                if (open.ranges() > 0) add_suspense(t, key, open);
            }
            return Unit{};
        });
    }

    Result<ports::UsageRanges> ranges(const UsageOf& key) override {
        return pool_->transact("ledger_ranges", [&](pqxx::work& t) { return ports::UsageRanges{billed(t, key), suspended(t, key)}; });
    }

    Result<std::vector<ports::UsageTotal>> totals(UtcMillis from, UtcMillis to, const std::vector<ContractNo>& contracts) override {
        return pool_->transact("ledger_totals", [&](pqxx::work& t) {
            std::string chosen = "{";
            for (const auto c : contracts) chosen += (chosen.size() > 1 ? "," : "") + std::to_string(c.value);
            chosen += "}";
            std::vector<ports::UsageTotal> out;
            for (const auto& r :
                 t.exec_params("SELECT contract, product, day, region, sum(events), sum(bytes) FROM usage_billed WHERE day >= $1 AND day < $2 AND "
                               "($3::int[] = '{}' OR contract = ANY($3::int[])) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
                               day(from), day(to), chosen))
                out.push_back({{r[0].as<std::uint32_t>()},
                               {r[1].as<std::uint32_t>()},
                               r[2].as<std::string>(),
                               r[3].as<std::string>(),
                               r[4].as<std::uint64_t>(),
                               r[5].as<std::uint64_t>()});
            return out;
        });
    }

    Result<std::vector<ports::UsageBalance>> balance(UtcMillis from, UtcMillis to) override {
        return pool_->transact("ledger_balance", [&](pqxx::work& t) {
            std::vector<ports::UsageBalance> out;
            for (const auto& r : t.exec_params(
                     "SELECT contract, product, coalesce(de, 0), coalesce(db, 0), coalesce(be, 0), coalesce(bb, 0), coalesce(ue, 0), coalesce(ub, "
                     "0), "
                     "coalesce(offsets, 0) FROM "
                     "(SELECT contract, product, sum(delivered_events) de, sum(delivered_bytes) db, sum(billed_events) be, sum(billed_bytes) bb, "
                     "sum(unbilled_events) ue, sum(unbilled_bytes) ub FROM usage_balance WHERE day >= $1 AND day < $2 GROUP BY 1, 2) books "
                     "FULL JOIN (SELECT contract, product, sum(offsets) offsets FROM usage_suspense_offsets GROUP BY 1, 2) open USING (contract, "
                     "product) "
                     "ORDER BY 1, 2",
                     day(from), day(to))) {
                const auto count = [&](int at) { return ports::UsageCount{r[at].as<std::uint64_t>(), r[at + 1].as<std::uint64_t>()}; };
                out.push_back({{r[0].as<std::uint32_t>()}, {r[1].as<std::uint32_t>()}, count(2), count(4), count(6), r[8].as<std::uint64_t>()});
            }
            return out;
        });
    }

  private:
    // Adjacent delivered records of one meter, day and boot: one row, unless part of it turns out to be billed already.
    struct Run {
        JournalRecord whole;
        std::vector<JournalRecord> records;
    };
    // What the records of one flush come to.
    struct Taken {
        struct Intents {
            metering::IntervalSet added, removed;
        };
        std::vector<Run> delivered;
        std::map<std::pair<std::uint64_t, UsageOf>, Intents> intents;
        std::map<std::pair<UsageOf, std::string>, ports::UsageCount> counts;

        void add(const JournalRecord& r) {
            if (r.kind == RecordKind::intent) intents[{r.boot, of(r)}].added.add(r.from, r.to);
            if (r.kind == RecordKind::aborted) {
                auto& at = intents[{r.boot, of(r)}];
                at.added.remove(r.from, r.to);
                at.removed.add(r.from, r.to);
            }
            if (r.kind != RecordKind::delivered) return;
            auto& count = counts[{of(r), day(r.at)}];
            count.events += r.events;
            count.bytes += r.bytes;
            const auto run = std::find_if(delivered.rbegin(), delivered.rend(), [&](const Run& x) { return of(x.whole) == of(r); });
            if (run == delivered.rend() || run->whole.to != r.from || run->whole.boot != r.boot || day(run->whole.at) != day(r.at)) {
                delivered.push_back({r, {r}});
                return;
            }
            run->whole.to = r.to;
            run->whole.events += r.events;
            run->whole.bytes += r.bytes;
            run->whole.sequence = r.sequence;
            run->records.push_back(r);
        }
    };

    // A journal that starts to count anew would have its records taken for known ones.
    static void claim(pqxx::work& t, const std::string& node, std::uint64_t boot) {
        if (!t.exec_params("SELECT 1 FROM usage_watermark WHERE node = $1 AND (boot > $2 OR (boot = $2 AND sequence > 0)) LIMIT 1", node, boot)
                 .empty())
            throw Refused{{Errc::conflict,
                           "the ledger knows a later start of " + node + " than start " + std::to_string(boot) +
                               " of its usage journal: was the journal's directory replaced?",
                           {}}};
        t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", node, boot);
    }

    static void write_intents(pqxx::work& t, const std::string& node, const Taken& taken) {
        for (const auto& [key, ranges] : taken.intents)
            t.exec_params(
                "INSERT INTO usage_intent VALUES ($1, $2, $3, $4, $5, $6, $7::int8multirange) ON CONFLICT (node, boot, contract, product, partition, "
                "stream_epoch) "
                "DO UPDATE SET ranges = usage_intent.ranges - $8::int8multirange + excluded.ranges",
                node, key.first, key.second.contract.value, key.second.product.value, key.second.partition.value, key.second.stream_epoch.value,
                multirange_literal(ranges.added), multirange_literal(ranges.removed));
    }

    static metering::IntervalSet read_set(const pqxx::result& rows) {
        return rows.empty() || rows[0][0].is_null() ? metering::IntervalSet{} : multirange_of(rows[0][0].c_str());
    }
    static metering::IntervalSet billed(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT range_agg(range) FROM usage_billed WHERE ") + kOf, k.contract.value, k.product.value,
                                      k.partition.value, k.stream_epoch.value));
    }
    static metering::IntervalSet suspended(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT ranges FROM usage_suspense WHERE ") + kOf, k.contract.value, k.product.value,
                                      k.partition.value, k.stream_epoch.value));
    }
    static void add_suspense(pqxx::work& t, const UsageOf& k, const metering::IntervalSet& ranges) {
        t.exec_params(
            "INSERT INTO usage_suspense VALUES ($1, $2, $3, $4, $5::int8multirange) "
            "ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_suspense.ranges + excluded.ranges",
            k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(ranges));
    }

    static metering::IntervalSet billed_within(pqxx::work& t, const JournalRecord& r) {
        const UsageOf k = of(r);
        return read_set(t.exec_params(std::string("SELECT range_agg(range) FROM usage_billed WHERE ") + kOf + " AND range && $5::int8range",
                                      k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to)));
    }

    static void bill_run(pqxx::work& t, const std::string& node, const std::string& region, const Run& run) {
        if (billed_within(t, run.whole).ranges() == 0) return bill(t, node, region, run.whole);
        for (const auto& r : run.records) {
            const auto overlap = billed_within(t, r);
            if (overlap.ranges() == 0)
                bill(t, node, region, r);
            else
                leave_unbilled(t, node, r, overlap);
        }
    }

    static void bill(pqxx::work& t, const std::string& node, const std::string& region, const JournalRecord& r) {
        const UsageOf k = of(r);
        t.exec_params("INSERT INTO usage_billed VALUES ($1, $2, $3, $4, $5::int8range, $6, $7, $8, $9, $10, $11, $12)", k.contract.value,
                      k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), region, node,
                      r.boot, r.sequence);
        t.exec_params(
            std::string("UPDATE usage_suspense SET ranges = ranges - int8multirange($5::int8range) WHERE ") + kOf + " AND ranges && $5::int8range",
            k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to));
    }

    // Another node delivered part of it first. The rest cannot be split into events and bytes here.
    static void leave_unbilled(pqxx::work& t, const std::string& node, const JournalRecord& r, const metering::IntervalSet& overlap) {
        const UsageOf k = of(r);
        t.exec_params("INSERT INTO usage_unbilled VALUES ($1, $2, $3, $4, $5::int8range, $6, $7, $8, $9, $10, $11)", k.contract.value,
                      k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), node, r.boot,
                      r.sequence);
        metering::IntervalSet rest;
        rest.add(r.from, r.to);
        rest = subtract(rest, overlap);
        if (rest.ranges() > 0) add_suspense(t, k, rest);
    }

    const std::shared_ptr<Pool> pool_;
};

}  // namespace

std::shared_ptr<ports::UsageLedger> make_ledger(std::shared_ptr<Pool> pool) { return std::make_shared<PgLedger>(std::move(pool)); }

}  // namespace licet::postgres
