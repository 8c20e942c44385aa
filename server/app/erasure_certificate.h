// The certificate of an erasure: JSON, signed with the audit's key, checked offline with the public key alone. Made by SubjectRights, checked by
// `licet verify`. Pure.
//
// The signature (Ed25519, base64url) is over the certificate's JSON text without the member `signature`: members sorted by name, no white space,
// UTF-8.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/ports/crypto.h"
#include "server/ports/subject_keys.h"

namespace licet::app {

struct ErasureFacts {
    std::string region, controller;
    SubjectKey subject;
    std::vector<std::string> encrypted_products, clear_products;  // of the controller, by name
};
// Precondition: the erasure holds on every live node of the region.
[[nodiscard]] nlohmann::json make_certificate(const ErasureFacts& facts, const ports::Erasure& erasure, const ports::Signer& signer);

struct VerifiedCertificate {
    std::string region, controller, subject, at;
    std::size_t keys = 0;
};
// Errors: verification_failed with what is wrong.
[[nodiscard]] Result<VerifiedCertificate> verify_certificate(std::string_view text, const ports::Verifier& verifier);

}  // namespace licet::app
