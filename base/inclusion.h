// Checks a proof that a leaf is in a Merkle tree (RFC 9162, section 2.1.3.2): what whoever is handed one does. Used by `licet verify usage`. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/merkle.h"

namespace licet::merkle {

// Whether the proof leads from the leaf, number `index` of `size`, to the root.
[[nodiscard]] bool verify_inclusion(const Sha256& sha, std::uint64_t index, std::uint64_t size, const Hash& leaf, const std::vector<Hash>& proof,
                                    const Hash& root);

}  // namespace licet::merkle
