// Access tokens: who gets one, and which are refused.
#include <set>

#include "base/encoding.h"
#include "server/app/tokens.h"
#include "server/openssl/crypto.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

// RFC 8032 section 7.1, tests 1 and 2.
std::string pem(const char* last) { return std::string("-----BEGIN PRIVATE KEY-----\n") + last + "\n-----END PRIVATE KEY-----\n"; }
const std::string kKey = pem("MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7");
const std::string kOtherKey = pem("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");

struct Issuer {
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(kKey);
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    app::Tokens tokens{"https://eu.example", crypto, signer, *openssl::make_verifier(signer->public_key()), clock};
    ports::Configuration configuration;

    Issuer() {
        ports::Client client{"reader", "lab", "", "00ff", {}, {"read:wiki", "write:wiki"}};
        client.secret_hash = app::secret_hash(*crypto, client.secret_salt, "secret");
        configuration.clients.push_back(client);
        client.id = "all";
        client.scopes = {"read:*"};
        configuration.clients.push_back(client);
    }
    [[nodiscard]] std::shared_ptr<const app::Snapshot> snapshot() const {
        return app::build_snapshot(configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
    }
    [[nodiscard]] std::string token(std::string_view client = "reader", std::string_view scope = {}) const {
        auto issued = tokens.issue(*snapshot(), client, "secret", scope);
        REQUIRE(issued.ok());
        return issued->token;
    }
    [[nodiscard]] bool refused(std::string_view token) const {
        const auto checked = tokens.check(*snapshot(), token);
        if (!checked.ok()) CHECK(checked.error().code == Errc::invalid_token);
        return !checked.ok();
    }
    [[nodiscard]] json claims() const {
        const std::int64_t now = clock->now / 1000;
        return {{"iss", "https://eu.example"}, {"aud", "licet"}, {"sub", "reader"}, {"client_id", "reader"}, {"iat", now}, {"exp", now + 60},
                {"scope", "read:wiki"},        {"jti", "1"}};
    }
    // A token of any content, signed with `by`.
    static std::string forged(const json& header, const json& claims, const ports::Signer& by) {
        const std::string text = base64url(as_bytes(header.dump())) + "." + base64url(as_bytes(claims.dump()));
        return text + "." + base64url(by.sign(as_bytes(text)));
    }
};

const json kHeader{{"typ", "at+jwt"}, {"alg", "EdDSA"}};

}  // namespace

TEST_CASE("tokens: what was issued is good for its client, scopes and time") {
    const Issuer i;
    const auto token = i.token();
    const auto checked = i.tokens.check(*i.snapshot(), token);
    REQUIRE(checked.ok());
    CHECK(checked->client == "reader");
    CHECK(checked->allows("read", "wiki"));
    CHECK(checked->allows("write", "wiki"));
    CHECK_FALSE(checked->allows("read", "wiki2"));
    CHECK_FALSE(checked->allows("read", "wik"));
    CHECK(checked->issued_at.value == i.clock->now / 1000 * 1000);
    CHECK(checked->expires_at.value == checked->issued_at.value + 3'600'000);
    CHECK(token != i.token());  // each has an id of its own
    // RFC 9068: the header names the type, the claims are all there.
    const auto header = json::parse(*parse_base64url(token.substr(0, token.find('.'))));
    CHECK(header == kHeader);
    const auto claims = json::parse(*parse_base64url(token.substr(token.find('.') + 1, token.rfind('.') - token.find('.') - 1)));
    for (const char* name : {"iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope"}) CHECK(claims.contains(name));
}

TEST_CASE("tokens: scopes asked for are a subset of the client's") {
    const Issuer i;
    const auto snapshot = i.snapshot();
    const auto issue = [&](const char* client, const char* scope) { return i.tokens.issue(*snapshot, client, "secret", scope); };
    CHECK(issue("reader", "read:wiki")->scopes == std::vector<std::string>{"read:wiki"});
    CHECK_FALSE(i.tokens.check(*snapshot, i.token("reader", "read:wiki"))->allows("write", "wiki"));
    for (const char* scope : {"read:other", "read:*", "*", "admin", "read:wiki write:other", "read:", "read:wik", "read:wiki/../x"})
        CHECK(issue("reader", scope).error().code == Errc::insufficient_scope);
    CHECK(issue("all", "read:anything").ok());
    CHECK(issue("all", "read:*").ok());
    CHECK(i.tokens.check(*snapshot, i.token("all"))->allows("read", "anything"));
    CHECK_FALSE(i.tokens.check(*snapshot, i.token("all"))->allows("write", "anything"));
    for (const char* scope : {"read:\xff", "read:", "read:\"", "read:A", "read:a:b", "write:x", "read"})
        CHECK(issue("all", scope).error().code == Errc::insufficient_scope);
    CHECK(issue("reader", "  read:wiki   write:wiki ")->scopes.size() == 2);
}

TEST_CASE("tokens: unknown client, wrong secret, revoked client") {
    Issuer i;
    const auto code = [&](const char* client, const char* secret) { return i.tokens.issue(*i.snapshot(), client, secret, "").error().code; };
    CHECK(code("nobody", "secret") == Errc::invalid_client);
    CHECK(code("reader", "Secret") == Errc::invalid_client);
    CHECK(code("reader", "") == Errc::invalid_client);
    CHECK(code("", "") == Errc::invalid_client);
    const auto before = i.token();
    i.configuration.clients[0].revoked = true;
    CHECK(code("reader", "secret") == Errc::invalid_client);
    CHECK(i.refused(before));
    i.configuration.clients.clear();
    CHECK(i.refused(before));
}

