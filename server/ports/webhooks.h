// What is kept of quota warnings and of the webhooks that tell them: thresholds told once in a region, endpoints, deliveries. Implemented in
// server/postgres; used by app::QuotaWarnings, app::WebhookSender and app::Webhooks. Calls block. Thread-safe. docs/quotas.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "metering/quota_terms.h"
#include "server/ports/catalog.h"

namespace licet::ports {

// A threshold that was passed, and what is posted of it.
struct QuotaWarning {
    ContractNo contract;
    metering::QuotaMetric metric{};
    metering::QuotaKind kind{};
    std::string span;  // YYYY-MM, YYYY-MM-DD
    std::uint64_t limit = 0;
    int percent = 0;
    std::string message;  // its id
    std::string body;     // JSON text
};

struct WrappedSecret {
    std::string under;    // names the key-encryption key
    std::string wrapped;  // bytes
};

struct WebhookEndpoint {
    std::string id;  // given once, 32 hex digits; secrets are bound to it
    ContractNo contract;
    std::string name;  // slug, unique in the contract
    std::string url;
    std::string disabled;  // why nothing is sent there; empty: it is
    WrappedSecret secret;
    WrappedSecret former;  // signs too, until former_until
    UtcMillis former_until{};
    UtcMillis created{};
};

struct WebhookDelivery {
    std::uint64_t no = 0;
    std::string message, webhook;  // id of the message, name of the endpoint
    std::string state;             // pending, delivered, dead
    int attempts = 0;
    UtcMillis told_at{}, next_at{}, last_at{};
    int last_status = 0;
    std::string last_error;
};

// One that is to be posted now, by whoever claimed it.
struct WebhookDue {
    std::uint64_t no = 0;
    std::string message, body;
    WebhookEndpoint endpoint;
    int attempt = 0;  // this one, from 1
    std::int64_t lease_until = 0;
};

struct WebhookOutcome {
    enum class Then : std::uint8_t { delivered, again, dead, gone };  // gone: the endpoint wants nothing any more
    Then then = Then::again;
    int status = 0;     // of HTTP; 0: no answer
    std::string error;  // a fixed text
    std::int64_t wait_ms = 0;
};

class WebhookStore {
  public:
    virtual ~WebhookStore() = default;

    // True: nobody has told it before. Then a delivery is there for each endpoint of the contract, dead at once where that is disabled.
    [[nodiscard]] virtual Result<bool> tell(const QuotaWarning& warning) = 0;

    // Makes the endpoint (true), or changes where it is and enables it; the secret it has stays. Errors: conflict (too many).
    [[nodiscard]] virtual Result<bool> put(const WebhookEndpoint& endpoint, const AuditEntry& audit) = 0;
    // With all its deliveries. Errors: not_found.
    [[nodiscard]] virtual Status remove(ContractNo contract, const std::string& name, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<std::vector<WebhookEndpoint>> endpoints(ContractNo contract) = 0;
    // The secret there is becomes the former one for `overlap_ms`; until when. Errors: not_found.
    [[nodiscard]] virtual Result<UtcMillis> rotate(const std::string& id, const WrappedSecret& fresh, std::int64_t overlap_ms,
                                                   const AuditEntry& audit) = 0;

    // Of the contract, after number `after`, in order; `state` empty: all.
    [[nodiscard]] virtual Result<std::vector<WebhookDelivery>> deliveries(ContractNo contract, const std::string& state, std::uint64_t after,
                                                                          std::size_t limit) = 0;
    // A dead one is due again, with all its attempts. Errors: not_found; conflict (not dead, or its endpoint is disabled).
    [[nodiscard]] virtual Status redeliver(ContractNo contract, std::uint64_t no, const AuditEntry& audit) = 0;

    // The next that is due and that nobody posts now, for `lease_ms`; its attempt has begun. One at a time of each endpoint. What has begun its last
    // attempt and was never heard of again is dead.
    [[nodiscard]] virtual Result<std::optional<WebhookDue>> claim(std::int64_t lease_ms, int attempts_max) = 0;
    // What came of it. A delivery is noted whatever happened meanwhile; anything else only while the claim holds. True: noted.
    [[nodiscard]] virtual Result<bool> finish(const WebhookDue& due, const WebhookOutcome& outcome) = 0;

    // Forgets what was done with, and is older. Returns how many deliveries.
    [[nodiscard]] virtual Result<std::size_t> prune(std::int64_t older_than_ms) = 0;

    // Wraps anew what is not wrapped under `current`; returns how many secrets.
    using RewrapSecret = std::function<Result<std::string>(const std::string& endpoint, const WrappedSecret& secret)>;
    [[nodiscard]] virtual Result<std::size_t> rewrap(const std::string& current, const RewrapSecret& rewrap) = 0;
};

}  // namespace licet::ports
