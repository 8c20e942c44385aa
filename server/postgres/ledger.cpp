#include "server/postgres/ledger.h"

#include <algorithm>
#include <map>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"
#include "server/postgres/suspense.h"
#include "server/postgres/usage_batch.h"
#include "server/postgres/usage_rows.h"

namespace licet::postgres {
namespace {

using metering::JournalRecord;
using ports::UsageOf;

constexpr const char* kExclusionViolation = "23P01";

class PgLedger final : public ports::UsageLedger {
  public:
    explicit PgLedger(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

    Status flush(const std::string& node, const std::string& region, const std::vector<JournalRecord>& records) override {
        if (records.empty()) return success();
        bool covered_is_wrong = false;
        auto done = try_flush(node, region, records, covered_is_wrong);
        if (!covered_is_wrong) return done;
        log::error("ledger.covered_rebuilt", {{"node", node}});
        return try_flush(node, region, records, covered_is_wrong);
    }

    Status settle_ended_boots(const std::string& node, std::uint64_t boot, const std::function<Offset(const UsageOf&, Offset)>& log_end) override {
        node_.with([&](std::string& here) { here = node; });
        return pool_->transact("ledger_settle", [&](pqxx::work& t) {
            refuse_unless_new(t, node, boot);
            suspend_intents(t, node, boot, log_end);
            claim(t, node, boot);
            return Unit{};
        });
    }

    Result<ports::UsageRanges> ranges(const UsageOf& key) override {
        // Before anything is read: what is refused meanwhile is in it.
        const auto [unbilled, fresh] = unbilled_of(key);
        auto read = pool_->transact("ledger_ranges", [&](pqxx::work& t) {
            ports::UsageRanges out{billed_ranges(t, key), {}, acked(t, key)};
            read_suspense(t, key, out);
            return std::pair(std::move(out), fresh ? open_unbilled(t, key) : std::vector<ports::UnbilledRecord>{});
        });
        if (!read) return read.error();
        for (auto& record : read->second) unbilled->add(std::move(record));
        read->first.unbilled = unbilled;
        return std::move(read->first);
    }

    Result<std::vector<ports::UsageTotal>> totals(UtcMillis from, UtcMillis to, const std::vector<ContractNo>& contracts) override {
        return pool_->transact("ledger_totals", [&](pqxx::work& t) { return usage_totals(t, from, to, to, contracts); });
    }

    Result<std::vector<ports::UsageBalance>> balance(UtcMillis from, UtcMillis to) override {
        return pool_->transact("ledger_balance", [&](pqxx::work& t) { return usage_balance(t, from, to); });
    }

  private:
    // `covered_is_wrong`: in, whether what is told of billed ranges is to be made anew first; out, whether that would have helped.
    Status try_flush(const std::string& node, const std::string& region, const std::vector<JournalRecord>& records, bool& covered_is_wrong) {
        const bool rebuild = std::exchange(covered_is_wrong, false);
        std::vector<ports::UnbilledRecord> refused;
        auto done = pool_->transact("ledger_flush", [&](pqxx::work& t) {
            // Whoever else brings records of this node waits here, and then finds them known: a retry may meet the attempt it gave up.
            auto watermarks = lock_watermarks(t, node, records);
            std::map<std::uint64_t, std::int64_t> heard;  // the latest time, by start
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
                heard[r.boot] = std::max(heard[r.boot], r.at.value);
                batch.add(r);
            }
            try {
                if (rebuild) batch.rebuild_covered(t);
                batch.write(t);
            } catch (const pqxx::sql_error& e) {
                covered_is_wrong = e.sqlstate() == kExclusionViolation;
                throw;
            }
            if (batch.covered_is_wrong()) {
                covered_is_wrong = true;
                throw Refused{{Errc::conflict, "the ranges told as billed are not those that are", {}}};
            }
            for (const auto& [boot, sequence] : watermarks)
                t.exec_params("UPDATE usage_watermark SET sequence = $3, at = greatest(at, $4) WHERE node = $1 AND boot = $2 AND sequence < $3", node,
                              boot, sequence, heard[boot]);
            refused = batch.refused();
            return Unit{};
        });
        if (done.ok()) tell_refused(node, std::move(refused));
        return done;
    }

