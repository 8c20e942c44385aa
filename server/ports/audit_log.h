// The region's audit log as the server sees it: a chain of signed lines with a Merkle tree over them, only ever appended to. Changes append through
// the catalog, in their own transaction; this is for what changes nothing there, and for reading. Implemented with libpqxx in server/postgres. Calls
// block. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/checkpoint.h"
#include "base/merkle.h"
#include "base/result.h"
#include "server/ports/catalog.h"

namespace licet::ports {

struct AuditLine {
    std::uint64_t sequence = 0;  // from 1 on, without gaps; leaf sequence - 1 of the tree
    std::string line;            // the JSON text as hashed, with hash and signature members
};

struct StoredCheckpoint {
    std::uint64_t size = 0;
    std::string note;
};

// Errors: unavailable; corrupt when the tree lacks what the lines need.
class AuditLog {
  public:
    virtual ~AuditLog() = default;
    // In the order given, in one transaction: all or none.
    [[nodiscard]] virtual Status append(const std::vector<AuditEntry>& entries) = 0;
    // At most `limit`, and at most limits::audit_page_max_bytes but for the last of them; none only when there are none.
    [[nodiscard]] virtual Result<std::vector<AuditLine>> lines(std::uint64_t after, std::size_t limit) = 0;
    [[nodiscard]] virtual Result<std::uint64_t> size() = 0;
    // The stored ones of more than `after` and at most `to` entries, in order.
    [[nodiscard]] virtual Result<std::vector<StoredCheckpoint>> checkpoints(std::uint64_t after, std::uint64_t to) = 0;
    // Of all there is now; stored unless it was.
    [[nodiscard]] virtual Result<StoredCheckpoint> checkpoint() = 0;
    // Of the first `size` entries, signed now and not stored. Precondition: size <= what size() returned.
    [[nodiscard]] virtual Result<StoredCheckpoint> checkpoint_of(std::uint64_t size) = 0;
    // In the order asked for. Precondition: within the tree.
    [[nodiscard]] virtual Result<std::vector<merkle::Hash>> nodes(const std::vector<merkle::NodeId>& ids) = 0;
};

}  // namespace licet::ports
