#include "server/app/tokens.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::string_view kAudience = "licet", kSubjectAudience = "licet/me", kTicketAudience = "licet/ticket";

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto space = text.find(' ');
        if (space != 0) out.emplace_back(text.substr(0, space));
        if (space == std::string_view::npos) break;
        text.remove_prefix(space + 1);
    }
    return out;
}

Error refused(const char* why) { return {Errc::invalid_token, why, "header:Authorization"}; }

// "read:*" grants "read:" and a product's name, and nothing that could not be one.
bool grants(const std::vector<std::string>& scopes, std::string_view wanted) {
    const auto colon = wanted.find(':');
    if (colon == std::string_view::npos || !(wanted.substr(colon + 1) == "*" || valid_slug(wanted.substr(colon + 1)))) return false;
    return std::any_of(scopes.begin(), scopes.end(), [&](const std::string& s) {
        return s == wanted || (s.ends_with(":*") && wanted.starts_with(std::string_view(s).substr(0, s.size() - 1)));
    });
}

}  // namespace

bool Token::allows(std::string_view verb, std::string_view product) const { return grants(scopes, std::string(verb) + ":" + std::string(product)); }

Tokens::Tokens(std::string issuer, std::shared_ptr<const ports::Crypto> crypto, std::shared_ptr<const ports::Signer> signer,
               std::shared_ptr<const ports::Verifier> verifier, std::shared_ptr<const Clock> clock)
    : issuer_(std::move(issuer)), crypto_(std::move(crypto)), signer_(std::move(signer)), verifier_(std::move(verifier)), clock_(std::move(clock)) {}

Result<Tokens::Issued> Tokens::issue(const Snapshot& snapshot, std::string_view id, std::string_view secret, std::string_view scope,
                                     std::string_view certificate) const {
    const ports::Client* client = snapshot.client(id);
    // An unknown client costs the same hash and comparison as a known one.
    const std::string known = client != nullptr ? client->secret_hash : std::string(64, '0');
    const std::string given = secret_hash(*crypto_, client != nullptr ? std::string_view(client->secret_salt) : std::string_view("00"), secret);
    const bool match = crypto_->equal(as_bytes(known), as_bytes(given));
    if (client == nullptr || !match || client->revoked) return Error{Errc::invalid_client, "unknown client, wrong secret, or revoked", {}};
    Issued out;
    out.scopes = scope.empty() ? client->scopes : split(scope);
    for (const auto& s : out.scopes)
        if (!grants(client->scopes, s)) return Error{Errc::insufficient_scope, "the client may not be given a requested scope", "form:scope"};
    std::string joined;
    for (const auto& s : out.scopes) joined += (joined.empty() ? "" : " ") + s;
    // To the millisecond (RFC 7519 section 2 allows it), and never before the last revocation: the next one revokes whatever was issued until then.
    const UtcMillis issued = std::max(clock_->utc_now(), client->tokens_valid_from);
    json claims{{"aud", kAudience}, {"sub", id}, {"client_id", id}, {"scope", joined}};
    if (!certificate.empty()) claims["cnf"] = {{"x5t#S256", certificate}};
    out.token = sealed(std::move(claims), issued, issued.value / 1000 + kLifetimeSeconds);
    return out;
}

std::string Tokens::issue_subject(const Snapshot& snapshot, std::string_view id, const SubjectKey& subject, std::string_view controller,
                                  int lifetime_s, UtcMillis not_before) const {
    const ports::Client* client = snapshot.client(id);
    const UtcMillis issued = std::max({clock_->utc_now(), client != nullptr ? client->tokens_valid_from : UtcMillis{}, not_before});
    return sealed({{"aud", kSubjectAudience},
                   {"sub", hex(Bytes(subject.bytes.data(), subject.bytes.size()))},
                   {"client_id", id},
                   {"licet_controller", controller},
                   {"licet_region", snapshot.region},
                   {"scope", "consents:self"}},
                  issued, issued.value / 1000 + lifetime_s);
}

std::string Tokens::sealed(json claims, UtcMillis issued, std::int64_t expires_s) const {
    std::array<std::uint8_t, 16> unique{};
    crypto_->random(unique);
    const json header{{"typ", "at+jwt"}, {"alg", "EdDSA"}};
    claims["iss"] = issuer_;
    claims["iat"] = static_cast<double>(issued.value) / 1000;
    claims["exp"] = expires_s;
    claims["jti"] = hex(unique);
    std::string out = base64url(as_bytes(header.dump())) + "." + base64url(as_bytes(claims.dump()));
    return out + "." + base64url(signer_->sign(as_bytes(out)));
}

Result<Token> Tokens::check(const Snapshot& snapshot, std::string_view token) const {
    auto out = read(token);
    if (!out) return out;
    if (auto still = good(snapshot, *out); !still) return still.error();
    return out;
}

Status Tokens::good(const Snapshot& snapshot, const Token& token) const {
    if (clock_->utc_now() >= token.expires_at) return refused("the token has expired");
    const ports::Client* client = snapshot.client(token.client);
    if (client == nullptr || client->revoked || token.issued_at < client->tokens_valid_from) return refused("the token was revoked");
    return success();
}

