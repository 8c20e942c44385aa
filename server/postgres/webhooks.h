// Quota warnings, webhook endpoints and their deliveries in PostgreSQL. Built by server/main.
#pragma once

#include <memory>

#include "server/ports/webhooks.h"
#include "server/postgres/audit.h"
#include "server/postgres/catalog.h"

namespace licet::postgres {

[[nodiscard]] std::shared_ptr<ports::WebhookStore> make_webhook_store(std::shared_ptr<Pool> pool, AuditSealing sealing);

}  // namespace licet::postgres
