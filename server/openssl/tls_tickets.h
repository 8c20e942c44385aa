// Session tickets (RFC 8446, section 4.6.1) that any node with the secret can open, without a store: keys are derived from the secret and the hour,
// so they rotate by themselves and need not be handed around. Private to this folder; immutable, any thread.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"

namespace licet::openssl {

class TlsTickets {
  public:
    // `secret`: 32 bytes, shared by the nodes that resume each other's sessions.
    TlsTickets(std::string secret, std::shared_ptr<const Clock> clock);

    // One ticket a connection, sealed by `tickets`, which must outlive the context's sessions. A session is resumed only while it is younger than
    // limits::tls_resumption_max_ms and every certificate of the client's chain is valid.
    static void install(SSL_CTX* context, const std::shared_ptr<const TlsTickets>& tickets);

    struct Key {
        std::array<std::uint8_t, 16> name;
        std::array<std::uint8_t, 32> cipher, mac;
    };
    [[nodiscard]] Key key_of(std::int64_t period) const;
    [[nodiscard]] std::int64_t period_now() const noexcept;
    [[nodiscard]] const Clock& clock() const noexcept { return *clock_; }

  private:
    const std::string secret_;
    const std::shared_ptr<const Clock> clock_;
};

}  // namespace licet::openssl
