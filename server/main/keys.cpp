// The keys of data subjects: how a node gets at them, and `licet keys rotate`.
#include <cstdio>

#include "server/main/commands.h"
#include "server/main/composition.h"
#include "server/main/system_clock.h"
#include "server/main/webhooks.h"
#include "server/openssl/crypto.h"
#include "server/postgres/catalog.h"
#include "server/postgres/subject_keys.h"
#include "server/postgres/webhooks.h"

namespace licet::commands {

std::shared_ptr<app::SubjectKeys> make_subject_keys(const config::Config& config, std::shared_ptr<postgres::Pool> pool,
                                                    const postgres::AuditSealing& sealing) {
    if (config.secrets.key_encryption_key.empty()) return nullptr;
    return std::make_shared<app::SubjectKeys>(
        app::SubjectKeys::Parts{postgres::make_subject_key_store(std::move(pool), sealing), make_wrapping(config), sealing.crypto, sealing.clock});
}

int rotate_keys(const std::string& config_file) {
    const auto config = config::load(config_file);
    if (!config) return fail("configuration", config.error());
    const auto signer = openssl::make_signer(config->secrets.audit_signing_key);
    if (!signer) return fail("secrets.audit_signing_key", signer.error());
    const postgres::AuditSealing sealing{openssl::make_crypto(), *signer, std::make_shared<SystemClock>(), config->audit.origin,
                                         config->audit.checkpoint_entries};
    const auto pool = postgres::make_pool(config->catalog.dsn);
    const auto keys = make_subject_keys(*config, pool, sealing);
    if (!keys) return fail("keys", {Errc::invalid_document, "secrets.key_encryption_key is not set", {}});
    const auto done = keys->rewrap();
    if (!done) return fail("keys", done.error());
    const auto secrets = app::Webhooks::rewrap(*postgres::make_webhook_store(pool, sealing), *make_wrapping(*config));
    if (!secrets) return fail("keys", secrets.error());
    const auto catalog = postgres::make_catalog(pool, sealing);
    if (auto audited =
            catalog->record_audit({"licet keys rotate", "keys.rotate", keys->wrapped_under(), {{"keys", *done}, {"webhookSecrets", *secrets}}});
        !audited)
        return fail("audit", audited.error());
    std::printf("wrapped %llu data keys under %s\n", static_cast<unsigned long long>(*done), keys->wrapped_under().c_str());
    if (*secrets != 0) std::printf("wrapped %zu secrets of webhooks too\n", *secrets);
    return 0;
}

}  // namespace licet::commands
