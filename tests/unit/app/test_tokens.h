// An issuer of tokens with the key of RFC 8032, section 7.1, test 1. For tests of the use cases and of the control plane.
#pragma once

#include <memory>

#include "server/app/tokens.h"
#include "server/openssl/crypto.h"

namespace licet::testing {

inline std::shared_ptr<app::Tokens> test_tokens(std::shared_ptr<const Clock> clock) {
    const std::shared_ptr<const ports::Signer> signer = *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
    return std::make_shared<app::Tokens>("https://eu.example", openssl::make_crypto(), signer, *openssl::make_verifier(signer->public_key()),
                                         std::move(clock));
}

}  // namespace licet::testing
