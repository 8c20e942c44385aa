#include "server/postgres/billing.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "server/postgres/booked_usage.h"
#include "server/postgres/period_rows.h"
#include "server/postgres/statement_rows.h"
#include "server/postgres/suspense.h"

namespace licet::postgres {
namespace {

using nlohmann::json;
using ports::NodeProgress;
using ports::StatementRow;

constexpr const char* kLockShared = "SELECT pg_advisory_xact_lock_shared(7811887391290093939)";
constexpr const char* kLockTimeout = "55P03";  // SQLSTATE
constexpr const char* kLockAlone = "SELECT pg_advisory_xact_lock(7811887391290093939)";

// Of node $1, by meter: intended, not billed.
constexpr const char* kOpenIntents =
    "SELECT contract, product, partition, stream_epoch, ranges FROM (SELECT i.contract, i.product, i.partition, i.stream_epoch, "
    "range_agg(i.ranges) - coalesce((SELECT c.ranges FROM usage_covered c WHERE (c.contract, c.product, c.partition, c.stream_epoch) = (i.contract, "
    "i.product, i.partition, i.stream_epoch)), '{}') AS ranges FROM usage_intent i WHERE i.node = $1 GROUP BY 1, 2, 3, 4) intended "
    "WHERE NOT isempty(ranges)";

// A period is closed by one at a time: whoever comes meanwhile waits a little, and is told.
void lock_closing(pqxx::work& t) {
    t.exec("SET LOCAL lock_timeout = " + std::to_string(limits::closing_wait_ms));
    try {
        t.exec("SELECT pg_advisory_xact_lock(7811887391290093941)");
    } catch (const pqxx::sql_error& e) {
        if (e.sqlstate() != kLockTimeout) throw;
        throw Refused{{Errc::conflict, "the period is being closed at this moment", {}}};
    }
    t.exec("SET LOCAL lock_timeout = 0");
}

// Until commit nothing is booked. Who books waits behind this, so it does not wait long itself.
void lock_booking(pqxx::work& t) {
    t.exec("SET LOCAL lock_timeout = " + std::to_string(limits::closing_wait_ms));
    try {
        t.exec(kLockAlone);
    } catch (const pqxx::sql_error& e) {
        if (e.sqlstate() != kLockTimeout) throw;
        throw Refused{{Errc::unavailable, "what is being booked takes too long to wait for: ask again", {}}};
    }
}

void refuse_unless_closable(pqxx::work& t, const Month& month) {
    refuse_unless_open(t, month);
    refuse_unless_over(t, month);
}

ports::PeriodCut cut_of(pqxx::work& t, std::string_view period) {
    auto cut = read_closing(t);
    if (cut && cut->period == period) return *std::move(cut);
    refuse_unless_open(t, month_of(period));
    throw Refused{{Errc::conflict, "the period is not cut", {}}};
}

// What is known of a later start of the node is left as it is.
void note_progress(pqxx::work& t, const std::string& node, std::uint64_t boot, const char* state, UtcMillis until) {
    const auto done =
        t.exec_params("UPDATE usage_nodes SET boot = $2, state = $3, flushed_until = $4, heard_at = licet_utc_ms() WHERE node = $1 AND boot <= $2",
                      node, boot, state, until.value);
    if (done.affected_rows() == 0) throw Refused{{Errc::not_found, "the ledger knows no such start of the node", {}}};
}

class PgBilling final : public ports::Billing {
  public:
    PgBilling(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Status read(const std::function<Status(ports::BookedUsage&)>& read) override {
        return pool_->transact("billing_read", [&](pqxx::work& t) {
            t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
            t.exec("SET LOCAL statement_timeout = " + std::to_string(limits::closing_statement_timeout_ms));
            Booked booked(t);
            if (auto done = read(booked); !done) throw Refused{done.error()};
            return Unit{};
        });
    }

    Status advance(const std::string& node, std::uint64_t boot, UtcMillis until) override {
        return pool_->transact("node_progress", [&](pqxx::work& t) {
            note_progress(t, node, boot, "running", until);
            return Unit{};
        });
    }
    Status ended(const std::string& node, std::uint64_t boot, UtcMillis until) override {
        return pool_->transact("node_ended", [&](pqxx::work& t) {
            if (!t.exec_params(std::string("SELECT 1 FROM (") + kOpenIntents +
                                   ") open LEFT JOIN (SELECT contract, product, partition, stream_epoch, range_agg(r) AS ranges FROM usage_suspense, "
                                   "unnest(ranges) r GROUP BY 1, 2, 3, 4) s USING (contract, product, partition, stream_epoch) "
                                   "WHERE NOT isempty(open.ranges - coalesce(s.ranges, '{}')) LIMIT 1",
                               node)
                     .empty())
                throw Refused{{Errc::conflict, "it is not known of all the node meant to deliver whether it did", {}}};
            note_progress(t, node, boot, "ended", until);
            return Unit{};
        });
    }

    Result<std::vector<NodeProgress>> nodes() override {
        return pool_->transact("billing_nodes", [&](pqxx::work& t) { return read_nodes(t); });
    }

    Result<std::uint64_t> write_off(const std::string& node, UtcMillis silent_since, ports::AuditEntry audit) override {
        return pool_->transact("write_off", [&](pqxx::work& t) {
            const auto held = t.exec_params("SELECT boot, state, flushed_until, heard_at FROM usage_nodes WHERE node = $1 FOR UPDATE", node);
            if (held.empty()) throw Refused{{Errc::not_found, "the ledger knows no such node", "path:node"}};
            if (held[0][1].as<std::string>() != "running")
                throw Refused{{Errc::conflict, "the node is " + held[0][1].as<std::string>() + ": no period waits for it", "path:node"}};
            if (held[0][3].as<std::int64_t>() > silent_since.value)
                throw Refused{
                    {Errc::conflict, "the node was heard of at " + format_rfc3339({held[0][3].as<std::int64_t>()}) + ": it lives", "path:node"}};
            // Whole: the end of its log is not known here. Should it come back, it takes off what lies behind that.
            const auto open = suspend_intents(t, node, std::numeric_limits<std::int64_t>::max(), [](const ports::UsageOf&, Offset to) { return to; });
            t.exec_params("UPDATE usage_nodes SET state = 'written-off' WHERE node = $1", node);
            audit.detail["boot"] = held[0][0].as<std::uint64_t>();
            audit.detail["flushedUntil"] = format_rfc3339({held[0][2].as<std::int64_t>()});
            audit.detail["intendedOffsets"] = open;
            append_audit(t, sealing_, audit);
            return open;
        });
    }

    Result<std::vector<ports::ClosedPeriod>> closed() override {
        return pool_->transact("billing_closed", [&](pqxx::work& t) {
            std::vector<ports::ClosedPeriod> out;
            for (const auto& r :
                 t.exec("SELECT to_char(period, 'YYYY-MM'), closed_at, closed_by, first_number, statements FROM billing_periods ORDER BY 1"))
                out.push_back(
                    {r[0].as<std::string>(), {r[1].as<std::int64_t>()}, r[2].as<std::string>(), r[3].as<std::uint64_t>(), r[4].as<std::uint64_t>()});
            return out;
        });
    }

    Result<std::vector<std::string>> open_months() override {
        return pool_->transact("billing_open", [&](pqxx::work& t) {
            std::vector<std::string> out;
            for (const auto& r : t.exec("SELECT to_char(period, 'YYYY-MM') FROM usage_months WHERE period > coalesce((SELECT max(p.period) FROM "
                                        "billing_periods p), '-infinity') ORDER BY 1"))
                out.push_back(r[0].as<std::string>());
            return out;
        });
    }

    Result<std::optional<ports::PeriodCut>> closing() override {
        return pool_->transact("billing_closing", [&](pqxx::work& t) { return read_closing(t); });
    }

    Status may_cut(std::string_view period) override {
        return pool_->transact("may_cut", [&](pqxx::work& t) {
            if (const auto cut = read_closing(t); !cut || cut->period != period) refuse_unless_closable(t, month_of(period));
            return Unit{};
        });
    }

    Result<ports::PeriodCut> cut(std::string_view period, UtcMillis at, const ports::AuditEntry& audit, const std::string& terms) override {
        return pool_->transact("cut_period", [&](pqxx::work& t) {
            const Month month = month_of(period);
            lock_booking(t);
            if (auto known = read_closing(t); known && known->period == period) return *std::move(known);
            refuse_unless_closable(t, month);
            const ports::PeriodCut cut{std::string(period), at, audit.actor, terms};
            insert_cut(t, cut);
            append_audit(t, sealing_, audit);
            return cut;
        });
    }

    Status restate(std::string_view period, const std::string& terms, const ports::AuditEntry& audit) override {
        return pool_->transact("restate_period", [&](pqxx::work& t) {
            lock_closing(t);
            (void)cut_of(t, period);
            insert_terms(t, month_of(period), terms);
            append_audit(t, sealing_, audit);
            return Unit{};
        });
    }

    Result<ports::ClosedPeriod> close(std::string_view period, const ports::AuditEntry& audit, const Build& build) override {
        return pool_->transact("close_period", [&](pqxx::work& t) {
            t.exec("SET LOCAL statement_timeout = " + std::to_string(limits::closing_statement_timeout_ms));
            // Of a node that is gone without a word the server would wait for hours, and so would whoever takes it up.
            t.exec("SET LOCAL idle_in_transaction_session_timeout = " + std::to_string(limits::closing_silence_ms));
            lock_closing(t);
            const auto cut = cut_of(t, period);
            lock_chain(t);
            const auto chain = chain_end(t);
            Booked booked(t);
            StatementWriter writer(t);
            if (auto done = build(cut, booked, chain, writer); !done) throw Refused{done.error()};
            writer.finish();
            const ports::ClosedPeriod out{cut.period, cut.at, cut.by, chain.next, writer.statements()};
            t.exec_params("INSERT INTO billing_periods VALUES ($1, $2, $3, $4, $5)", day_text(month_of(period).from), out.closed_at.value,
                          out.closed_by, out.first_number, out.statements);
            auto entry = audit;
            entry.detail["firstStatement"] = out.statements == 0 ? json() : json(out.first_number);
            entry.detail["statements"] = out.statements;
            append_audit(t, sealing_, entry);
            return out;
        });
    }

    Result<StatementRow> book_note(std::string_view period, const ports::AuditEntry& audit, const BuildNote& build) override {
        return pool_->transact("book_note", [&](pqxx::work& t) {
            t.exec(kLockShared);
            refuse_unless_open(t, month_of(period));
            if (!try_lock_chain(t)) {
                if (read_closing(t))
                    throw Refused{
                        {Errc::unavailable, "statements are being made, and their numbers come first: ask again when the period is closed", {}}};
                lock_chain(t);
            }
            Booked booked(t);
            auto made = build(booked, chain_end(t));
            if (!made) throw Refused{made.error()};
            insert_statement(t, *made);
            auto entry = audit;
            entry.detail["number"] = made->row.number;
            append_audit(t, sealing_, entry);
            return std::move(made->row);
        });
    }

    Result<std::vector<StatementRow>> statements(const ports::StatementsWanted& wanted) override {
        return pool_->transact("statements", [&](pqxx::work& t) { return read_statements(t, wanted); });
    }
    Result<StatementRow> statement(std::uint64_t number) override {
        return pool_->transact("statement", [&](pqxx::work& t) {
            auto rows = read_statements(t, {{}, {}, {}, number - 1, 1});
            if (number == 0 || rows.empty() || rows.front().number != number) throw Refused{{Errc::not_found, "no such statement", "path:number"}};
            return std::move(rows.front());
        });
    }
    Result<std::vector<std::string>> statement_lines(std::uint64_t number, std::uint64_t after, std::size_t most) override {
        return pool_->transact("statement_lines", [&](pqxx::work& t) { return read_lines(t, number, after, most); });
    }
    Result<std::vector<merkle::Hash>> statement_nodes(std::uint64_t number, const std::vector<merkle::NodeId>& ids) override {
        return pool_->transact("statement_nodes", [&](pqxx::work& t) { return read_subtrees(t, number, ids); });
    }

  private:
    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

std::shared_ptr<ports::Billing> make_billing(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgBilling>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
