// Proofs of the Merkle tree checked as RFC 9162 says, section 2.1.4.2 (2.1.3.2 is in base/inclusion.h): what whoever is handed one does. For tests.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/inclusion.h"

namespace licet::testing {

// One step towards the root; whether the tree goes on to the right of this node.
inline bool climb(std::uint64_t& fn, std::uint64_t& sn) {
    const bool from_left = (fn & 1) != 0 || fn == sn;
    if (from_left)
        while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    fn >>= 1;
    sn >>= 1;
    return !from_left;
}

using merkle::verify_inclusion;

inline bool verify_consistency(const merkle::Sha256& sha, std::uint64_t from, std::uint64_t size, const merkle::Hash& from_root,
                               const merkle::Hash& root, const std::vector<merkle::Hash>& proof) {
    if (from == 0 || from > size) return false;
    if (from == size) return proof.empty() && from_root == root;
    std::vector<merkle::Hash> path = proof;
    if (std::has_single_bit(from)) path.insert(path.begin(), from_root);
    if (path.empty()) return false;
    std::uint64_t fn = from - 1, sn = size - 1;
    while ((fn & 1) != 0) fn >>= 1, sn >>= 1;
    merkle::Hash fr = path.front(), sr = path.front();
    for (std::size_t i = 1; i < path.size(); ++i) {
        if (sn == 0) return false;
        if (climb(fn, sn)) {
            sr = merkle::node_hash(sha, sr, path[i]);
        } else {
            fr = merkle::node_hash(sha, path[i], fr);
            sr = merkle::node_hash(sha, path[i], sr);
        }
    }
    return sn == 0 && fr == from_root && sr == root;
}

}  // namespace licet::testing
