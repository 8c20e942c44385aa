// A certificate is checked with the public key alone, and says nothing else than what was signed.
#include "server/app/erasure_certificate.h"

#include <doctest/doctest.h>

#include "server/openssl/crypto.h"

using namespace licet;

namespace {

struct Certified {
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    std::shared_ptr<const ports::Verifier> verifier = *openssl::make_verifier(signer->public_key());
    nlohmann::json certificate;

    Certified() {
        ports::Erasure erasure;
        erasure.number = 4;
        erasure.at = {1'795'000'000'000};
        erasure.changed.epoch = {17};
        erasure.keys = {{{{1}}, {{2}}, {}, {}, {1'794'000'000'000}, {1'795'000'000'000}}};
        erasure.fresh = {{{1}}};
        certificate = app::make_certificate({"eu", "caf\u00e9", {{2}}, {"a"}, {"b"}}, erasure, *signer);
    }
};

}  // namespace

TEST_CASE("a certificate verifies, also laid out for reading") {
    const Certified c;
    for (const int indent : {-1, 2}) {
        const auto done = app::verify_certificate(c.certificate.dump(indent) + "\n", *c.verifier);
        REQUIRE_MESSAGE(done.ok(), done.error().detail);
        CHECK(done->region == "eu");
        CHECK(done->keys == 1);
        CHECK(done->subject == "02" + std::string(30, '0'));
    }
}

TEST_CASE("a certificate of which one byte is changed, or with a member more or less, does not verify") {
    const Certified c;
    const auto text = c.certificate.dump();
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        CHECK_FALSE(app::verify_certificate(changed, *c.verifier).ok());
    }
    for (const auto& [name, value] : c.certificate.items()) {
        auto less = c.certificate;
        less.erase(name);
        CHECK_FALSE(app::verify_certificate(less.dump(), *c.verifier).ok());
    }
    auto more = c.certificate;
    more["more"] = 1;
    CHECK_FALSE(app::verify_certificate(more.dump(), *c.verifier).ok());
    CHECK_FALSE(
        app::verify_certificate(R"({"at":"1970-01-01T00:00:00.000Z",)" + text.substr(1), *c.verifier).ok());  // the last one of two would be read
    CHECK_FALSE(app::verify_certificate("", *c.verifier).ok());
}
