// The audit chain: one signed line per change, written in the transaction of the change, and per barrier. Used by the catalog; built by main.
#pragma once

#include <memory>
#include <pqxx/pqxx>

#include "base/time.h"
#include "server/ports/audit_log.h"
#include "server/ports/catalog.h"
#include "server/ports/crypto.h"
#include "server/postgres/pool.h"

namespace licet::postgres {

struct AuditSealing {
    std::shared_ptr<const ports::Crypto> crypto;
    std::shared_ptr<const ports::Signer> signer;
    std::shared_ptr<const Clock> clock;
};

// Appends a line: {"seq","at","actor","action","target","detail","prev","hash","signature"}; hash = hex SHA-256 of the line without hash and
// signature, signature = base64url Ed25519 over the 32 hash bytes, prev = hash of the line before (64 zeros at first). Writers queue on a lock until
// commit.
void append_audit(pqxx::work& transaction, const AuditSealing& sealing, const ports::AuditEntry& entry);

[[nodiscard]] std::shared_ptr<ports::AuditLog> make_audit_log(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
