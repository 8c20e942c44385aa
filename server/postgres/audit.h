// The audit chain: one signed line per change, written in the transaction of the change, and per barrier; the tree over them and its checkpoints.
// Used by the catalog; built by main.
#pragma once

#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "base/ids.h"
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
    std::string origin = "licet.dev/audit";   // of the checkpoints
    std::uint64_t checkpoint_entries = 1024;  // one is made whenever so many were added
};

// Puts the transactions that append in one order, from here to their commit.
void lock_audit(pqxx::work& transaction);

// Appends a line: {"seq","at","actor","action","target","detail","epoch"?,"prev","hash","signature"}; hash = hex SHA-256 of the line without hash and
// signature, signature = base64url Ed25519 over the 32 hash bytes, prev = hash of the line before (64 zeros at first); and its subtrees. Writers
// queue on the lock until commit. `epoch`: that the change made.
void append_audit(pqxx::work& transaction, const AuditSealing& sealing, const ports::AuditEntry& entry, std::optional<GovernanceEpoch> epoch = {});

[[nodiscard]] std::shared_ptr<ports::AuditLog> make_audit_log(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
