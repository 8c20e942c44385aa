#include "base/merkle.h"

#include <algorithm>
#include <bit>

namespace licet::merkle {
namespace {

// The largest power of two below n. Precondition: n > 1.
std::uint64_t split(std::uint64_t n) { return std::bit_floor(n - 1); }

void inclusion(std::uint64_t index, std::uint64_t begin, std::uint64_t end, Path& out) {
    if (end - begin <= 1) return;
    const std::uint64_t middle = begin + split(end - begin);
    if (index < middle) {
        inclusion(index, begin, middle, out);
        out.push_back(cover(middle, end));
    } else {
        inclusion(index, middle, end, out);
        out.push_back(cover(begin, middle));
    }
}

// `whole`: the subtree at hand is one the asker knows the root of.
void consistency(std::uint64_t from, std::uint64_t begin, std::uint64_t end, bool whole, Path& out) {
    if (from == end) {
        if (!whole) out.push_back(cover(begin, end));
        return;
    }
    const std::uint64_t middle = begin + split(end - begin);
    if (from <= middle) {
        consistency(from, begin, middle, whole, out);
        out.push_back(cover(middle, end));
    } else {
        consistency(from, middle, end, false, out);
        out.push_back(cover(begin, middle));
    }
}

}  // namespace

Hash empty_root(const Sha256& sha) { return sha({}); }

Hash leaf_hash(const Sha256& sha, Bytes data) {
    std::vector<std::uint8_t> text(data.size() + 1, 0x00);
    std::copy(data.begin(), data.end(), text.begin() + 1);
    return sha(text);
}

Hash node_hash(const Sha256& sha, const Hash& left, const Hash& right) {
    std::array<std::uint8_t, 65> text{0x01};
    std::copy(left.begin(), left.end(), text.begin() + 1);
    std::copy(right.begin(), right.end(), text.begin() + 33);
    return sha(text);
}

std::vector<NodeId> cover(std::uint64_t begin, std::uint64_t end) {
    std::vector<NodeId> out;
    while (begin < end) {
        const std::uint64_t size = std::bit_floor(end - begin);
        const auto level = static_cast<unsigned>(std::countr_zero(size));
        out.push_back({level, begin >> level});
        begin += size;
    }
    return out;
}

Hash fold(const Sha256& sha, const std::vector<Hash>& subtrees) {
    Hash out = subtrees.back();
    for (auto at = subtrees.rbegin() + 1; at != subtrees.rend(); ++at) out = node_hash(sha, *at, out);
    return out;
}

void Frontier::append(const Hash& leaf, std::vector<Node>* completed) {
    Node node{{0, size_}, leaf};
    if (completed != nullptr) completed->push_back(node);
    // A carry of the binary number that size is: each one bit at the end is a subtree that is now paired.
    for (std::uint64_t rest = size_; (rest & 1) != 0; rest >>= 1) {
        node = {{node.id.level + 1, node.id.index >> 1}, node_hash(sha_, hashes_.back(), node.hash)};
        hashes_.pop_back();
        if (completed != nullptr) completed->push_back(node);
    }
    hashes_.push_back(node.hash);
    ++size_;
}

Path inclusion_path(std::uint64_t index, std::uint64_t size) {
    Path out;
    inclusion(index, 0, size, out);
    return out;
}

Path consistency_path(std::uint64_t from, std::uint64_t size) {
    Path out;
    consistency(from, 0, size, true, out);
    return out;
}

}  // namespace licet::merkle
