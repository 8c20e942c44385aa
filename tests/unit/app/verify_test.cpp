// An audit export is verified with the public key alone: every changed byte, removed or reordered line is found.
#include "server/app/verify.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "base/encoding.h"
#include "server/openssl/crypto.h"

using namespace licet;
using nlohmann::json;

namespace {

struct Chain {
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    std::shared_ptr<const ports::Verifier> verifier = *openssl::make_verifier(signer->public_key());
    std::vector<std::string> lines;

    explicit Chain(int count) {
        std::string previous(64, '0');
        for (int n = 1; n <= count; ++n) {
            json line{{"seq", n},        {"at", "2026-11-21T08:00:00.000Z"},         {"actor", "ada"},  {"action", "party.put"},
                      {"target", "lab"}, {"detail", {{"title", "Caf\u00e9 \"n\""}}}, {"prev", previous}};
            lines.push_back(sealed(line));
            previous = json::parse(lines.back())["hash"];
        }
    }
    [[nodiscard]] std::string sealed(json line) const {
        const auto digest = crypto->sha256(as_bytes(line.dump()));
        line["hash"] = hex(digest);
        line["signature"] = base64url(signer->sign(digest));
        return line.dump();
    }
    [[nodiscard]] Result<app::VerifiedAudit> verify(const std::vector<std::string>& of) const {
        std::string text;
        for (const auto& line : of) text += line + "\n";
        std::istringstream in(text);
        return app::verify_audit(in, *crypto, *verifier);
    }
    void refused(const std::vector<std::string>& of, const std::string& where) const {
        const auto result = verify(of);
        REQUIRE_FALSE(result.ok());
        CHECK(result.error().code == Errc::verification_failed);
        CHECK_MESSAGE(result.error().detail.starts_with(where + ":"), result.error().detail);
    }
};

}  // namespace

TEST_CASE("verify: a whole chain and a part of one") {
    const Chain c(5);
    const auto whole = c.verify(c.lines);
    REQUIRE(whole.ok());
    CHECK(whole->lines == 5);
    CHECK(whole->first == 1);
    CHECK(whole->last == 5);
    const auto part = c.verify({c.lines.begin() + 2, c.lines.end()});
    REQUIRE(part.ok());
    CHECK(part->first == 3);
    CHECK_FALSE(c.verify({}).ok());
}

TEST_CASE("verify: every bit of a line counts") {
    const Chain c(3);
    const std::string& line = c.lines[1];
    for (std::size_t at = 0; at < line.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto lines = c.lines;
            lines[1][at] = static_cast<char>(lines[1][at] ^ (1 << bit));
            if (lines[1][at] == '\n') continue;  // two lines then, below
            CAPTURE(at);
            CAPTURE(bit);
            const auto result = c.verify(lines);
            REQUIRE_FALSE(result.ok());
            REQUIRE(result.error().detail.starts_with("line 2:"));
        }
}

TEST_CASE("verify: removed, reordered, repeated, cut, respelled and foreign lines") {
    const Chain c(4);
    const auto& l = c.lines;
    c.refused({l[0], l[2], l[3]}, "line 2");
    c.refused({l[0], l[2], l[1], l[3]}, "line 2");
    c.refused({l[0], l[0]}, "line 2");
    c.refused({l[0], l[1].substr(0, l[1].size() / 2), l[1].substr(l[1].size() / 2)}, "line 2");
    c.refused({l[0], " " + l[1]}, "line 2");
    c.refused({l[0], "{\"actor\":\"eve\"," + l[1].substr(1)}, "line 2");  // a member twice: readers differ on which one counts
    for (const char* odd : {"[]", "1", "null", "{}", "{\"seq\":\"2\"}", "{\"seq\":-2}", "x"}) c.refused({l[0], odd}, "line 2");
    // Sealed by someone else.
    auto foreign = json::parse(l[1]);
    foreign.erase("hash");
    foreign["signature"] = base64url(std::vector<std::uint8_t>(64, 1));
    c.refused({l[0], foreign.dump()}, "line 2");
    // A first line that names one before it.
    auto first = json::parse(l[0]);
    first.erase("hash");
    first.erase("signature");
    first["prev"] = std::string(64, '1');
    c.refused({c.sealed(first)}, "line 1");
}
