#include "base/inclusion.h"

namespace licet::merkle {

bool verify_inclusion(const Sha256& sha, std::uint64_t index, std::uint64_t size, const Hash& leaf, const std::vector<Hash>& proof,
                      const Hash& root) {
    if (index >= size) return false;
    std::uint64_t at = index, last = size - 1;
    Hash out = leaf;
    for (const auto& hash : proof) {
        if (last == 0) return false;
        const bool from_left = (at & 1) != 0 || at == last;
        if (from_left)
            while ((at & 1) == 0 && at != 0) at >>= 1, last >>= 1;
        at >>= 1;
        last >>= 1;
        out = from_left ? node_hash(sha, hash, out) : node_hash(sha, out, hash);
    }
    return last == 0 && out == root;
}

}  // namespace licet::merkle
