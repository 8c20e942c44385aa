#include "server/postgres/ledger.h"

#include <algorithm>
#include <map>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"
#include "server/postgres/usage_batch.h"
#include "server/postgres/usage_rows.h"

namespace licet::postgres {
namespace {

using metering::JournalRecord;
using ports::UsageOf;

constexpr const char* kOf = "contract = $1 AND product = $2 AND partition = $3 AND stream_epoch = $4";

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
            // Whoever else brings records of this node waits here, and then finds them known: a retry may meet the attempt it gave up.
            auto watermarks = lock_watermarks(t, node, records);
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
                t.exec_params("UPDATE usage_watermark SET sequence = $3 WHERE node = $1 AND boot = $2 AND sequence < $3", node, boot, sequence);
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
        return pool_->transact("ledger_totals", [&](pqxx::work& t) { return usage_totals(t, from, to, to, contracts); });
    }

    Result<std::vector<ports::UsageBalance>> balance(UtcMillis from, UtcMillis to) override {
        return pool_->transact("ledger_balance", [&](pqxx::work& t) { return usage_balance(t, from, to); });
    }

  private:
    // Of the starts that the records are of: few, while a node may have had thousands.
    static std::map<std::uint64_t, std::uint64_t> lock_watermarks(pqxx::work& t, const std::string& node, const std::vector<JournalRecord>& records) {
        std::map<std::uint64_t, std::uint64_t> out;
        for (const auto& record : records) {
            if (out.contains(record.boot)) continue;
            const auto lock = [&] {
                return t.exec_params("SELECT sequence FROM usage_watermark WHERE node = $1 AND boot = $2 FOR UPDATE", node, record.boot);
            };
            auto row = lock();
            if (row.empty()) {
                t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", node, record.boot);
                row = lock();
            }
            out[record.boot] = row[0][0].as<std::uint64_t>();
        }
        return out;
    }

    // A journal that starts to count anew would have its records taken for known ones.
    static void claim(pqxx::work& t, const std::string& node, std::uint64_t boot) {
        if (!t.exec_params("SELECT 1 FROM usage_watermark WHERE node = $1 AND (boot > $2 OR (boot = $2 AND sequence > 0)) LIMIT 1", node, boot)
                 .empty())
            throw Refused{{Errc::conflict,
                           "the ledger knows a later start of " + node + " than start " + std::to_string(boot) +
                               " of its usage journal: was the journal's directory replaced?",
                           {}}};
        t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", node, boot);
        // From here on periods wait for it.
        t.exec_params(
            "INSERT INTO usage_nodes VALUES ($1, $2, 'running', 0, licet_utc_ms()) ON CONFLICT (node) DO UPDATE SET boot = excluded.boot, "
            "state = 'running', heard_at = excluded.heard_at",
            node, boot);
    }

    static metering::IntervalSet read_set(const pqxx::result& rows) {
        return rows.empty() || rows[0][0].is_null() ? metering::IntervalSet{} : multirange_of(rows[0][0].c_str());
    }
    static metering::IntervalSet billed(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT ranges FROM usage_covered WHERE ") + kOf, k.contract.value, k.product.value,
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
