// Offline verification of an audit export: hash chain and signatures, with the public key alone. Used by `licet verify` and tests. Pure but for the
// ports given.
#pragma once

#include <cstdint>
#include <istream>

#include "base/result.h"
#include "server/ports/crypto.h"

namespace licet::app {

struct VerifiedAudit {
    std::uint64_t lines = 0, first = 0, last = 0;
};
// One JSON line per entry, in order; a part of the chain is fine, no line at all is not. Error: verification_failed naming the line.
[[nodiscard]] Result<VerifiedAudit> verify_audit(std::istream& lines, const ports::Crypto& crypto, const ports::Verifier& verifier);

}  // namespace licet::app
