// The ports::Crypto family over OpenSSL 3: digests, HMAC, Ed25519, AES-256-SIV, and the keyed digests of the data path. The only folder that includes
// OpenSSL. Built by server/main and handed on as ports.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/result.h"
#include "policy/engine.h"
#include "server/ports/crypto.h"

namespace licet::openssl {

// Stateless, thread-safe; never null.
[[nodiscard]] std::shared_ptr<const ports::Crypto> make_crypto();

// `pem`: one PKCS#8 Ed25519 private key. Errors: invalid_document.
[[nodiscard]] Result<std::shared_ptr<const ports::Signer>> make_signer(std::string_view pem);
// `public_key`: 32 raw bytes. Errors: invalid_document.
[[nodiscard]] Result<std::shared_ptr<const ports::Verifier>> make_verifier(Bytes public_key);

// `key`: 64 bytes (AES-256-SIV takes two 256-bit keys, RFC 5297 section 2.2). One object per thread. Null when the key has another size.
[[nodiscard]] std::unique_ptr<ports::Siv> make_siv(Bytes key);

// HMAC-SHA256 under keys derived per scope: scope_key = HMAC(master, "licet/pseudonym/1\0" + scope). One object per thread; keeps one prepared
// context per scope, at most kPseudonymScopesMax of them.
inline constexpr std::size_t kPseudonymScopesMax = 4096;
// Its encryption is AES-256-SIV under two keys per scope, HMAC(master, "licet/deterministic/1/mac\0" + scope) and ".../enc\0", with the scope as
// associated data.
[[nodiscard]] std::unique_ptr<policy::Pseudonymiser> make_pseudonymiser(Bytes master_key);
// The JSON value that `cryptoDeterministic` turned into `text` under this scope ("contract/<name>", "shared/<name>"): for the owner of the master
// key. nullopt: not made under it.
[[nodiscard]] std::optional<std::string> reveal_deterministic(Bytes master_key, std::string_view key_scope, std::string_view text);

// First 16 bytes of HMAC-SHA256(key, "licet/subject/1\0" + controller + "\0" + subject). Thread-safe, copyable.
[[nodiscard]] std::function<SubjectKey(std::string_view controller, std::string_view subject)> make_subject_digest(Bytes key);
// First 16 bytes of SHA-256("licet/event/1\0" + product number (4 bytes LE) + source + "\0" + id). Thread-safe, copyable.
[[nodiscard]] std::function<EventIdentity(ProductNo product, std::string_view source, std::string_view id)> make_event_digest();
// Lower-case hex of the first 16 bytes of SHA-256(data). Thread-safe, copyable.
[[nodiscard]] std::function<std::string(std::string_view data)> make_content_digest();

}  // namespace licet::openssl
