#include "server/openssl/sealing.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace licet;
using namespace std::string_literals;

namespace {

ports::SecretKey key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> bytes{};
    bytes.fill(fill);
    return ports::SecretKey(bytes);
}

}  // namespace

TEST_CASE("AES-256-GCM opens what was published for it") {
    // NIST's GCM test vectors (the algorithm's specification, test case 16): key, IV, AAD, plain text, cipher text, tag.
    const auto from = [](const char* text) { return parse_hex(text).value(); };
    const auto key = from("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    const auto plain =
        from("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    const auto associated = from("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const auto sealed =
        from("cafebabefacedbaddecaf888") +
        from("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662") +
        from("76fc6ece0f4e1768cddf8853bb2d551b");
    std::array<std::uint8_t, 32> bytes{};
    std::copy_n(as_bytes(key).begin(), 32, bytes.begin());
    const ports::SecretKey secret(bytes);
    const auto cipher = openssl::make_sealing_cipher();
    cipher->use(secret);
    std::string out;
    REQUIRE(cipher->open(as_bytes(sealed), as_bytes(associated), out));
    CHECK(out == plain);
}

TEST_CASE("a sealed value opens under its key and what it is bound to, unchanged, and not otherwise") {
    const auto cipher = openssl::make_sealing_cipher();
    std::string sealed = "kept:";
    CHECK_FALSE(cipher->seal(as_bytes("x"), as_bytes("a"), sealed));  // no key yet
    CHECK(sealed == "kept:");
    const auto one = key_of(1), two = key_of(2);
    for (const std::string& plain : {""s, "v"s, std::string(100'000, 'p')}) {
        cipher->use(one);
        sealed = "kept:";
        REQUIRE(cipher->seal(as_bytes(plain), as_bytes("bound"), sealed));
        CHECK(sealed.size() == 5 + plain.size() + event::ValueCipher::kOverheadBytes);
        sealed.erase(0, 5);
        std::string out = "before ";
        REQUIRE(cipher->open(as_bytes(sealed), as_bytes("bound"), out));
        CHECK(out == "before " + plain);
        CHECK_FALSE(cipher->open(as_bytes(sealed), as_bytes("Bound"), out));
        for (std::size_t i = 0; i < sealed.size(); i += 1 + sealed.size() / 64) {
            auto changed = sealed;
            changed[i] = static_cast<char>(changed[i] ^ 1);
            CHECK_FALSE(cipher->open(as_bytes(changed), as_bytes("bound"), out));
            CHECK_FALSE(cipher->open(as_bytes(sealed.substr(0, i)), as_bytes("bound"), out));
        }
        CHECK(out == "before " + plain);
        cipher->use(two);
        CHECK_FALSE(cipher->open(as_bytes(sealed), as_bytes("bound"), out));
    }
}

TEST_CASE("a derived key opens what was sealed under it, with its data key and context alone") {
    const auto cipher = openssl::make_sealing_cipher();
    CHECK_FALSE(cipher->derive(as_bytes("e1")));  // no key yet
    const auto one = key_of(1), two = key_of(2);
    cipher->use(one);
    REQUIRE(cipher->derive(as_bytes("e1")));
    std::string sealed, out;
    REQUIRE(cipher->seal(as_bytes("value"), as_bytes("0"), sealed));
    // HMAC-SHA256(key, context), by another program: printf e1 | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101..01
    const auto other = openssl::make_sealing_cipher();
    std::array<std::uint8_t, 32> derived{};
    const auto expected = parse_hex("a06edc5a75f74b7a04273244d00e712009fa12be166e636d81f6188395b9e233").value();
    std::copy_n(as_bytes(expected).begin(), 32, derived.begin());
    const ports::SecretKey secret(derived);
    other->use(secret);
    REQUIRE(other->open(as_bytes(sealed), as_bytes("0"), out));
    CHECK(out == "value");
    REQUIRE(cipher->derive(as_bytes("e2")));
    CHECK_FALSE(cipher->open(as_bytes(sealed), as_bytes("0"), out));
    cipher->use(two);
    REQUIRE(cipher->derive(as_bytes("e1")));
    CHECK_FALSE(cipher->open(as_bytes(sealed), as_bytes("0"), out));
    cipher->use(one);
    CHECK_FALSE(cipher->open(as_bytes(sealed), as_bytes("0"), out));
    REQUIRE(cipher->derive(as_bytes("e1")));
    REQUIRE(cipher->open(as_bytes(sealed), as_bytes("0"), out));
    CHECK(out == "valuevalue");
}

TEST_CASE("no nonce occurs twice") {
    const auto cipher = openssl::make_sealing_cipher();
    const auto key = key_of(9);
    cipher->use(key);
    std::set<std::string> nonces;
    for (int i = 0; i < 20'000; ++i) {
        std::string sealed;
        REQUIRE(cipher->seal(as_bytes("same"), as_bytes("same"), sealed));
        nonces.insert(sealed.substr(0, 12));
    }
    CHECK(nonces.size() == 20'000);
}

TEST_CASE("keys are wrapped under the first, and open under each that is there") {
    const std::string old_key(32, 'o'), new_key(32, 'n');
    CHECK(openssl::make_key_wrapping({}) == nullptr);
    CHECK(openssl::make_key_wrapping({old_key, "short"}) == nullptr);
    const auto before = openssl::make_key_wrapping({old_key}), during = openssl::make_key_wrapping({new_key, old_key}),
               after = openssl::make_key_wrapping({new_key});
    CHECK(before->current() != after->current());
    CHECK(during->current() == after->current());
    CHECK(before->current().find(old_key) == std::string::npos);
    const auto data_key = key_of(5);
    const auto wrapped = before->wrap(data_key.bytes(), as_bytes("id")).value();
    CHECK(wrapped.find(std::string(8, 5)) == std::string::npos);
    const auto opened = during->unwrap(before->current(), as_bytes(wrapped), as_bytes("id"));
    REQUIRE(opened.ok());
    CHECK(std::equal((*opened)->bytes().begin(), (*opened)->bytes().end(), data_key.bytes().begin()));
    CHECK(after->unwrap(before->current(), as_bytes(wrapped), as_bytes("id")).error().code == Errc::unavailable);
    CHECK(before->unwrap(before->current(), as_bytes(wrapped), as_bytes("other")).error().code == Errc::corrupt);
    CHECK(during->unwrap(after->current(), as_bytes(wrapped), as_bytes("id")).error().code == Errc::corrupt);
}
