// HMAC-SHA256 with a prepared key and SHA-256 over pieces, without an allocation per message; private to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "base/encoding.h"
#include "server/openssl/handles.h"
#include "server/ports/crypto.h"

namespace licet::openssl {

// One thread at a time.
class Hmac {
  public:
    explicit Hmac(Bytes key);
    [[nodiscard]] bool compute(std::initializer_list<Bytes> pieces, std::array<std::uint8_t, 32>& out) noexcept;

  private:
    MacCtx ctx_;
};

// SHA-256 of the pieces in order. Any thread; ends the process when OpenSSL cannot hash.
[[nodiscard]] ports::Sha256 digest(std::initializer_list<Bytes> pieces) noexcept;

}  // namespace licet::openssl
