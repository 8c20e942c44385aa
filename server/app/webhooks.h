// Webhooks as an admin sees them: where a contract's quota warnings are posted in this region, what came of each, and what is posted anew. Used by
// server/control. Thread-safe; calls block. docs/quotas.md.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/app/admin.h"
#include "server/ports/crypto.h"
#include "server/ports/subject_keys.h"
#include "server/ports/web_address.h"
#include "server/ports/webhooks.h"

namespace licet::app {

class Webhooks {
  public:
    struct Parts {
        std::shared_ptr<ports::WebhookStore> store;
        std::shared_ptr<const ports::KeyWrapping> wrapping;
        std::shared_ptr<const ports::Crypto> crypto;
        std::shared_ptr<const Clock> clock;
        std::function<std::shared_ptr<const Snapshot>()> snapshot;
        std::function<void()> due;  // something is to be posted
        bool allow_private = false;
    };
    explicit Webhooks(Parts parts) : parts_(std::move(parts)) {}

    // {url}. A new one is answered 201 with its secret, which is shown once; one that is there keeps it, and is enabled.
    [[nodiscard]] Result<Reply> put(const Actor& actor, const std::string& contract, const std::string& name, const nlohmann::json& body);
    [[nodiscard]] Result<Reply> list(const std::string& contract) const;
    [[nodiscard]] Result<Reply> get(const std::string& contract, const std::string& name) const;
    [[nodiscard]] Result<Reply> remove(const Actor& actor, const std::string& contract, const std::string& name);
    // A new secret, shown once; the one before signs too for limits::webhook_secret_overlap_ms.
    [[nodiscard]] Result<Reply> rotate(const Actor& actor, const std::string& contract, const std::string& name);
    [[nodiscard]] Result<Reply> deliveries(const std::string& contract, const std::string& state, std::string_view after,
                                           std::string_view limit) const;
    [[nodiscard]] Result<Reply> redeliver(const Actor& actor, const std::string& contract, std::string_view delivery);

    // For `licet keys rotate`: wraps every secret under the first key-encryption key; returns how many were not.
    [[nodiscard]] static Result<std::size_t> rewrap(ports::WebhookStore& store, const ports::KeyWrapping& wrapping);

  private:
    [[nodiscard]] Result<ContractNo> contract_no(const std::string& name) const;
    [[nodiscard]] Result<ports::WebhookEndpoint> find(const std::string& contract, const std::string& name) const;
    [[nodiscard]] nlohmann::json shown(const ports::WebhookEndpoint& endpoint) const;

    const Parts parts_;
};

}  // namespace licet::app
