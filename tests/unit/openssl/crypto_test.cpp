#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/openssl/crypto.h"

using namespace licet;
using namespace std::string_literals;

namespace {
Bytes bytes(const std::string& s) { return as_bytes(s); }
std::string from_hex(const std::string& s) { return parse_hex(s).value(); }
}  // namespace

TEST_CASE("SHA-256 and HMAC-SHA256 give the published values") {
    const auto crypto = openssl::make_crypto();
    CHECK(hex(crypto->sha256(bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231 test case 2, twice: the second call must not carry the first one's state.
    for (int i = 0; i < 2; ++i)
        CHECK(hex(crypto->hmac_sha256(bytes("Jefe"), bytes("what do ya want for nothing?"))) ==
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hex(crypto->hmac_sha256({}, {})) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("comparison tells equal from different content and size") {
    const auto crypto = openssl::make_crypto();
    CHECK(crypto->equal(bytes("secret"), bytes("secret")));
    CHECK_FALSE(crypto->equal(bytes("secret"), bytes("secreT")));
    CHECK_FALSE(crypto->equal(bytes("secret"), bytes("secret0")));
}

TEST_CASE("AES-256-SIV seals deterministically, opens, and refuses every changed byte") {
    std::string key;
    for (int i = 0; i < 64; ++i) key.push_back(static_cast<char>(i));
    const auto siv = openssl::make_siv(bytes(key));
    REQUIRE(siv);
    const std::string plain = "eighteen bytes ok.";
    std::vector<std::uint8_t> sealed(plain.size() + 16), again(plain.size() + 16), opened(plain.size());
    REQUIRE(siv->seal(bytes(plain), bytes("cursor"), sealed));
    REQUIRE(siv->seal(bytes(plain), bytes("cursor"), again));
    CHECK(sealed == again);
    REQUIRE(siv->open(sealed, bytes("cursor"), opened));
    CHECK(std::string(opened.begin(), opened.end()) == plain);
    CHECK_FALSE(siv->open(sealed, bytes("Cursor"), opened));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto changed = sealed;
        changed[i] ^= 1;
        CHECK_FALSE(siv->open(changed, bytes("cursor"), opened));
    }
    CHECK_FALSE(openssl::make_siv(bytes("short")));
}

TEST_CASE("what is sealed here OpenSSL's own AES-256-SIV opens: every length, associated data that changes, bits that carry") {
    std::uint64_t state = 1;
    const auto random = [&](std::size_t size) {
        std::string out(size, '\0');
        for (auto& c : out) c = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
        return out;
    };
    for (int keys = 0; keys < 20; ++keys) {
        const auto siv = openssl::make_siv(bytes(random(64)));
        REQUIRE(siv);
        std::vector<std::uint8_t> empty(16);
        CHECK_FALSE(siv->seal({}, bytes("licet/cursor/1"), empty));  // OpenSSL could not open it
        for (std::size_t size = 1; size < 400; ++size) {
            const std::string plain = random(size), associated = size % 3 == 0 ? "licet/cursor/1" : random(size % 40);
            std::vector<std::uint8_t> sealed(size + 16), opened(size);
            REQUIRE(siv->seal(bytes(plain), bytes(associated), sealed));
            REQUIRE(siv->open(sealed, bytes(associated), opened));
            REQUIRE(std::equal(opened.begin(), opened.end(), plain.begin(), plain.end(),
                               [](auto a, auto b) { return a == static_cast<std::uint8_t>(b); }));
        }
    }
}

TEST_CASE("Ed25519: RFC 8032 key signs, verifies, and a changed message fails") {
    // RFC 8032 section 7.1, TEST 2, its seed wrapped as PKCS#8.
    const auto der = from_hex(
        "302e020100300506032b657004220420"
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    const std::string pem =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n";
    REQUIRE(der.size() == 48);
    const auto signer = openssl::make_signer(pem);
    REQUIRE(signer.ok());
    CHECK(hex((*signer)->public_key()) == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const auto signature = (*signer)->sign(bytes("\x72"));
    CHECK(hex(signature) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    const auto verifier = openssl::make_verifier((*signer)->public_key());
    REQUIRE(verifier.ok());
    CHECK((*verifier)->verify(bytes("\x72"), signature));
    CHECK_FALSE((*verifier)->verify(bytes("\x73"), signature));
    CHECK_FALSE(openssl::make_signer("not a key").ok());
}

TEST_CASE("pseudonyms follow the documented derivation and differ by scope") {
    const std::string master(32, 'k');
    const auto crypto = openssl::make_crypto();
    const auto pseudonymiser = openssl::make_pseudonymiser(bytes(master));
    std::array<std::uint8_t, 32> a{}, b{}, again{};
    REQUIRE(pseudonymiser->hash("contract/a", "203.0.113.7", a));
    REQUIRE(pseudonymiser->hash("contract/b", "203.0.113.7", b));
    REQUIRE(pseudonymiser->hash("contract/a", "203.0.113.7", again));
    CHECK(a == again);
    CHECK(a != b);
    const auto scope_key = crypto->hmac_sha256(bytes(master), bytes("licet/pseudonym/1\0contract/a"s));
    CHECK(a == crypto->hmac_sha256(scope_key, bytes("203.0.113.7")));
}

TEST_CASE("subject and event digests follow the documented derivation") {
    const std::string key(32, 's');
    const auto crypto = openssl::make_crypto();
    const auto subject = openssl::make_subject_digest(bytes(key))("acme", "203.0.113.7");
    const auto full = crypto->hmac_sha256(bytes(key), bytes("licet/subject/1\0acme\0"
                                                            "203.0.113.7"s));
    CHECK(std::equal(subject.bytes.begin(), subject.bytes.end(), full.begin()));
    CHECK(openssl::make_subject_digest(bytes(std::string(32, 't')))("acme", "203.0.113.7") != subject);
    const auto event = openssl::make_event_digest()(ProductNo{0x01020304}, "/src", "1");
    const auto sha =
        crypto->sha256(bytes("licet/event/1\0\x04\x03\x02\x01/src\0"
                             "1"s));
    CHECK(std::equal(event.bytes.begin(), event.bytes.end(), sha.begin()));
    CHECK(openssl::make_content_digest()("abc") == "ba7816bf8f01cfea414140de5dae2223");
}

TEST_CASE("deterministic encryption comes back for the owner of the key, under the same scope only") {
    const std::vector<std::uint8_t> master(32, 7), other(32, 8);
    const auto pseudonymiser = openssl::make_pseudonymiser(master);
    for (const auto& [plain, json] : {std::pair<std::string, std::string>{"sAda \"x\"", "\"Ada \\\"x\\\"\""}, {"s", "\"\""}, {"j[1.50]", "[1.50]"}}) {
        std::string sealed, again;
        REQUIRE(pseudonymiser->encrypt("contract/a", plain, sealed));
        REQUIRE(pseudonymiser->encrypt("contract/a", plain, again));
        CHECK(sealed == again);
        const auto text = base64url(as_bytes(sealed));
        CHECK(openssl::reveal_deterministic(master, "contract/a", text) == json);
        CHECK_FALSE(openssl::reveal_deterministic(master, "contract/b", text).has_value());
        CHECK_FALSE(openssl::reveal_deterministic(other, "contract/a", text).has_value());
        CHECK_FALSE(openssl::reveal_deterministic(master, "contract/a", text.substr(1)).has_value());
        REQUIRE(pseudonymiser->encrypt("contract/b", plain, again));
        CHECK(sealed != again);
    }
    CHECK_FALSE(openssl::reveal_deterministic(master, "contract/a", "").has_value());
}
