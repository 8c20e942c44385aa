// Access tokens (RFC 9068 at+jwt, EdDSA over Ed25519) and client authentication. Used by the edge: issue on /oauth/token, check on every request.
// Thread-safe.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "server/app/snapshot.h"
#include "server/ports/crypto.h"

namespace licet::app {

struct Token {
    std::string client;
    UtcMillis issued_at{}, expires_at{};
    std::vector<std::string> scopes;
    std::string certificate;  // x5t#S256 of the client certificate it is bound to (RFC 8705); empty: none
    // "read:wiki" is granted by the scope itself or by "read:*".
    [[nodiscard]] bool allows(std::string_view verb, std::string_view product) const;
};

// What a subject's token says: who may act for themselves, to which controller, through which client.
struct SubjectToken {
    Token token;
    SubjectKey subject;
    std::string controller;
    std::string region;  // where it was issued, and alone is good: revocations are of the region
};

// What a single-use ticket opens (tickets.h): the reading of one product under one contract, as long as the token it was asked for with is good.
struct Ticket {
    Token token;
    std::string product, contract;
    std::string origin;  // of the page it is for; empty: whoever has it
    UtcMillis until{};   // to be used before
};

class Tokens {
  public:
    static constexpr int kLifetimeSeconds = 3600;

    Tokens(std::string issuer, std::shared_ptr<const ports::Crypto> crypto, std::shared_ptr<const ports::Signer> signer,
           std::shared_ptr<const ports::Verifier> verifier, std::shared_ptr<const Clock> clock);

    struct Issued {
        std::string token;
        std::vector<std::string> scopes;
    };
    // `scope`: space-separated, a subset of the client's; empty: all of them. `certificate`: what the client proved to hold on this connection
    // (x5t#S256); the token is then good with it alone. Errors: invalid_client (also for a revoked client), insufficient_scope.
    [[nodiscard]] Result<Issued> issue(const Snapshot& snapshot, std::string_view client, std::string_view secret, std::string_view scope,
                                       std::string_view certificate = {}) const;

    // A token for one data subject, of whom it holds a keyed digest only; good for nothing but their own consents. Not dated before `not_before`.
    [[nodiscard]] std::string issue_subject(const Snapshot& snapshot, std::string_view client, const SubjectKey& subject, std::string_view controller,
                                            int lifetime_s, UtcMillis not_before) const;
    // The counterpart of read(): each refuses the other's tokens. Whether it is still good: good(), and the registry of consents.
    [[nodiscard]] Result<SubjectToken> read_subject(std::string_view token) const;

    // A ticket as it is kept until its use, bound to its digest: who can write where it is kept can neither make one nor change one.
    [[nodiscard]] std::string seal_ticket(const Ticket& ticket, const ports::Sha256& digest) const;
    [[nodiscard]] Result<Ticket> read_ticket(std::string_view sealed, const ports::Sha256& digest) const;

    // What the token says, if this server signed it: signature, type, issuer, audience. Stays true; whether it is still good does not. Error:
    // invalid_token.
    [[nodiscard]] Result<Token> read(std::string_view token) const;
    // Not expired; the snapshot's client known, not revoked, the token not older than its revocation. Error: invalid_token.
    [[nodiscard]] Status good(const Snapshot& snapshot, const Token& token) const;
    // Both.
    [[nodiscard]] Result<Token> check(const Snapshot& snapshot, std::string_view token) const;

  private:
    [[nodiscard]] std::string sealed(nlohmann::json claims, UtcMillis issued, std::int64_t expires_s) const;
    [[nodiscard]] Result<nlohmann::json> claims_of(std::string_view token, std::string_view audience) const;

    const std::string issuer_;
    const std::shared_ptr<const ports::Crypto> crypto_;
    const std::shared_ptr<const ports::Signer> signer_;
    const std::shared_ptr<const ports::Verifier> verifier_;
    const std::shared_ptr<const Clock> clock_;
};

// How the edge tells the control plane of it: digest, time of issue, controller; nothing else of the token is needed there.
[[nodiscard]] std::string forwarded(const SubjectToken& token);
[[nodiscard]] std::optional<SubjectToken> forwarded_subject(std::string_view text);

// Hex SHA-256 of salt bytes | secret: what the catalog keeps of a secret.
[[nodiscard]] std::string secret_hash(const ports::Crypto& crypto, std::string_view salt_hex, std::string_view secret);

}  // namespace licet::app
