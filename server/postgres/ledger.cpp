#include "server/postgres/ledger.h"

#include <map>

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

class PgLedger final : public ports::UsageLedger {
  public:
    explicit PgLedger(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

    Status flush(const std::string& node, const std::string& region, const std::vector<JournalRecord>& records) override {
        if (records.empty()) return success();
        return pool_->transact("ledger_flush", [&](pqxx::work& t) {
            std::map<std::uint64_t, std::uint64_t> watermarks;
            for (const auto& r : t.exec_params("SELECT boot, sequence FROM usage_watermark WHERE node = $1 FOR UPDATE", node))
                watermarks[r[0].as<std::uint64_t>()] = r[1].as<std::uint64_t>();
            std::map<std::pair<std::uint64_t, UsageOf>, metering::IntervalSet> intents;
            std::vector<JournalRecord> delivered;
            for (const auto& r : records) {
                auto& watermark = watermarks[r.boot];
                if (r.sequence <= watermark) continue;
                if (r.sequence != watermark + 1) throw Refused{{Errc::corrupt, "a sequence of the usage journal is missing", {}}};
                watermark = r.sequence;
                if (r.kind == RecordKind::intent) intents[{r.boot, of(r)}].add(r.from, r.to);
                if (r.kind == RecordKind::delivered) merge(delivered, r);
            }
            for (const auto& r : delivered) bill(t, node, region, r);
            for (const auto& [key, ranges] : intents)
                t.exec_params("INSERT INTO usage_intent VALUES ($1, $2, $3, $4, $5, $6, $7::int8multirange) "
                              "ON CONFLICT (node, boot, contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_intent.ranges + excluded.ranges",
                              node, key.first, key.second.contract.value, key.second.product.value, key.second.partition.value, key.second.stream_epoch.value,
                              multirange_literal(ranges));
            for (const auto& [boot, sequence] : watermarks)
                t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, $3) ON CONFLICT (node, boot) DO UPDATE SET sequence = excluded.sequence", node, boot, sequence);
            return Unit{};
        });
    }

    Status settle_ended_boots(const std::string& node, std::uint64_t boot, const std::function<Offset(const UsageOf&, Offset)>& log_end) override {
        return pool_->transact("ledger_settle", [&](pqxx::work& t) {
            const auto rows = t.exec_params("DELETE FROM usage_intent WHERE node = $1 AND boot < $2 RETURNING contract, product, partition, stream_epoch, ranges", node, boot);
            for (const auto& row : rows) {
                const UsageOf key{{row[0].as<std::uint32_t>()}, {row[1].as<std::uint32_t>()}, {row[2].as<std::uint16_t>()}, {row[3].as<std::uint32_t>()}};
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
            for (const auto& r : t.exec_params("SELECT contract, product, day, region, sum(events), sum(bytes) FROM usage_billed WHERE day >= $1 AND day < $2 AND "
                                               "($3::int[] = '{}' OR contract = ANY($3::int[])) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
                                               day(from), day(to), chosen))
                out.push_back({{r[0].as<std::uint32_t>()}, {r[1].as<std::uint32_t>()}, r[2].as<std::string>(), r[3].as<std::string>(), r[4].as<std::uint64_t>(),
                               r[5].as<std::uint64_t>()});
            return out;
        });
    }

    Result<std::vector<std::pair<UsageOf, std::uint64_t>>> suspense() override {
        return pool_->transact("ledger_suspense", [&](pqxx::work& t) {
            std::vector<std::pair<UsageOf, std::uint64_t>> out;
            for (const auto& r : t.exec("SELECT contract, product, partition, stream_epoch, ranges FROM usage_suspense ORDER BY 1, 2, 3, 4")) {
                const auto total = multirange_of(r[4].c_str()).total();
                const UsageOf key{{r[0].as<std::uint32_t>()}, {r[1].as<std::uint32_t>()}, {r[2].as<std::uint16_t>()}, {r[3].as<std::uint32_t>()}};
                if (total > 0) out.emplace_back(key, total);
            }
            return out;
        });
    }

  private:
    // Adjacent records of one meter, day and boot become one row.
    static void merge(std::vector<JournalRecord>& into, const JournalRecord& r) {
        for (auto at = into.rbegin(); at != into.rend(); ++at) {
            if (of(*at) != of(r)) continue;
            if (at->to == r.from && at->boot == r.boot && day(at->at) == day(r.at)) {
                at->to = r.to;
                at->events += r.events;
                at->bytes += r.bytes;
                at->sequence = r.sequence;
                return;
            }
            break;
        }
        into.push_back(r);
    }

    static metering::IntervalSet read_set(const pqxx::result& rows) {
        return rows.empty() || rows[0][0].is_null() ? metering::IntervalSet{} : multirange_of(rows[0][0].c_str());
    }
    static metering::IntervalSet billed(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT range_agg(range) FROM usage_billed WHERE ") + kOf, k.contract.value, k.product.value, k.partition.value,
                                      k.stream_epoch.value));
    }
    static metering::IntervalSet suspended(pqxx::work& t, const UsageOf& k) {
        return read_set(t.exec_params(std::string("SELECT ranges FROM usage_suspense WHERE ") + kOf, k.contract.value, k.product.value, k.partition.value,
                                      k.stream_epoch.value));
    }
    static void add_suspense(pqxx::work& t, const UsageOf& k, const metering::IntervalSet& ranges) {
        t.exec_params("INSERT INTO usage_suspense VALUES ($1, $2, $3, $4, $5::int8multirange) "
                      "ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_suspense.ranges + excluded.ranges",
                      k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(ranges));
    }

    static void bill(pqxx::work& t, const std::string& node, const std::string& region, const JournalRecord& r) {
        const UsageOf k = of(r);
        const auto overlap = read_set(t.exec_params(std::string("SELECT range_agg(range) FROM usage_billed WHERE ") + kOf + " AND range && $5::int8range", k.contract.value,
                                                    k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to)));
        if (overlap.ranges() == 0) {
            t.exec_params("INSERT INTO usage_billed VALUES ($1, $2, $3, $4, $5::int8range, $6, $7, $8, $9, $10, $11, $12)", k.contract.value, k.product.value,
                          k.partition.value, k.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), region, node, r.boot, r.sequence);
        } else {
            // Another node delivered part of it first. What is left cannot be split into events and bytes here.
            t.exec_params("INSERT INTO usage_unbilled VALUES ($1, $2, $3, $4, $5::int8range, $6, $7, $8, $9, $10, $11)", k.contract.value, k.product.value,
                          k.partition.value, k.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), node, r.boot, r.sequence);
            metering::IntervalSet rest;
            rest.add(r.from, r.to);
            rest = subtract(rest, overlap);
            if (rest.ranges() > 0) add_suspense(t, k, rest);
            return;
        }
        t.exec_params(std::string("UPDATE usage_suspense SET ranges = ranges - int8multirange($5::int8range) WHERE ") + kOf + " AND ranges && $5::int8range",
                      k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, range(r.from, r.to));
    }

    const std::shared_ptr<Pool> pool_;
};

}  // namespace

std::shared_ptr<ports::UsageLedger> make_ledger(std::shared_ptr<Pool> pool) { return std::make_shared<PgLedger>(std::move(pool)); }

}  // namespace licet::postgres
