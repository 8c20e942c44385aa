// Inclusion proofs and Ed25519 against published vectors (RFC 6962 proofs; Wycheproof), where the folder with them is there:
// LICET_DATA, or ../shared/data. When LICET_DATA is set they must be.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "server/openssl/crypto.h"
#include "tests/support/merkle_proofs.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const merkle::Sha256 kSha = [crypto = openssl::make_crypto()](Bytes data) { return crypto->sha256(data); };

std::optional<fs::path> data(const char* folder) {
    const char* given = std::getenv("LICET_DATA");
    const fs::path path = fs::path(given != nullptr ? given : "../shared/data") / "metering" / folder;
    if (fs::is_directory(path)) return path;
    REQUIRE_MESSAGE(given == nullptr, path.string() << " is not there");
    MESSAGE("not run: there is no " << path.string());
    return std::nullopt;
}
json read(const fs::path& file) {
    std::ifstream in(file);
    return json::parse(in);
}

std::optional<merkle::Hash> hash_of(const json& text) {
    const auto raw = text.is_string() ? parse_base64(text.get<std::string>()) : std::nullopt;
    if (!raw || raw->size() != 32) return std::nullopt;
    merkle::Hash out{};
    std::copy(raw->begin(), raw->end(), out.begin());
    return out;
}
std::optional<std::vector<merkle::Hash>> hashes_of(const json& list) {
    std::vector<merkle::Hash> out;
    for (const auto& item : list) {
        const auto hash = hash_of(item);
        if (!hash) return std::nullopt;
        out.push_back(*hash);
    }
    return out;
}

bool includes(const json& v) {
    const auto root = hash_of(v["root"]), leaf = hash_of(v["leafHash"]);
    const auto proof = hashes_of(v["proof"]);
    if (!root || !leaf || !proof || !v["leafIdx"].is_number_unsigned() || !v["treeSize"].is_number_unsigned()) return false;
    return merkle::verify_inclusion(kSha, v["leafIdx"].get<std::uint64_t>(), v["treeSize"].get<std::uint64_t>(), *leaf, *proof, *root);
}

}  // namespace

TEST_CASE("vectors: inclusion proofs of RFC 6962") {
    const auto folder = data("merkle-rfc6962");
    if (!folder) return;
    std::size_t good = 0, bad = 0;
    for (const auto& entry : fs::recursive_directory_iterator(*folder / "inclusion")) {
        if (entry.path().extension() != ".json") continue;
        const auto v = read(entry.path());
        CAPTURE(entry.path().string());
        CHECK(includes(v) == !v["wantErr"].get<bool>());
        ++(v["wantErr"].get<bool>() ? bad : good);
    }
    CHECK(good > 5);
    CHECK(bad > 50);
}

TEST_CASE("vectors: Ed25519 of Wycheproof") {
    const auto folder = data("ed25519");
    if (!folder) return;
    std::size_t checked = 0;
    const auto all = read(*folder / "ed25519_test.json");  // outlives the loop
    for (const auto& group : all["testGroups"]) {
        const auto raw = parse_hex(group["publicKey"]["pk"].get<std::string>());
        REQUIRE(raw);
        REQUIRE(raw->size() == 32);
        std::array<std::uint8_t, 32> key{};
        std::copy(raw->begin(), raw->end(), key.begin());
        const auto verifier = openssl::make_verifier(key);
        REQUIRE(verifier.ok());
        for (const auto& v : group["tests"]) {
            const auto message = parse_hex(v["msg"].get<std::string>()), signature = parse_hex(v["sig"].get<std::string>());
            REQUIRE(message);
            REQUIRE(signature);
            CAPTURE(v["tcId"].get<int>());
            CHECK((*verifier)->verify(as_bytes(*message), as_bytes(*signature)) == (v["result"] == "valid"));
            ++checked;
        }
    }
    CHECK(checked > 100);
}