    // The meter's, and whether nobody holds it yet.
    std::pair<std::shared_ptr<ports::UnbilledRecords>, bool> unbilled_of(const UsageOf& key) {
        return unbilled_.with([&](auto& all) {
            auto& held = all[key];
            if (auto known = held.lock()) return std::pair(known, false);
            auto made = std::make_shared<ports::UnbilledRecords>();
            held = made;
            return std::pair(made, true);
        });
    }
    void tell_refused(const std::string& node, std::vector<ports::UnbilledRecord> refused) {
        if (node_.with([&](const std::string& here) { return here != node; })) return;
        unbilled_.with([&](auto& all) {
            for (auto& one : refused) {
                const auto& r = one.record;
                const auto at = all.find({r.contract, r.product, r.partition, r.stream_epoch});
                const auto held = at == all.end() ? nullptr : at->second.lock();
                if (held) held->add(std::move(one));
            }
        });
    }

    // Records of this node that it may count anew: of months that are open.
    std::vector<ports::UnbilledRecord> open_unbilled(pqxx::work& t, const UsageOf& k) {
        const auto node = node_.with([](const std::string& here) { return here; });
        std::vector<ports::UnbilledRecord> out;
        for (const auto& r : t.exec_params(std::string("SELECT lower(range), upper(range), events, bytes, at, view, boot, sequence, rest FROM "
                                                       "usage_unbilled u WHERE ") +
                                               kUsageOf + " AND node = $5 AND NOT isempty(rest) AND " + kOfAnOpenMonth,
                                           k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, node))
            out.push_back({{r[6].as<std::uint64_t>(),
                            r[7].as<std::uint64_t>(),
                            metering::RecordKind::delivered,
                            k.contract,
                            k.product,
                            k.partition,
                            k.stream_epoch,
                            r[0].as<std::uint64_t>(),
                            r[1].as<std::uint64_t>(),
                            r[2].as<std::uint64_t>(),
                            r[3].as<std::uint64_t>(),
                            {r[4].as<std::int64_t>()},
                            {static_cast<std::uint64_t>(r[5].as<std::int64_t>())}},
                           multirange_of(r[8].c_str())});
        return out;
    }

    static void read_suspense(pqxx::work& t, const UsageOf& k, ports::UsageRanges& out) {
        for (const auto& r : t.exec_params(std::string("SELECT ranges, at FROM usage_suspense WHERE ") + kUsageOf, k.contract.value, k.product.value,
                                           k.partition.value, k.stream_epoch.value))
            for (const auto ranges = multirange_of(r[0].c_str()); const auto& [from, to] : ranges.all()) {
                out.suspense.add(from, to);
                out.suspended.push_back({from, to, {r[1].as<std::int64_t>()}});
            }
        out.begun = read_ranges(t.exec_params(std::string("SELECT offsets FROM usage_begun WHERE ") + kUsageOf, k.contract.value, k.product.value,
                                              k.partition.value, k.stream_epoch.value));
    }

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
    static void refuse_unless_new(pqxx::work& t, const std::string& node, std::uint64_t boot) {
        if (!t.exec_params("SELECT 1 FROM usage_watermark WHERE node = $1 AND (boot > $2 OR (boot = $2 AND sequence > 0)) LIMIT 1", node, boot)
                 .empty())
            throw Refused{{Errc::conflict,
                           "the ledger knows a later start of " + node + " than start " + std::to_string(boot) +
                               " of its usage journal: was the journal's directory replaced?",
                           {}}};
    }
    static void claim(pqxx::work& t, const std::string& node, std::uint64_t boot) {
        t.exec_params("INSERT INTO usage_watermark VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", node, boot);
        // From here on periods wait for it.
        t.exec_params(
            "INSERT INTO usage_nodes VALUES ($1, $2, 'running', 0, licet_utc_ms()) ON CONFLICT (node) DO UPDATE SET boot = excluded.boot, "
            "state = 'running', heard_at = excluded.heard_at",
            node, boot);
    }

    static metering::IntervalSet acked(pqxx::work& t, const UsageOf& k) {
        return read_ranges(t.exec_params(std::string("SELECT ranges FROM usage_acked WHERE ") + kUsageOf, k.contract.value, k.product.value,
                                         k.partition.value, k.stream_epoch.value));
    }

    const std::shared_ptr<Pool> pool_;
    Guarded<std::string> node_;  // that uses this ledger, once it has said so
    Guarded<std::map<UsageOf, std::weak_ptr<ports::UnbilledRecords>>> unbilled_;
};

}  // namespace

std::shared_ptr<ports::UsageLedger> make_ledger(std::shared_ptr<Pool> pool) { return std::make_shared<PgLedger>(std::move(pool)); }

}  // namespace licet::postgres
