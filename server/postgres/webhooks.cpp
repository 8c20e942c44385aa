#include "server/postgres/webhooks.h"

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "server/postgres/pool.h"

namespace licet::postgres {
namespace {

using namespace ports;

constexpr const char* kDisabledError = "the endpoint is disabled";

// Whoever inserts the threshold tells it: one statement, so that the threshold and what is to be posted of it are there together or not at all.
constexpr const char* kTell =
    "WITH told AS (INSERT INTO quota_warnings (contract, metric, kind, span, quota_limit, percent, message, body) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (contract, metric, kind, span, quota_limit, percent) DO NOTHING "
    "RETURNING contract, message), posted AS (INSERT INTO webhook_deliveries (message, endpoint, state, last_error) "
    "SELECT told.message, e.id, CASE WHEN e.disabled IS NULL THEN 'pending' ELSE 'dead' END, CASE WHEN e.disabled IS NULL THEN '' ELSE $9::text END "
    "FROM told JOIN webhook_endpoints e ON e.contract = told.contract) SELECT count(*) FROM told";

// What began its last attempt and was never heard of again: its sender died with it.
constexpr const char* kBury =
    "UPDATE webhook_deliveries SET state = 'dead', lease_until = 0, last_error = 'the node that posted it ended' "
    "WHERE state = 'pending' AND attempts >= $1 AND lease_until <> 0 AND lease_until <= licet_utc_ms()";

constexpr const char* kClaim =
    "UPDATE webhook_deliveries SET attempts = attempts + 1, last_at = licet_utc_ms(), lease_until = licet_utc_ms() + $1 WHERE no = "
    "(SELECT d.no FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint WHERE d.state = 'pending' AND d.next_at <= licet_utc_ms() "
    "AND d.lease_until <= licet_utc_ms() AND e.disabled IS NULL AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o WHERE o.endpoint = d.endpoint "
    "AND o.state = 'pending' AND o.lease_until > licet_utc_ms()) ORDER BY d.next_at, d.no LIMIT 1 FOR UPDATE OF d SKIP LOCKED) "
    "RETURNING no, message, endpoint, attempts, lease_until";

constexpr const char* kEndpoints =
    "SELECT id, contract, name, url, coalesce(disabled, ''), secret_under, secret, coalesce(former_under, ''), former, former_until, created "
    "FROM webhook_endpoints ";

std::string literal(const std::string& bytes) { return "\\x" + hex(as_bytes(bytes)); }
std::string bytes_of(const pqxx::field& field) { return field.is_null() ? "" : parse_hex(std::string_view(field.c_str()).substr(2)).value_or(""); }

WebhookEndpoint endpoint_of(const pqxx::row& r) {
    return {r[0].as<std::string>(),
            {r[1].as<std::uint32_t>()},
            r[2].as<std::string>(),
            r[3].as<std::string>(),
            r[4].as<std::string>(),
            {r[5].as<std::string>(), bytes_of(r[6])},
            {r[7].as<std::string>(), bytes_of(r[8])},
            {r[9].as<std::int64_t>()},
            {r[10].as<std::int64_t>()}};
}

const char* name_of(metering::QuotaMetric metric) { return metric == metering::QuotaMetric::events ? "events" : "bytes"; }
const char* name_of(metering::QuotaKind kind) { return kind == metering::QuotaKind::hard ? "hard" : "soft"; }

class PgWebhooks final : public WebhookStore {
  public:
    PgWebhooks(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Result<bool> tell(const QuotaWarning& w) override {
        return pool_->transact("tell_quota", [&](pqxx::work& t) {
            return t.exec_params1(kTell, w.contract.value, name_of(w.metric), name_of(w.kind), w.span, w.limit, w.percent, w.message, w.body,
                                  kDisabledError)[0]
                       .as<int>() == 1;
        });
    }

    Result<bool> put(const WebhookEndpoint& e, const AuditEntry& audit) override {
        return pool_->transact("put_webhook", [&](pqxx::work& t) {
            lock_audit(t);
            const bool there = t.exec_params("UPDATE webhook_endpoints SET url = $3, disabled = NULL WHERE contract = $1 AND name = $2",
                                             e.contract.value, e.name, e.url)
                                   .affected_rows() == 1;
            if (!there) {
                if (t.exec_params1("SELECT count(*) FROM webhook_endpoints WHERE contract = $1", e.contract.value)[0].as<std::size_t>() >=
                    limits::webhooks_max)
                    throw Refused{{Errc::conflict, "the contract has as many webhooks as may be", {}}};
                t.exec_params0("INSERT INTO webhook_endpoints (id, contract, name, url, secret, secret_under) VALUES ($1, $2, $3, $4, $5::bytea, $6)",
                               e.id, e.contract.value, e.name, e.url, literal(e.secret.wrapped), e.secret.under);
            }
            append_audit(t, sealing_, audit);
            return !there;
        });
    }

    Status remove(ContractNo contract, const std::string& name, const AuditEntry& audit) override {
        return pool_->transact("remove_webhook", [&](pqxx::work& t) {
            lock_audit(t);
            if (t.exec_params("DELETE FROM webhook_endpoints WHERE contract = $1 AND name = $2", contract.value, name).affected_rows() == 0)
                throw Refused{{Errc::not_found, "no such webhook", {}}};
            append_audit(t, sealing_, audit);
            return Unit{};
        });
    }

    Result<std::vector<WebhookEndpoint>> endpoints(ContractNo contract) override {
        return pool_->transact("webhooks", [&](pqxx::work& t) {
            std::vector<WebhookEndpoint> out;
            for (const auto& r : t.exec_params(std::string(kEndpoints) + "WHERE contract = $1 ORDER BY name", contract.value))
                out.push_back(endpoint_of(r));
            return out;
        });
    }

    Result<UtcMillis> rotate(const std::string& id, const WrappedSecret& fresh, std::int64_t overlap_ms, const AuditEntry& audit) override {
        return pool_->transact("rotate_webhook", [&](pqxx::work& t) {
            lock_audit(t);
            const auto rows = t.exec_params(
                "UPDATE webhook_endpoints SET former = secret, former_under = secret_under, former_until = licet_utc_ms() + $2, "
                "secret = $3::bytea, secret_under = $4 WHERE id = $1 RETURNING former_until",
                id, overlap_ms, literal(fresh.wrapped), fresh.under);
            if (rows.empty()) throw Refused{{Errc::not_found, "no such webhook", {}}};
            append_audit(t, sealing_, audit);
            return UtcMillis{rows[0][0].as<std::int64_t>()};
        });
    }

    Result<std::vector<WebhookDelivery>> deliveries(ContractNo contract, const std::string& state, std::uint64_t after, std::size_t limit) override {
        return pool_->transact("webhook_deliveries", [&](pqxx::work& t) {
            std::vector<WebhookDelivery> out;
            for (const auto& r :
                 t.exec_params("SELECT d.no, d.message, e.name, d.state, d.attempts, w.told_at, d.next_at, d.last_at, d.last_status, d.last_error "
                               "FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint JOIN quota_warnings w USING (message) "
                               "WHERE e.contract = $1 AND d.no > $2 AND ($3 = '' OR d.state = $3) ORDER BY d.no LIMIT $4",
                               contract.value, after, state, limit))
                out.push_back({r[0].as<std::uint64_t>(),
                               r[1].as<std::string>(),
                               r[2].as<std::string>(),
                               r[3].as<std::string>(),
                               r[4].as<int>(),
                               {r[5].as<std::int64_t>()},
                               {r[6].as<std::int64_t>()},
                               {r[7].as<std::int64_t>()},
                               r[8].as<int>(),
                               r[9].as<std::string>()});
            return out;
        });
    }

    Status redeliver(ContractNo contract, std::uint64_t no, const AuditEntry& audit) override {
        return pool_->transact("redeliver_webhook", [&](pqxx::work& t) {
            lock_audit(t);
            const auto rows = t.exec_params(
                "SELECT d.state, e.disabled IS NULL FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint "
                "WHERE e.contract = $1 AND d.no = $2 FOR UPDATE OF d",
                contract.value, no);
            if (rows.empty()) throw Refused{{Errc::not_found, "no such delivery", {}}};
            if (rows[0][0].as<std::string>() != "dead") throw Refused{{Errc::conflict, "only what is dead is delivered anew", {}}};
            if (!rows[0][1].as<bool>()) throw Refused{{Errc::conflict, "the endpoint is disabled: set it anew first", {}}};
            t.exec_params0("UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_at = licet_utc_ms(), lease_until = 0 WHERE no = $1",
                           no);
            append_audit(t, sealing_, audit);
            return Unit{};
        });
    }

    Result<std::optional<WebhookDue>> claim(std::int64_t lease_ms, int attempts_max) override {
        return pool_->transact("claim_webhook", [&](pqxx::work& t) -> std::optional<WebhookDue> {
            t.exec_params0(kBury, attempts_max);
            const auto rows = t.exec_params(kClaim, lease_ms);
            if (rows.empty()) return std::nullopt;
            WebhookDue out;
            out.no = rows[0][0].as<std::uint64_t>();
            out.message = rows[0][1].as<std::string>();
            out.attempt = rows[0][3].as<int>();
            out.lease_until = rows[0][4].as<std::int64_t>();
            out.body = t.exec_params1("SELECT body FROM quota_warnings WHERE message = $1", out.message)[0].as<std::string>();
            const auto endpoint = t.exec_params(std::string(kEndpoints) + "WHERE id = $1", rows[0][2].as<std::string>());
            if (endpoint.empty()) return std::nullopt;  // removed between two statements, and the delivery with it
            out.endpoint = endpoint_of(endpoint[0]);
            return out;
        });
    }

    Result<bool> finish(const WebhookDue& due, const WebhookOutcome& o) override {
        return pool_->transact("finish_webhook", [&](pqxx::work& t) {
            if (o.then == WebhookOutcome::Then::delivered)
                return t.exec_params(
                            "UPDATE webhook_deliveries SET state = 'delivered', lease_until = 0, last_status = $2, last_error = '' "
                            "WHERE no = $1 AND state <> 'delivered'",
                            due.no, o.status)
                           .affected_rows() == 1;
            const bool noted =
                t.exec_params(
                     "UPDATE webhook_deliveries SET state = $3, lease_until = 0, next_at = licet_utc_ms() + $4, last_status = $5, last_error = $6 "
                     "WHERE no = $1 AND lease_until = $2 AND state = 'pending'",
                     due.no, due.lease_until, o.then == WebhookOutcome::Then::again ? "pending" : "dead", o.wait_ms, o.status, o.error)
                    .affected_rows() == 1;
            // What else waits for an endpoint that wants nothing any more is dead too: it may be delivered anew once the endpoint is set anew. One
            // that was set to another URL meanwhile has not said so.
            if (noted && o.then == WebhookOutcome::Then::gone &&
                t.exec_params("UPDATE webhook_endpoints SET disabled = 'it answered 410 Gone' WHERE id = $1 AND url = $2", due.endpoint.id,
                              due.endpoint.url)
                        .affected_rows() == 1)
                t.exec_params0(
                    "UPDATE webhook_deliveries SET state = 'dead', lease_until = 0, last_error = $2 WHERE endpoint = $1 AND state = 'pending'",
                    due.endpoint.id, kDisabledError);
            return noted;
        });
    }

    Result<std::size_t> prune(std::int64_t older_than_ms) override {
        return pool_->transact("prune_webhooks", [&](pqxx::work& t) {
            const auto gone = t.exec_params(
                                   "DELETE FROM webhook_deliveries d USING quota_warnings w WHERE w.message = d.message "
                                   "AND w.told_at < licet_utc_ms() - $1 AND d.state <> 'pending' AND d.last_at < licet_utc_ms() - $1",
                                   older_than_ms)
                                  .affected_rows();
            t.exec_params0(
                "DELETE FROM quota_warnings w WHERE told_at < licet_utc_ms() - $1 "
                "AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.message = w.message)",
                older_than_ms);
            return static_cast<std::size_t>(gone);
        });
    }

    Result<std::size_t> rewrap(const std::string& current, const RewrapSecret& rewrap) override {
        return pool_->transact("rewrap_webhooks", [&](pqxx::work& t) {
            std::size_t count = 0;
            for (const auto& r : t.exec_params(std::string(kEndpoints) + "WHERE secret_under <> $1 OR former_under <> $1 FOR UPDATE", current)) {
                const auto e = endpoint_of(r);
                const auto anew = [&](const WrappedSecret& secret, const char* sql) {
                    if (secret.under.empty() || secret.under == current) return;
                    const auto wrapped = rewrap(e.id, secret);
                    if (!wrapped) throw Refused{wrapped.error()};
                    t.exec_params0(sql, e.id, literal(*wrapped), current);
                    ++count;
                };
                anew(e.secret, "UPDATE webhook_endpoints SET secret = $2::bytea, secret_under = $3 WHERE id = $1");
                anew(e.former, "UPDATE webhook_endpoints SET former = $2::bytea, former_under = $3 WHERE id = $1");
            }
            return count;
        });
    }

  private:
    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

std::shared_ptr<WebhookStore> make_webhook_store(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgWebhooks>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
