// What tells partners of their quotas by webhook, built and taken down together. Private to main/.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/app/quota_warnings.h"
#include "server/app/webhook_sender.h"
#include "server/app/webhooks.h"
#include "server/config/config.h"
#include "server/ports/webhooks.h"
#include "server/postgres/audit.h"

namespace licet::commands {

// Null when the configuration has no key-encryption key.
[[nodiscard]] std::shared_ptr<const ports::KeyWrapping> make_wrapping(const config::Config& config);

struct Webhooks {
    std::shared_ptr<app::WebhookSender> sender;  // null: no key-encryption key, nothing can be signed
    std::shared_ptr<app::QuotaWarnings> warnings;
    std::shared_ptr<app::Webhooks> admin;

    void start() const;
    void stop() const;  // what is told is stored, and posted by who is there
};

struct WebhookParts {
    std::shared_ptr<ports::QuotaLedger> ledger;
    std::function<std::shared_ptr<const app::Snapshot>()> snapshot;
    std::shared_ptr<ports::Metrics> metrics;
};
// With a pool of their own: what waits for PostgreSQL here takes no connection from anything else.
[[nodiscard]] Result<Webhooks> make_webhooks(const config::Config& config, const postgres::AuditSealing& sealing, WebhookParts parts);

}  // namespace licet::commands
