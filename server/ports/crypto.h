// Cryptography as the server uses it; implemented with OpenSSL 3 in server/openssl. No algorithm is written here by hand.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/result.h"

namespace licet::ports {

using Sha256 = std::array<std::uint8_t, 32>;

// Stateless and thread-safe.
class Crypto {
  public:
    virtual ~Crypto() = default;
    [[nodiscard]] virtual Sha256 sha256(Bytes data) const = 0;
    [[nodiscard]] virtual Sha256 hmac_sha256(Bytes key, Bytes data) const = 0;
    [[nodiscard]] virtual bool equal(Bytes a, Bytes b) const noexcept = 0;  // constant time in the content
    virtual void random(std::span<std::uint8_t> out) const = 0;             // from the system's CSPRNG; aborts if there is none
};

// Ed25519 (RFC 8032). Thread-safe.
class Signer {
  public:
    virtual ~Signer() = default;
    [[nodiscard]] virtual std::array<std::uint8_t, 64> sign(Bytes message) const = 0;
    [[nodiscard]] virtual std::array<std::uint8_t, 32> public_key() const = 0;
};
class Verifier {
  public:
    virtual ~Verifier() = default;
    [[nodiscard]] virtual bool verify(Bytes message, Bytes signature) const noexcept = 0;
};

// Deterministic authenticated encryption (AES-256-SIV, RFC 5297) for cursors: equal positions give equal cursors. One object per thread.
class Siv {
  public:
    virtual ~Siv() = default;
    // out = 16-byte tag | ciphertext (same size as plain, which is not empty). Returns false on failure.
    [[nodiscard]] virtual bool seal(Bytes plain, Bytes associated, std::span<std::uint8_t> out) noexcept = 0;
    [[nodiscard]] virtual bool open(Bytes sealed, Bytes associated, std::span<std::uint8_t> plain) noexcept = 0;
};

}  // namespace licet::ports
