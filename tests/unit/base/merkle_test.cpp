// The tree against the known values of RFC 6962 and against the definition written down naively.
#include "base/merkle.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "server/openssl/crypto.h"
#include "tests/support/merkle_proofs.h"

using namespace licet;
using namespace licet::testing;
using merkle::Hash;

namespace {

const merkle::Sha256 kSha = [crypto = openssl::make_crypto()](Bytes data) { return crypto->sha256(data); };

// MTH(D[begin:end]) as the RFC writes it.
Hash naive(const std::vector<Hash>& leaves, std::size_t begin, std::size_t end) {
    if (begin == end) return merkle::empty_root(kSha);
    if (end - begin == 1) return leaves[begin];
    std::size_t k = 1;
    while (k * 2 < end - begin) k *= 2;
    return merkle::node_hash(kSha, naive(leaves, begin, begin + k), naive(leaves, begin + k, end));
}

struct Grown {
    std::vector<Hash> leaves;
    std::map<merkle::NodeId, Hash> nodes;
    merkle::Frontier frontier{kSha};
    void append(const std::string& data) {
        std::vector<merkle::Node> completed;
        leaves.push_back(merkle::leaf_hash(kSha, as_bytes(data)));
        frontier.append(leaves.back(), &completed);
        for (const auto& node : completed) CHECK(nodes.emplace(node.id, node.hash).second);
    }
    [[nodiscard]] std::vector<Hash> proof(const merkle::Path& path) const {
        std::vector<Hash> out;
        for (const auto& ids : path) {
            std::vector<Hash> parts;
            for (const auto& id : ids) parts.push_back(nodes.at(id));
            out.push_back(merkle::fold(kSha, parts));
        }
        return out;
    }
};

}  // namespace

TEST_CASE("merkle: the values everybody gets") {
    const std::pair<std::string, const char*> kKnown[] = {
        {std::string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {std::string(1, '\0'), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {" !", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {"01", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {"@ABC", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {"PQRSTUVW", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {"`abcdefghijklmno", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    CHECK(hex(merkle::empty_root(kSha)) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Grown tree;
    CHECK(tree.frontier.root() == merkle::empty_root(kSha));
    for (const auto& [leaf, root] : kKnown) {
        tree.append(leaf);
        CHECK(hex(tree.frontier.root()) == root);
    }
}

TEST_CASE("merkle: roots, inclusion and consistency agree with the definition for every size to 70") {
    Grown tree;
    std::vector<Hash> roots{tree.frontier.root()};
    for (std::size_t n = 1; n <= 70; ++n) {
        tree.append(std::to_string(n));
        roots.push_back(tree.frontier.root());
        REQUIRE(roots[n] == naive(tree.leaves, 0, n));
        std::vector<Hash> parts;
        for (const auto& id : merkle::cover(0, n)) parts.push_back(tree.nodes.at(id));
        REQUIRE(merkle::Frontier(kSha, n, parts).root() == roots[n]);  // begun from what is stored
        for (std::size_t i = 0; i < n; ++i) {
            const auto proof = tree.proof(merkle::inclusion_path(i, n));
            REQUIRE(verify_inclusion(kSha, i, n, tree.leaves[i], proof, roots[n]));
            REQUIRE_FALSE(verify_inclusion(kSha, (i + 1) % (n + 1), n, tree.leaves[i], proof, roots[n]));
            REQUIRE_FALSE(verify_inclusion(kSha, i, n, tree.leaves[i], proof, roots[n - 1]));
        }
        for (std::size_t m = 1; m <= n; ++m) {
            const auto proof = tree.proof(merkle::consistency_path(m, n));
            REQUIRE(verify_consistency(kSha, m, n, roots[m], roots[n], proof));
            REQUIRE_FALSE(verify_consistency(kSha, m, n, roots[m - 1], roots[n], proof));
            REQUIRE_FALSE(verify_consistency(kSha, m, n, roots[m], roots[m - 1], proof));
        }
    }
}

TEST_CASE("merkle: a proof with a byte changed, a hash more or a hash less proves nothing") {
    Grown tree;
    std::vector<Hash> roots{tree.frontier.root()};
    for (int n = 0; n < 23; ++n) {
        tree.append(std::to_string(n));
        roots.push_back(tree.frontier.root());
    }
    const auto each_spoilt = [](const std::vector<Hash>& proof, auto&& check) {
        for (std::size_t i = 0; i < proof.size(); ++i) {
            for (const std::size_t byte : {std::size_t{0}, std::size_t{31}}) {
                auto spoilt = proof;
                spoilt[i][byte] ^= 1;
                check(spoilt);
            }
            auto shorter = proof;
            shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
            check(shorter);
        }
        auto longer = proof;
        longer.push_back({});
        check(longer);
    };
    for (std::uint64_t i = 0; i < 23; ++i)
        each_spoilt(tree.proof(merkle::inclusion_path(i, 23)),
                    [&](const auto& p) { REQUIRE_FALSE(verify_inclusion(kSha, i, 23, tree.leaves[i], p, roots[23])); });
    for (std::uint64_t m = 1; m <= 23; ++m)
        each_spoilt(tree.proof(merkle::consistency_path(m, 23)),
                    [&](const auto& p) { REQUIRE_FALSE(verify_consistency(kSha, m, 23, roots[m], roots[23], p)); });
    CHECK_FALSE(verify_consistency(kSha, 0, 23, roots[0], roots[23], {}));
    CHECK_FALSE(verify_inclusion(kSha, 0, 0, roots[0], {}, roots[0]));
}