TEST_CASE("tokens: a token ends with its time, to the millisecond") {
    const Issuer i;
    i.clock->now = 1'795'000'000'999;
    const auto token = i.token();
    i.clock->now = 1'795'003'599'999;
    CHECK_FALSE(i.refused(token));
    i.clock->now = 1'795'003'600'000;
    CHECK(i.refused(token));
}

TEST_CASE("tokens: revoking a client's tokens takes all issued up to then, and none issued after") {
    Issuer i;
    i.clock->now = 1'795'000'000'300;
    const auto before = i.token();
    i.configuration.clients[0].tokens_valid_from = {1'795'000'000'301};  // what revoking writes at this moment
    CHECK(i.refused(before));
    const auto after = i.token();  // within the same millisecond
    CHECK(after != before);
    CHECK_FALSE(i.refused(after));
    i.configuration.clients[0].tokens_valid_from = {1'795'000'000'302};  // and again
    CHECK(i.refused(after));
    CHECK_FALSE(i.refused(i.token()));
}

TEST_CASE("tokens: nothing but a whole token of this server is taken") {
    const Issuer i;
    const auto token = i.token();
    CHECK_FALSE(i.refused(token));
    // Every character of it counts.
    for (std::size_t at = 0; at < token.size(); ++at) {
        auto changed = token;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        CAPTURE(at);
        CHECK(i.refused(changed));
    }
    for (std::size_t cut = 0; cut < token.size(); cut += 7) CHECK(i.refused(token.substr(0, cut)));
    const auto signature_at = token.rfind('.');
    CHECK(i.refused(token.substr(0, signature_at + 1)));
    CHECK(i.refused(token.substr(0, signature_at)));
    CHECK(i.refused(token + "="));
    CHECK(i.refused(token + "." + token.substr(signature_at + 1)));
    for (const char* text : {"", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30"}) CHECK(i.refused(text));
    CHECK(i.refused(std::string(100'000, 'a')));
}

TEST_CASE("tokens: algorithm, type, issuer, audience and signer are this server's own") {
    const Issuer i;
    const auto claims = i.claims();
    const auto with = [&](const char* key, json value) {
        auto changed = claims;
        changed[key] = std::move(value);
        return changed;
    };
    const auto& own = *i.signer;
    CHECK_FALSE(i.refused(Issuer::forged(kHeader, claims, own)));
    // "none" without a signature, with an empty one, and with a good one.
    const json none{{"typ", "at+jwt"}, {"alg", "none"}};
    const std::string unsigned_text = base64url(as_bytes(none.dump())) + "." + base64url(as_bytes(claims.dump()));
    CHECK(i.refused(unsigned_text + "."));
    CHECK(i.refused(unsigned_text));
    CHECK(i.refused(Issuer::forged(none, claims, own)));
    // The public key as an HMAC secret, the classic confusion.
    const json hs{{"typ", "at+jwt"}, {"alg", "HS256"}};
    const std::string text = base64url(as_bytes(hs.dump())) + "." + base64url(as_bytes(claims.dump()));
    CHECK(i.refused(text + "." + base64url(i.crypto->hmac_sha256(own.public_key(), as_bytes(text)))));
    for (const json& header :
         {json{{"alg", "EdDSA"}}, json{{"typ", "JWT"}, {"alg", "EdDSA"}}, json{{"typ", "at+jwt"}}, json::array(), json("at+jwt")})
        CHECK(i.refused(Issuer::forged(header, claims, own)));
    CHECK(i.refused(Issuer::forged(kHeader, claims, **openssl::make_signer(kOtherKey))));
    CHECK(i.refused(Issuer::forged(kHeader, with("iss", "https://us.example"), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("aud", "other"), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("aud", json::array({"licet"})), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("client_id", "nobody"), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("exp", "9999999999"), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("exp", 1e300), own)));
    CHECK(i.refused(Issuer::forged(kHeader, with("iat", nullptr), own)));
    for (const json& odd : {json::array(), json("text"), json(1)}) CHECK(i.refused(Issuer::forged(kHeader, odd, own)));
}

TEST_CASE("secret hashes: the salt counts, by its bytes") {
    const auto crypto = openssl::make_crypto();
    CHECK(app::secret_hash(*crypto, "00", "s") != app::secret_hash(*crypto, "01", "s"));
    CHECK(app::secret_hash(*crypto, "", "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
}

TEST_CASE("a token fetched with a certificate names it; a binding that is not known here makes it void") {
    const Issuer issuer;
    const auto bound = issuer.tokens.issue(*issuer.snapshot(), "reader", "secret", "", "thumb");
    REQUIRE(bound.ok());
    CHECK(issuer.tokens.read(bound->token)->certificate == "thumb");
    CHECK(issuer.tokens.read(issuer.token())->certificate.empty());
    for (const json& cnf :
         {json{{"jkt", "key"}}, json{{"x5t#S256", "thumb"}, {"jkt", "key"}}, json{{"x5t#S256", 1}}, json("thumb"), json::object(), json()}) {
        auto claims = issuer.claims();
        claims["cnf"] = cnf;
        CHECK(issuer.refused(Issuer::forged(kHeader, claims, *issuer.signer)));
    }
}