namespace {

std::string text(const json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}
Token token_of(const json& claims) {
    return {text(claims, "client_id"),
            {std::llround(claims["iat"].get<double>() * 1000)},
            {claims["exp"].get<std::int64_t>() * 1000},
            split(text(claims, "scope")),
            {}};
}

}  // namespace

Result<json> Tokens::claims_of(std::string_view token, std::string_view audience) const {
    const auto first = token.find('.'), last = token.rfind('.');
    if (first == std::string_view::npos || first == last || token.size() > 8192) return refused("not an access token");
    const auto signature = parse_base64url(token.substr(last + 1));
    if (!signature || !verifier_->verify(as_bytes(token.substr(0, last)), as_bytes(*signature)))
        return refused("the token's signature does not verify");
    const auto header_text = parse_base64url(token.substr(0, first)), claims_text = parse_base64url(token.substr(first + 1, last - first - 1));
    if (!header_text || !claims_text) return refused("not an access token");
    const json header = json::parse(*header_text, nullptr, false);
    json claims = json::parse(*claims_text, nullptr, false);
    if (text(header, "typ") != "at+jwt" || text(header, "alg") != "EdDSA") return refused("not an access token of this server");
    if (text(claims, "iss") != issuer_ || text(claims, "aud") != audience) return refused("the token is for another server or another use");
    if (!claims.contains("iat") || !claims["iat"].is_number() || !claims.contains("exp") || !claims["exp"].is_number_integer())
        return refused("the token lacks its times");
    return claims;
}

Result<Token> Tokens::read(std::string_view token) const {
    const auto claims = claims_of(token, kAudience);
    if (!claims) return claims.error();
    Token out = token_of(*claims);
    // A confirmation this server does not know how to check is none (RFC 7800, section 3.1).
    if (const auto cnf = claims->find("cnf"); cnf != claims->end()) {
        out.certificate = text(*cnf, "x5t#S256");
        if (out.certificate.empty() || cnf->size() != 1) return refused("the token is bound to what is not known here");
    }
    return out;
}

Result<SubjectToken> Tokens::read_subject(std::string_view token) const {
    const auto claims = claims_of(token, kSubjectAudience);
    if (!claims) return claims.error();
    SubjectToken out{token_of(*claims), {}, text(*claims, "licet_controller"), text(*claims, "licet_region")};
    const auto subject = parse_hex(text(*claims, "sub"));
    if (!subject || subject->size() != out.subject.bytes.size() || out.controller.empty()) return refused("not a token of a data subject");
    std::copy(subject->begin(), subject->end(), out.subject.bytes.begin());
    return out;
}

std::string Tokens::seal_ticket(const Ticket& ticket, const ports::Sha256& digest) const {
    return sealed({{"aud", kTicketAudience},
                   {"sub", hex(digest)},
                   {"client_id", ticket.token.client},
                   {"scope", "read:" + ticket.product},
                   {"licet_product", ticket.product},
                   {"licet_contract", ticket.contract},
                   {"licet_origin", ticket.origin},
                   {"licet_until", ticket.until.value}},
                  ticket.token.issued_at, ticket.token.expires_at.value / 1000);
}

Result<Ticket> Tokens::read_ticket(std::string_view sealed, const ports::Sha256& digest) const {
    const auto claims = claims_of(sealed, kTicketAudience);
    if (!claims) return claims.error();
    if (text(*claims, "sub") != hex(digest) || !claims->contains("licet_until") || !(*claims)["licet_until"].is_number_integer())
        return refused("not this ticket");
    return Ticket{token_of(*claims),
                  text(*claims, "licet_product"),
                  text(*claims, "licet_contract"),
                  text(*claims, "licet_origin"),
                  {(*claims)["licet_until"].get<std::int64_t>()}};
}

std::string forwarded(const SubjectToken& token) {
    return hex(Bytes(token.subject.bytes.data(), token.subject.bytes.size())) + " " + std::to_string(token.token.issued_at.value) + " " +
           token.controller;
}
std::optional<SubjectToken> forwarded_subject(std::string_view text) {
    const auto parts = split(text);
    SubjectToken out;
    if (parts.size() != 3) return std::nullopt;
    const auto subject = parse_hex(parts[0]);
    const auto* end = parts[1].data() + parts[1].size();
    const auto read = std::from_chars(parts[1].data(), end, out.token.issued_at.value);
    if (!subject || subject->size() != out.subject.bytes.size() || read.ec != std::errc{} || read.ptr != end || !valid_slug(parts[2]))
        return std::nullopt;
    std::copy(subject->begin(), subject->end(), out.subject.bytes.begin());
    out.controller = parts[2];
    return out;
}

std::string secret_hash(const ports::Crypto& crypto, std::string_view salt_hex, std::string_view secret) {
    std::string salted = parse_hex(salt_hex).value_or("");
    salted += secret;
    return hex(crypto.sha256(as_bytes(salted)));
}

}  // namespace licet::app
