#include "server/main/webhooks.h"

#include <array>
#include <cstring>

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "server/beast/http_poster.h"
#include "server/openssl/sealing.h"
#include "server/postgres/webhooks.h"

namespace licet::commands {

std::shared_ptr<const ports::KeyWrapping> make_wrapping(const config::Config& config) {
    std::vector<std::string> keys;
    for (const auto* key : {&config.secrets.key_encryption_key, &config.secrets.key_encryption_key_other})
        if (!key->empty()) keys.push_back(*key);
    return openssl::make_key_wrapping(keys);
}

void Webhooks::start() const {
    warnings->start();
    if (sender) sender->start();
}

void Webhooks::stop() const {
    if (warnings) warnings->stop();
    if (sender) sender->stop();
}

Result<Webhooks> make_webhooks(const config::Config& config, const postgres::AuditSealing& sealing, WebhookParts parts) {
    Webhooks out;
    const auto store = postgres::make_webhook_store(postgres::make_pool(config.catalog.dsn), sealing);
    const auto wrapping = make_wrapping(config);
    const auto crypto = sealing.crypto;
    if (wrapping) {
        auto poster = beast::make_http_poster({config.webhooks.allow_private, config.webhooks.tls_ca});
        if (!poster) return poster.error();
        app::WebhookSender::Parts sender{store, *std::move(poster), wrapping, crypto, sealing.clock, parts.metrics, {}};
        sender.random = [crypto] {
            std::array<std::uint8_t, 4> bytes{};
            crypto->random(bytes);
            std::uint32_t value = 0;
            std::memcpy(&value, bytes.data(), sizeof value);
            return value;
        };
        sender.attempts_max = config.webhooks.attempts;
        sender.retry_first_ms = config.webhooks.retry_first_ms;
        sender.threads = limits::webhook_senders;
        out.sender = std::make_shared<app::WebhookSender>(std::move(sender));
    }
    const auto due = [sender = out.sender] {
        if (sender) sender->hurry();
    };
    const auto new_id = [crypto] {
        std::array<std::uint8_t, 16> bytes{};
        crypto->random(bytes);
        return hex(bytes);
    };
    out.warnings = std::make_shared<app::QuotaWarnings>(app::QuotaWarnings::Parts{store, std::move(parts.ledger), parts.snapshot, new_id,
                                                                                  sealing.clock, config.node.region, config.edge.public_url, due});
    out.admin = std::make_shared<app::Webhooks>(
        app::Webhooks::Parts{store, wrapping, crypto, sealing.clock, std::move(parts.snapshot), due, config.webhooks.allow_private});
    return out;
}

}  // namespace licet::commands
