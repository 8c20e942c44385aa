// The Merkle tree of RFC 6962 (section 2; the same as C2SP tlog): roots, stored subtrees, inclusion and consistency proofs. Used by the audit log
// that grows the tree, and by `licet verify`. Pure; the digest is passed in.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/encoding.h"

namespace licet::merkle {

using Hash = std::array<std::uint8_t, 32>;
using Sha256 = std::function<Hash(Bytes)>;

[[nodiscard]] Hash empty_root(const Sha256& sha);
[[nodiscard]] Hash leaf_hash(const Sha256& sha, Bytes data);                           // SHA-256(0x00 | data)
[[nodiscard]] Hash node_hash(const Sha256& sha, const Hash& left, const Hash& right);  // SHA-256(0x01 | left | right)

// A complete subtree: the 2^level leaves from index * 2^level on. Once its leaves are there it never changes.
struct NodeId {
    unsigned level = 0;
    std::uint64_t index = 0;
    auto operator<=>(const NodeId&) const = default;
};
struct Node {
    NodeId id;
    Hash hash;
};

// The complete subtrees [begin, end) falls into, from left to right, larger before smaller. Precondition: begin < end, and begin is where RFC 6962
// splits a tree of `end` leaves (0 always is).
[[nodiscard]] std::vector<NodeId> cover(std::uint64_t begin, std::uint64_t end);
// The root over such subtrees. Precondition: not empty.
[[nodiscard]] Hash fold(const Sha256& sha, const std::vector<Hash>& subtrees);

// The right edge of a growing tree: the hashes of cover(0, size), at most 64 of them.
class Frontier {
  public:
    explicit Frontier(Sha256 sha) : sha_(std::move(sha)) {}
    // Precondition: `hashes` are those of cover(0, size).
    Frontier(Sha256 sha, std::uint64_t size, std::vector<Hash> hashes) : sha_(std::move(sha)), size_(size), hashes_(std::move(hashes)) {}
    // Appends a leaf; the subtrees that it completes, itself first, go to `completed` when given.
    void append(const Hash& leaf, std::vector<Node>* completed = nullptr);
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] Hash root() const { return size_ == 0 ? empty_root(sha_) : fold(sha_, hashes_); }

  private:
    Sha256 sha_;
    std::uint64_t size_ = 0;
    std::vector<Hash> hashes_;
};

// Proofs (RFC 6962 sections 2.1.1, 2.1.2): for each hash of the proof, the subtrees it is folded from.
// Preconditions: index < size; 0 < from <= size.
using Path = std::vector<std::vector<NodeId>>;
[[nodiscard]] Path inclusion_path(std::uint64_t index, std::uint64_t size);
[[nodiscard]] Path consistency_path(std::uint64_t from, std::uint64_t size);

}  // namespace licet::merkle
