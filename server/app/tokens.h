// Access tokens (RFC 9068 at+jwt, EdDSA over Ed25519) and client authentication. Used by the edge: issue on /oauth/token, check on every request.
// Thread-safe.
#pragma once

#include <memory>
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
    // "read:wiki" is granted by the scope itself or by "read:*".
    [[nodiscard]] bool allows(std::string_view verb, std::string_view product) const;
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
    // `scope`: space-separated, a subset of the client's; empty: all of them. Errors: invalid_client (also for a revoked client), insufficient_scope.
    [[nodiscard]] Result<Issued> issue(const Snapshot& snapshot, std::string_view client, std::string_view secret, std::string_view scope) const;

    // What the token says, if this server signed it: signature, type, issuer, audience. Stays true; whether it is still good does not. Error:
    // invalid_token.
    [[nodiscard]] Result<Token> read(std::string_view token) const;
    // Not expired; the snapshot's client known, not revoked, the token not older than its revocation. Error: invalid_token.
    [[nodiscard]] Status good(const Snapshot& snapshot, const Token& token) const;
    // Both.
    [[nodiscard]] Result<Token> check(const Snapshot& snapshot, std::string_view token) const;

  private:
    const std::string issuer_;
    const std::shared_ptr<const ports::Crypto> crypto_;
    const std::shared_ptr<const ports::Signer> signer_;
    const std::shared_ptr<const ports::Verifier> verifier_;
    const std::shared_ptr<const Clock> clock_;
};

// Hex SHA-256 of salt bytes | secret: what the catalog keeps of a secret.
[[nodiscard]] std::string secret_hash(const ports::Crypto& crypto, std::string_view salt_hex, std::string_view secret);

}  // namespace licet::app
