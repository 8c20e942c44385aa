#include "server/postgres/ledger.h"

#include <algorithm>
#include <map>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"
#include "server/postgres/usage_batch.h"

namespace licet::postgres {
namespace {

using metering::JournalRecord;
using ports::UsageOf;

constexpr const char* kOf = "contract = $1 AND product = $2 AND partition = $3 AND stream_epoch = $4";

std::string day(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

metering::IntervalSet subtract(metering::IntervalSet from, const metering::IntervalSet& what) {
    for (const auto& [begin, end] : what.all()) from.remove(begin, end);
    return from;
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
            UsageBatch batch(node, region);
            for (const auto& r : records) {
                auto& watermark = watermarks[r.boot];
                if (r.sequence <= watermark) continue;
                if (r.sequence != watermark + 1)
                    throw Refused{
                        {Errc::corrupt,
                         "the usage journal of " + node + " misses sequence " + std::to_string(watermark + 1) + " of start " + std::to_string(r.boot),
                         {}}};
                watermark = r.sequence;
                batch.add(r);
            }
            batch.write(t);
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
            std::map<UsageOf, metering::IntervalSet> suspense;
            for (const auto& row : rows) {
                const UsageOf key = meter(row);
                auto open = subtract(multirange_of(row[4].c_str()), billed(t, key));
                if (open.tail() > 0) {
                    const Offset end = log_end(key, open.tail());
                    open.remove(end, std::max(open.tail(), end));
                }
                for (const auto& [from, to] : open.all()) suspense[key].add(from, to);
            }
            add_suspense(t, suspense);
            return Unit{};
        });
    }

    Result<ports::UsageRanges> ranges(const UsageOf& key) override {
        return pool_->transact("ledger_ranges", [&](pqxx::work& t) { return ports::UsageRanges{billed(t, key), suspended(t, key), acked(t, key)}; });
    }

    Result<std::vector<ports::UsageTotal>> totals(UtcMillis from, UtcMillis to, const std::vector<ContractNo>& contracts) override {
        return pool_->transact("ledger_totals", [&](pqxx::work& t) {
            std::string chosen = "{";
            for (const auto c : contracts) chosen += (chosen.size() > 1 ? "," : "") + std::to_string(c.value);
            chosen += "}";
            std::vector<ports::UsageTotal> out;
            for (const auto& r : t.exec_params(
                     "SELECT contract, product, day, region, events, bytes, CASE view WHEN 0 THEN '' ELSE lpad(to_hex(view), 16, '0') END, minutes, "
                     "replayed_events, replayed_bytes FROM usage_lines WHERE day >= $1 AND day < $2 AND ($3::int[] = '{}' OR contract = "
                     "ANY($3::int[])) ORDER BY contract, product, day, region, view",
                     day(from), day(to), chosen))
                out.push_back({{r[0].as<std::uint32_t>()},
                               {r[1].as<std::uint32_t>()},
                               r[2].as<std::string>(),
                               r[3].as<std::string>(),
                               r[4].as<std::uint64_t>(),
                               r[5].as<std::uint64_t>(),
                               r[6].as<std::string>(),
                               r[7].as<std::uint64_t>(),
                               r[8].as<std::uint64_t>(),
                               r[9].as<std::uint64_t>()});
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
    static metering::IntervalSet acked(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT ranges FROM usage_acked WHERE ") + kOf, k.contract.value, k.product.value,
                                      k.partition.value, k.stream_epoch.value));
    }

    const std::shared_ptr<Pool> pool_;
};

}  // namespace

std::shared_ptr<ports::UsageLedger> make_ledger(std::shared_ptr<Pool> pool) { return std::make_shared<PgLedger>(std::move(pool)); }

}  // namespace licet::postgres
