#include "server/postgres/audit.h"

#include "base/encoding.h"

namespace licet::postgres {
namespace {

constexpr std::int64_t kAuditLock = 0x6c69636574617564;  // "licetaud"

class PgAuditLog final : public ports::AuditLog {
  public:
    PgAuditLog(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Status append(const std::vector<ports::AuditEntry>& entries) override {
        return pool_->transact("append_audit", [&](pqxx::work& t) {
            for (const auto& entry : entries) append_audit(t, sealing_, entry);
            return Unit{};
        });
    }

  private:
    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

void append_audit(pqxx::work& t, const AuditSealing& sealing, const ports::AuditEntry& entry) {
    // One writer at a time, without the right to change what is written: LOCK TABLE would need it.
    t.exec("SELECT pg_advisory_xact_lock(" + std::to_string(kAuditLock) + ")");
    const auto last = t.exec("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
    const std::int64_t sequence = last.empty() ? 1 : last[0][0].as<std::int64_t>() + 1;
    nlohmann::json line{{"seq", sequence},
                        {"at", format_rfc3339(sealing.clock->utc_now())},
                        {"actor", entry.actor},
                        {"action", entry.action},
                        {"target", entry.target},
                        {"detail", entry.detail},
                        {"prev", last.empty() ? std::string(64, '0') : last[0][1].as<std::string>()}};
    const auto digest = sealing.crypto->sha256(as_bytes(line.dump()));
    const std::string hash = hex(digest);
    line["hash"] = hash;
    line["signature"] = base64url(sealing.signer->sign(digest));
    t.exec_params("INSERT INTO audit (seq, line, hash) VALUES ($1, $2, $3)", sequence, line.dump(), hash);
}

std::shared_ptr<ports::AuditLog> make_audit_log(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgAuditLog>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
