// Signed checkpoints: as other tools of C2SP signed notes write and read them, and nothing else is taken for one.
#include "base/checkpoint.h"

#include <doctest/doctest.h>

#include <string>

#include "server/openssl/crypto.h"

using namespace licet;

namespace {

const merkle::Sha256 kSha = [crypto = openssl::make_crypto()](Bytes data) { return crypto->sha256(data); };

struct Fixture {
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    std::shared_ptr<const ports::Verifier> verifier = *openssl::make_verifier(signer->public_key());
    NamedKey key{"example.org/audit", signer->public_key()};
    std::string note = signed_note({"example.org/audit", 42, kSha(as_bytes("root"))});

    [[nodiscard]] std::string signed_note(const Checkpoint& c) const {
        return sign_checkpoint(kSha, c, signer->public_key(), [&](Bytes m) { return signer->sign(m); });
    }
    [[nodiscard]] std::string signed_body(const std::string& body) const {
        const auto right = note.substr(note.find("\n\n") + 1);
        auto raw = *parse_base64(right.substr(right.rfind(' ') + 1, right.size() - right.rfind(' ') - 2));
        const auto signature = signer->sign(as_bytes(body));
        raw = raw.substr(0, 4) + std::string(signature.begin(), signature.end());
        return body + "\n\xe2\x80\x94 example.org/audit " + base64(as_bytes(raw)) + "\n";
    }
    [[nodiscard]] Result<Checkpoint> open(const std::string& text) const { return open_with(text, key); }
    [[nodiscard]] Result<Checkpoint> open_with(const std::string& text, const NamedKey& by) const {
        return open_checkpoint(kSha, text, by, [&](Bytes m, Bytes s) { return verifier->verify(m, s); });
    }
};

}  // namespace

TEST_CASE("checkpoint: a key as Go's sumdb/note writes it is read, and written the same") {
    const char* kPeter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const auto key = parse_verifier_key(kSha, kPeter);
    REQUIRE(key);
    CHECK(key->origin == "PeterNeumann");
    CHECK(verifier_key(kSha, key->origin, key->key) == kPeter);
    for (const char* bad : {"PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "PeterNeumann+c74f20a3+AhpcnQ==", "Peter+", "+", "",
                            "x", "peterneumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"})
        CHECK_FALSE(parse_verifier_key(kSha, bad));
    CHECK(parse_verifier_key(kSha, hex(key->key))->key == key->key);
    CHECK(parse_verifier_key(kSha, base64url(key->key))->key == key->key);
}

TEST_CASE("checkpoint: written line by line as the format says, and read back") {
    const Fixture f;
    CHECK(f.note.starts_with("example.org/audit\n42\n" + base64(kSha(as_bytes("root"))) + "\n\n\xe2\x80\x94 example.org/audit "));
    CHECK(f.note.ends_with("\n"));
    const auto read = f.open(f.note);
    REQUIRE(read.ok());
    CHECK(read->size == 42);
    CHECK(read->root == kSha(as_bytes("root")));
    CHECK(f.open_with(f.note, {"", f.key.key}).ok());  // a key without a name
    // Another key's signature beside it, as a witness adds one, and a line of an extension.
    CHECK(f.open(f.note + "\xe2\x80\x94 witness.example " + base64(as_bytes(std::string(76, 'w'))) + "\n").ok());
    CHECK(f.open(f.signed_body("example.org/audit\n42\n" + base64(kSha({})) + "\nextension\n")).ok());
}

TEST_CASE("checkpoint: a changed bit anywhere, other logs, other keys and other spellings are refused") {
    const Fixture f;
    for (std::size_t at = 0; at < f.note.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto changed = f.note;
            changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
            CAPTURE(at);
            CAPTURE(bit);
            REQUIRE_FALSE(f.open(changed).ok());
            REQUIRE_FALSE(f.open_with(changed, {"", f.key.key}).ok());
        }
    for (std::size_t size = 0; size < f.note.size(); ++size) REQUIRE_FALSE(f.open(f.note.substr(0, size)).ok());
    CHECK_FALSE(f.open_with(f.note, {"example.org/other", f.key.key}).ok());
    CHECK_FALSE(f.open_with(f.note, {"example.org/audit", {}}).ok());
    CHECK_FALSE(f.open(f.note + "x\n").ok());
    CHECK_FALSE(f.open(f.note + "\n").ok());
    CHECK_FALSE(f.open(f.note + std::string(20'000, 'x')).ok());
    const std::string root = base64(kSha({}));
    CHECK(f.open(f.signed_body("example.org/audit\n42\n" + root + "\n")).ok());
    for (const std::string& body :
         {"example.org/audit\n042\n" + root + "\n", "example.org/audit\n-1\n" + root + "\n", "example.org/audit\n4 2\n" + root + "\n",
          std::string("example.org/audit\n42\nAAAA\n"), "example.org/audit\n18446744073709551616\n" + root + "\n",
          std::string("example.org/audit\n42\n"), "example.org/a+b\n42\n" + root + "\n"})
        CHECK_FALSE(f.open_with(f.signed_body(body), {"", f.key.key}).ok());
}
