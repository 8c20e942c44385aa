// Offline verification of an audit export: hash chain, signatures, Merkle root and checkpoints, with the public key alone. Used by `licet verify` and
// tests. Pure but for the ports given. docs/audit.md describes the export.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "base/checkpoint.h"
#include "base/result.h"
#include "server/ports/crypto.h"

namespace licet::app {

struct VerifiedAudit {
    std::uint64_t entries = 0, first = 0, last = 0;
    std::uint64_t checkpoints = 0;              // in the export
    std::optional<std::uint64_t> covered;       // entries of the log the newest checkpoint attests to
    std::optional<std::string> root;            // over all entries up to `last`, base64; absent for a part without what came before
    std::vector<std::uint64_t> not_comparable;  // sizes of given checkpoints from before the export begins
    std::string origin;                         // of the checkpoints
    // Every entry is attested to by a checkpoint, and every given checkpoint was compared: nothing up to `covered` is missing.
    [[nodiscard]] bool complete() const noexcept { return covered && *covered == last && not_comparable.empty(); }
};

struct VerifyAuditInput {
    NamedKey key;
    // Checkpoints that were kept from before, as text: the export must hold all that they attest to, unchanged.
    std::vector<std::string> kept = {};
};
// Reads line by line; memory does not grow with the export. A part of the chain is fine, no line at all is not. Error: verification_failed naming
// the first bad entry, or checkpoint, with its line and why.
[[nodiscard]] Result<VerifiedAudit> verify_audit(std::istream& lines, const VerifyAuditInput& input, const ports::Crypto& crypto,
                                                 const ports::Verifier& verifier);

}  // namespace licet::app
