// Signed checkpoints of a Merkle tree: C2SP tlog-checkpoint in a C2SP signed-note, with Ed25519. Used by the audit log and by those who check it.
// Pure; digest, signature and its verification are passed in.
//
//     licet.dev/audit/eu                     the origin: name of the log
//     42                                     entries
//     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    root, base64
//
//     — licet.dev/audit/eu AbCd...=          base64 of key id (4 bytes) | Ed25519 signature over the text above the empty line
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/merkle.h"
#include "base/result.h"

namespace licet {

struct Checkpoint {
    std::string origin;
    std::uint64_t size = 0;
    merkle::Hash root{};
};

using PublicKey = std::array<std::uint8_t, 32>;

// Whether `name` may name a log and its key: 1 to 255 visible ASCII characters, none of them +.
[[nodiscard]] bool valid_origin(std::string_view name) noexcept;
// "<origin>+<key id, hex>+<base64 of 0x01 | public key>": what signed-note tools take as a key.
[[nodiscard]] std::string verifier_key(const merkle::Sha256& sha, std::string_view origin, const PublicKey& key);

struct NamedKey {
    std::string origin;  // empty: the key came without a name
    PublicKey key{};
};
// A verifier key, or 32 bytes as hex or base64url. nullopt: neither.
[[nodiscard]] std::optional<NamedKey> parse_verifier_key(const merkle::Sha256& sha, std::string_view text);

using SignFunction = std::function<std::array<std::uint8_t, 64>(Bytes message)>;
[[nodiscard]] std::string sign_checkpoint(const merkle::Sha256& sha, const Checkpoint& checkpoint, const PublicKey& key, const SignFunction& sign);

using VerifyFunction = std::function<bool(Bytes message, Bytes signature)>;
// Reads a note and verifies that `key` signed it. Signatures of other keys (witnesses) are passed over. Errors: verification_failed with why.
[[nodiscard]] Result<Checkpoint> open_checkpoint(const merkle::Sha256& sha, std::string_view note, const NamedKey& key, const VerifyFunction& verify);

}  // namespace licet
