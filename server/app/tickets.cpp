#include "server/app/tickets.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/limits.h"

namespace licet::app {
namespace {

// Random bytes, and the start of their HMAC: what was never issued is told without asking whoever keeps tickets.
constexpr std::size_t kRandomBytes = 20, kMacBytes = 12, kTicketBytes = kRandomBytes + kMacBytes;

Error invalid(const char* why) { return {Errc::invalid_ticket, why, "query:ticket"}; }

}  // namespace

std::optional<ports::Sha256> Tickets::digest_of(std::string_view ticket) const {
    const auto text = parse_base64url(ticket);
    if (!text || text->size() != kTicketBytes) return std::nullopt;
    const auto bytes = as_bytes(*text);
    const auto mac = crypto_->hmac_sha256(as_bytes(key_), bytes.first(kRandomBytes));
    if (!crypto_->equal(bytes.last(kMacBytes), Bytes(mac).first(kMacBytes))) return std::nullopt;
    return crypto_->sha256(bytes);
}

Tickets::Tickets(std::string key, std::shared_ptr<ports::TicketStore> store, std::shared_ptr<const Tokens> tokens,
                 std::shared_ptr<const ports::Crypto> crypto, std::shared_ptr<const Clock> clock)
    : key_(std::move(key)), store_(std::move(store)), tokens_(std::move(tokens)), crypto_(std::move(crypto)), clock_(std::move(clock)) {}

// Bounds what is kept, here or in Redis: a ticket counts for its lifetime, used or not.
Status Tickets::count(const std::string& client) {
    const std::lock_guard lock(mutex_);
    const auto now = clock_->monotonic_ns();
    while (!issued_.empty() && issued_.front().first <= now) {
        const auto of = of_client_.find(issued_.front().second);
        if (--of->second == 0) of_client_.erase(of);
        issued_.pop_front();
    }
    if (issued_.size() >= limits::tickets_max_per_node) return Error{Errc::overloaded, "too many tickets wait to be used", {}};
    auto& mine = of_client_[client];
    if (mine >= limits::tickets_max_per_client) return Error{Errc::too_many_requests, "too many tickets of this client wait to be used", {}};
    ++mine;
    issued_.emplace_back(now + limits::ticket_lifetime_ms * std::int64_t{1'000'000}, client);
    return success();
}

Result<Tickets::Issued> Tickets::issue(Ticket what) {
    const auto now = clock_->utc_now();
    const auto lifetime_ms = std::min<std::int64_t>(limits::ticket_lifetime_ms, what.token.expires_at.value - now.value);
    if (lifetime_ms <= 0) return Error{Errc::invalid_token, "the token has expired", "header:Authorization"};
    if (auto counted = count(what.token.client); !counted) return counted.error();
    what.until = {now.value + lifetime_ms};
    std::array<std::uint8_t, kTicketBytes> secret{};
    crypto_->random(std::span(secret).first(kRandomBytes));
    const auto mac = crypto_->hmac_sha256(as_bytes(key_), Bytes(secret).first(kRandomBytes));
    std::copy_n(mac.begin(), kMacBytes, secret.begin() + kRandomBytes);
    const auto digest = crypto_->sha256(secret);
    if (auto kept = store_->put(digest, tokens_->seal_ticket(what, digest), static_cast<int>(lifetime_ms)); !kept) return kept.error();
    return Issued{base64url(secret), what.until};
}

Result<Ticket> Tickets::opened(const Result<std::optional<std::string>>& kept, const ports::Sha256& digest) const {
    if (!kept) return kept.error();
    if (!*kept) return invalid("the ticket is unknown, was used, or has expired");
    auto ticket = tokens_->read_ticket(**kept, digest);
    if (!ticket || clock_->utc_now() >= ticket->until) return invalid("the ticket is unknown, was used, or has expired");
    return ticket;
}

Result<Ticket> Tickets::take(std::string_view ticket) {
    const auto digest = digest_of(ticket);
    if (!digest) return invalid("not a ticket");
    return opened(store_->take(*digest), *digest);
}

Result<Ticket> Tickets::look(std::string_view ticket) const {
    const auto digest = digest_of(ticket);
    if (!digest) return invalid("not a ticket");
    return opened(store_->look(*digest), *digest);
}

}  // namespace licet::app
