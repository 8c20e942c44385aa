#include "server/postgres/billing.h"

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "metering/month.h"
#include "server/postgres/statement_rows.h"
#include "server/postgres/usage_batch.h"
#include "server/postgres/usage_rows.h"

namespace licet::postgres {
namespace {

using metering::Month;
using nlohmann::json;
using ports::NodeProgress;
using ports::StatementRow;

constexpr const char* kLockShared = "SELECT pg_advisory_xact_lock_shared(7811887391290093939)";
constexpr const char* kLockAlone = "SELECT pg_advisory_xact_lock(7811887391290093939)";

// Of node $1, by meter: intended, not billed.
constexpr const char* kOpenIntents =
    "SELECT contract, product, partition, stream_epoch, ranges FROM (SELECT i.contract, i.product, i.partition, i.stream_epoch, "
    "range_agg(i.ranges) - coalesce((SELECT c.ranges FROM usage_covered c WHERE (c.contract, c.product, c.partition, c.stream_epoch) = (i.contract, "
    "i.product, i.partition, i.stream_epoch)), '{}') AS ranges FROM usage_intent i WHERE i.node = $1 GROUP BY 1, 2, 3, 4) intended "
    "WHERE NOT isempty(ranges)";

std::string day(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

Month month_of(std::string_view period) {
    const auto month = metering::parse_month(period);
    if (!month) throw Refused{{Errc::invalid_parameter, "expected YYYY-MM", "path:period"}};
    return *month;
}

class Booked final : public ports::BookedUsage {
  public:
    explicit Booked(pqxx::work& t) : t_(t) {}

    Result<std::vector<ports::UsageTotal>> charged(UtcMillis from, UtcMillis to, UtcMillis booked_before,
                                                   const std::vector<ContractNo>& contracts) override {
        return usage_totals(t_, from, to, booked_before, contracts);
    }
    Result<std::vector<Late>> late(UtcMillis from, UtcMillis to) override {
        std::vector<Late> out;
        for (const auto& r :
             t_.exec_params("SELECT DISTINCT contract, to_char(day, 'YYYY-MM') FROM usage_lines WHERE period >= $1 AND period < $2 AND "
                            "day < $1 ORDER BY 1, 2",
                            day(from), day(to)))
            out.push_back({{r[0].as<std::uint32_t>()}, r[1].as<std::string>()});
        return out;
    }
    Result<std::vector<ports::UsageBalance>> balance(UtcMillis from, UtcMillis to) override { return usage_balance(t_, from, to); }
    Result<std::vector<std::string>> correction_lines(std::string_view period, std::string_view contract) override {
        std::vector<std::string> out;
        for (const auto& r : t_.exec_params("SELECT l.line FROM statements s JOIN statement_lines l USING (number) WHERE s.kind <> 'statement' AND "
                                            "s.period = $1 AND ($2 = '' OR s.contract = $2) ORDER BY l.number, l.no",
                                            day(month_of(period).from), std::string(contract)))
            out.push_back(r[0].as<std::string>());
        return out;
    }
    Result<std::optional<StatementRow>> statement_of(std::string_view period, std::string_view contract) override {
        return read_statement_of(t_, period, contract);
    }

  private:
    pqxx::work& t_;
};

std::vector<NodeProgress> read_nodes(pqxx::work& t) {
    std::vector<NodeProgress> out;
    for (const auto& r : t.exec("SELECT n.node, n.boot, coalesce(w.sequence, 0), n.state, n.flushed_until, n.heard_at FROM usage_nodes n LEFT JOIN "
                                "usage_watermark w USING (node, boot) ORDER BY 1"))
        out.push_back({r[0].as<std::string>(),
                       r[1].as<std::uint64_t>(),
                       r[2].as<std::uint64_t>(),
                       r[3].as<std::string>(),
                       {r[4].as<std::int64_t>()},
                       {r[5].as<std::int64_t>()}});
    return out;
}

// The first day of the first open month; empty: none was closed.
std::string open_from(pqxx::work& t) {
    const auto rows = t.exec("SELECT (max(period) + interval '1 month')::date FROM billing_periods");
    return rows[0][0].is_null() ? std::string() : rows[0][0].as<std::string>();
}

void refuse_unless_open(pqxx::work& t, const Month& month) {
    const auto open = open_from(t);
    if (day(month.from) < open) throw Refused{{Errc::period_closed, "the period is closed: open ones begin with " + open.substr(0, 7), {}}};
}

// What stands in the way of closing: nodes that may still bring deliveries of the period, and months before it.
void refuse_unless_over(pqxx::work& t, const Month& month) {
    json gaps = json::array(), earlier = json::array();
    std::string detail;
    for (const auto& node : read_nodes(t)) {
        if (node.state != "running" || node.flushed_until >= month.to) continue;
        gaps.push_back({{"node", node.node},
                        {"boot", node.boot},
                        {"sequence", node.sequence},
                        {"flushedUntil", node.flushed_until.value == 0 ? json() : json(format_rfc3339(node.flushed_until))}});
        if (gaps.size() == 1) detail = "node " + node.node + " has not brought all it delivered before " + format_rfc3339(month.to);
    }
    if (gaps.size() > 1) detail += ", and " + std::to_string(gaps.size() - 1) + " more nodes have not";
    const auto open = open_from(t);
    for (const auto& r :
         t.exec_params("SELECT DISTINCT to_char(period, 'YYYY-MM') FROM usage_balance WHERE period < $1 AND ($2 = '' OR period >= $2::date) "
                       "ORDER BY 1",
                       day(month.from), open))
        earlier.push_back(r[0].as<std::string>());
    if (earlier.empty() && !open.empty() && open < day(month.from)) earlier.push_back(open.substr(0, 7));
    if (!earlier.empty()) detail += (detail.empty() ? "" : "; ") + earlier.front().get<std::string>() + " is to be closed first";
    if (gaps.empty() && earlier.empty()) return;
    Error error(Errc::period_open, detail, {});
    error.members = json{{"gaps", gaps}, {"earlier", earlier}}.dump();
    throw Refused{std::move(error)};
}

// What is known of a later start of the node is left as it is.
void note_progress(pqxx::work& t, const std::string& node, std::uint64_t boot, const char* state, UtcMillis until) {
    const auto done =
        t.exec_params("UPDATE usage_nodes SET boot = $2, state = $3, flushed_until = $4, heard_at = licet_utc_ms() WHERE node = $1 AND boot <= $2",
                      node, boot, state, until.value);
    if (done.affected_rows() == 0) throw Refused{{Errc::not_found, "the ledger knows no such start of the node", {}}};
}

// What a node meant to deliver and never said more of becomes suspense, whole: the end of its log is not known here. Returns the offsets.
std::uint64_t suspend_intents(pqxx::work& t, const std::string& node) {
    std::vector<ports::UsageOf> meters;
    for (const auto& r : t.exec_params("SELECT DISTINCT contract, product, partition, stream_epoch FROM usage_intent WHERE node = $1", node))
        meters.push_back({{r[0].as<std::uint32_t>()}, {r[1].as<std::uint32_t>()}, {r[2].as<std::uint16_t>()}, {r[3].as<std::uint32_t>()}});
    lock_meters(t, meters);
    t.exec_params(std::string("INSERT INTO usage_suspense (contract, product, partition, stream_epoch, ranges) ") + kOpenIntents +
                      " ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_suspense.ranges + excluded.ranges",
                  node);
    const auto offsets = t.exec_params(
        std::string("SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM (SELECT unnest(ranges) AS r FROM (") + kOpenIntents + ") open) parts", node);
    t.exec_params("DELETE FROM usage_intent WHERE node = $1", node);
    return offsets[0][0].as<std::uint64_t>();
}

class PgBilling final : public ports::Billing {
  public:
    PgBilling(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Status read(const std::function<Status(ports::BookedUsage&)>& read) override {
        return pool_->transact("billing_read", [&](pqxx::work& t) {
            t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
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
                                   ") open LEFT JOIN usage_suspense s USING (contract, product, partition, stream_epoch) "
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
            const auto open = suspend_intents(t, node);
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
            for (const auto& r :
                 t.exec("SELECT DISTINCT to_char(period, 'YYYY-MM') FROM usage_balance WHERE period > coalesce((SELECT max(p.period) FROM "
                        "billing_periods p), '-infinity') ORDER BY 1"))
                out.push_back(r[0].as<std::string>());
            return out;
        });
    }

    Result<ports::ClosedPeriod> close(std::string_view period, UtcMillis at, const ports::AuditEntry& audit, const Build& build) override {
        return pool_->transact("close_period", [&](pqxx::work& t) {
            const Month month = month_of(period);
            t.exec("SET LOCAL statement_timeout = " + std::to_string(limits::closing_statement_timeout_ms));
            t.exec(kLockAlone);
            refuse_unless_open(t, month);
            if (t.exec("SELECT licet_utc_ms()")[0][0].as<std::int64_t>() < month.to.value) {
                Error error(Errc::period_open, "the period is not over by the database's clock", {});
                error.members = json{{"gaps", json::array()}, {"earlier", json::array()}}.dump();
                throw Refused{std::move(error)};
            }
            refuse_unless_over(t, month);
            const auto chain = chain_end(t);
            ports::ClosedPeriod out{std::string(period), at, audit.actor, chain.next, 0};
            Booked booked(t);
            auto done = build(booked, chain, [&](const ports::NewStatement& made) {
                insert_statement(t, made);
                ++out.statements;
                return success();
            });
            if (!done) throw Refused{done.error()};
            t.exec_params("INSERT INTO billing_periods VALUES ($1, $2, $3, $4, $5)", day(month.from), at.value, audit.actor, out.first_number,
                          out.statements);
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
            lock_chain(t);
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
        return pool_->transact("statement_lines", [&](pqxx::work& t) {
            std::vector<std::string> out;
            for (const auto& r :
                 t.exec_params("SELECT line FROM statement_lines WHERE number = $1 AND no > $2 ORDER BY no LIMIT $3", number, after, most))
                out.push_back(r[0].as<std::string>());
            return out;
        });
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
