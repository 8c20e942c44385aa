// Single-use tickets: what a browser's EventSource and WebSocket, which cannot send a header, show instead of a token. Used by the edge. The ticket
// is 256 random bits; only its SHA-256 is kept, beside what it opens. Thread-safe; issue, take and look block.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/app/tokens.h"
#include "server/ports/tickets.h"

namespace licet::app {

class Tickets {
  public:
    // `key`: secret, the same on all nodes of a region.
    Tickets(std::string key, std::shared_ptr<ports::TicketStore> store, std::shared_ptr<const Tokens> tokens,
            std::shared_ptr<const ports::Crypto> crypto, std::shared_ptr<const Clock> clock);

    struct Issued {
        std::string ticket;
        UtcMillis expires_at{};
    };
    // `what.until` is set here: the lifetime of tickets, but not past the token's. Errors: too_many_requests (of this client), overloaded (of all),
    // unavailable.
    [[nodiscard]] Result<Issued> issue(Ticket what);
    // Used up from here on, whatever becomes of the request. Errors: invalid_ticket, unavailable.
    [[nodiscard]] Result<Ticket> take(std::string_view ticket);
    // The same, and leaves it as it is.
    [[nodiscard]] Result<Ticket> look(std::string_view ticket) const;

  private:
    [[nodiscard]] Status count(const std::string& client);
    [[nodiscard]] Result<Ticket> opened(const Result<std::optional<std::string>>& kept, const ports::Sha256& digest) const;

    // What a ticket is kept by; nullopt: it was not issued in this region.
    [[nodiscard]] std::optional<ports::Sha256> digest_of(std::string_view ticket) const;

    const std::string key_;
    const std::shared_ptr<ports::TicketStore> store_;
    const std::shared_ptr<const Tokens> tokens_;
    const std::shared_ptr<const ports::Crypto> crypto_;
    const std::shared_ptr<const Clock> clock_;

    std::mutex mutex_;
    std::deque<std::pair<std::int64_t, std::string>> issued_;  // within one lifetime: until when they count, and whose
    std::map<std::string, std::size_t> of_client_;
};

}  // namespace licet::app
