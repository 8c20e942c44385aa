// The commands that do not serve: migrate, verify, version.
#include <cstdio>
#include <fstream>
#include <iostream>

#include "policy/vocabulary.h"
#include "server/app/tokens.h"
#include "server/app/verify.h"
#include "server/journal/journal.h"
#include "server/main/commands.h"
#include "server/main/composition.h"
#include "server/openssl/crypto.h"
#include "server/postgres/migrate.h"

namespace licet::commands {

int fail(const std::string& what, const Error& error) {
    std::fprintf(stderr, "licet: %s: %s\n", what.c_str(), error.detail.c_str());
    return 1;
}

metering::Sha256Function sha256_function(std::shared_ptr<const ports::Crypto> crypto) {
    return [crypto = std::move(crypto)](std::string_view bytes) { return crypto->sha256(as_bytes(bytes)); };
}

int migrate(const std::string& config_file) {
    const auto config = config::load(config_file);
    if (!config) return fail("configuration", config.error());
    const auto crypto = openssl::make_crypto();
    postgres::MigrateOptions options;
    options.owner_dsn = config->catalog.owner_dsn.empty() ? config->catalog.dsn : config->catalog.owner_dsn;
    options.authoring = config->catalog.authoring;
    options.replicate_from = config->catalog.replicate_from;
    options.region = config->node.region;
    if (!config->secrets.bootstrap_admin_secret.empty()) {
        std::array<std::uint8_t, 16> salt{};
        crypto->random(salt);
        ports::Client admin;
        admin.id = "admin";
        admin.party = "operator";
        admin.roles = {"admin"};
        admin.secret_salt = hex(salt);
        admin.secret_hash = app::secret_hash(*crypto, admin.secret_salt, config->secrets.bootstrap_admin_secret);
        options.first_admin = std::move(admin);
    }
    const auto done = postgres::migrate(options, [&](const std::string& text) { return hex(crypto->sha256(as_bytes(text))); });
    if (!done) return fail("migration", done.error());
    for (const auto& name : done->applied) std::printf("applied %s\n", name.c_str());
    if (done->applied.empty()) std::printf("schema is up to date\n");
    if (done->first_admin_created) std::printf("created client admin\n");
    if (done->subscribed) std::printf("subscribed to the configuration of the authoring region\n");
    return 0;
}

int verify(const VerifyArguments& arguments) {
    const auto crypto = openssl::make_crypto();
    if (!arguments.journal_dir.empty()) {
        const auto done = journal::verify_journal(arguments.journal_dir, sha256_function(crypto));
        if (!done) return fail("journal", done.error());
        std::printf("journal verifies: %llu records of %llu starts in %llu segments\n", static_cast<unsigned long long>(done->records),
                    static_cast<unsigned long long>(done->boots), static_cast<unsigned long long>(done->segments));
        return 0;
    }
    if (arguments.audit_file.empty()) return fail("verify", {Errc::invalid_parameter, "name --audit with --key, or --journal", {}});
    std::ifstream key_in(arguments.key_file), lines(arguments.audit_file);
    std::string key_text;
    if (!(key_in >> key_text)) return fail("key", {Errc::unavailable, "cannot read " + arguments.key_file, {}});
    if (!lines) return fail("audit", {Errc::unavailable, "cannot read " + arguments.audit_file, {}});
    const auto key = key_text.size() == 64 ? parse_hex(key_text) : parse_base64url(key_text);
    if (!key) return fail("key", {Errc::invalid_document, "expected 32 bytes as base64url or hex", {}});
    const auto verifier = openssl::make_verifier(as_bytes(*key));
    if (!verifier) return fail("key", verifier.error());
    const auto done = app::verify_audit(lines, *crypto, **verifier);
    if (!done) return fail("audit does not verify", done.error());
    std::printf("audit verifies: %llu lines, sequence %llu to %llu\n", static_cast<unsigned long long>(done->lines),
                static_cast<unsigned long long>(done->first), static_cast<unsigned long long>(done->last));
    return 0;
}

int version() {
    std::printf("licet %s\nvocabularies %s\n", LICET_VERSION, std::string(policy::builtin_vocabulary()->version()).c_str());
    return 0;
}

}  // namespace licet::commands
