// The commands that do not serve: migrate, verify, version.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include "policy/vocabulary.h"
#include "server/app/erasure_certificate.h"
#include "server/app/tokens.h"
#include "server/app/verify.h"
#include "server/app/verify_usage.h"
#include "server/journal/journal.h"
#include "server/main/commands.h"
#include "server/main/composition.h"
#include "server/openssl/crypto.h"
#include "server/postgres/migrate.h"

namespace licet::commands {

namespace fs = std::filesystem;

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

namespace {

constexpr int kCannotCheck = 2, kUnproven = 3;

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

int cannot_check(const std::string& why) {
    std::fprintf(stderr, "licet: verify: %s\n", why.c_str());
    return kCannotCheck;
}

int report(const app::VerifiedAudit& done) {
    std::printf("entries     %llu, %llu to %llu\n", static_cast<unsigned long long>(done.entries), static_cast<unsigned long long>(done.first),
                static_cast<unsigned long long>(done.last));
    if (done.covered)
        std::printf("checkpoints %llu in the export, attested to up to entry %llu, log %s\n", static_cast<unsigned long long>(done.checkpoints),
                    static_cast<unsigned long long>(*done.covered), done.origin.c_str());
    if (done.root) std::printf("root        %s\n", done.root->c_str());
    if (done.complete()) {
        std::printf("audit verifies\n");
        return 0;
    }
    for (const auto size : done.not_comparable)
        std::fprintf(stderr, "licet: the checkpoint of %llu entries cannot be compared: the export begins later\n",
                     static_cast<unsigned long long>(size));
    if (done.covered.value_or(0) < done.last) std::fprintf(stderr, "licet: no checkpoint attests to the last entries: more may have been cut off\n");
    std::printf("audit verifies as far as it goes\n");
    return kUnproven;
}

// The key in a file, or nullopt and what to say.
std::optional<NamedKey> read_key(const std::string& path, const ports::Crypto& crypto, std::string& why) {
    auto text = read_file(path);
    if (!text) {
        why = "cannot read " + path;
        return std::nullopt;
    }
    while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back())) != 0) text->pop_back();
    auto key = parse_verifier_key([&](Bytes data) { return crypto.sha256(data); }, *text);
    if (!key) why = "the key is neither a verifier key nor 32 bytes as base64url or hex";
    return key;
}

int verify_erasure(const VerifyArguments& arguments, const ports::Crypto& crypto) {
    std::string why;
    const auto key = read_key(arguments.key_file, crypto, why);
    if (!key) return cannot_check(why);
    const auto verifier = openssl::make_verifier(key->key);
    if (!verifier) return cannot_check("the key is not an Ed25519 key");
    const auto text = read_file(arguments.erasure_file);
    if (!text) return cannot_check("cannot read " + arguments.erasure_file);
    const auto done = app::verify_certificate(*text, **verifier);
    if (!done) return fail("certificate does not verify", done.error());
    std::printf("certificate verifies: subject %s of controller %s, %llu keys, %s, region %s\n", done->subject.c_str(), done->controller.c_str(),
                static_cast<unsigned long long>(done->keys), done->at.c_str(), done->region.c_str());
    return 0;
}

int verify_audit(const VerifyArguments& arguments, const ports::Crypto& crypto) {
    if (arguments.audit_file.empty() || arguments.key_file.empty()) return cannot_check("name an export or --erasure with --key, or --journal");
    std::string why;
    const auto key = read_key(arguments.key_file, crypto, why);
    if (!key) return cannot_check(why);
    const auto verifier = openssl::make_verifier(key->key);
    if (!verifier) return cannot_check("the key is not an Ed25519 key");
    app::VerifyAuditInput input{*key, {}};
    for (const auto& file : arguments.checkpoint_files) {
        auto note = read_file(file);
        if (!note) return cannot_check("cannot read " + file);
        input.kept.push_back(*std::move(note));
    }
    std::ifstream file;
    const bool from_stdin = arguments.audit_file == "-";
    if (!from_stdin) file.open(arguments.audit_file, std::ios::binary);
    if (!from_stdin && !file) return cannot_check("cannot read " + arguments.audit_file);
    const auto done = app::verify_audit(from_stdin ? std::cin : file, input, crypto, **verifier);
    if (!done) return fail("audit does not verify", done.error());
    return report(*done);
}

}  // namespace

int verify(const VerifyArguments& arguments) {
    const auto crypto = openssl::make_crypto();
    if (!arguments.journal_dir.empty()) {
        const auto done = journal::verify_journal(arguments.journal_dir, sha256_function(crypto));
        if (!done) return fail("journal", done.error());
        std::printf("journal verifies: %llu records of %llu starts in %llu segments\n", static_cast<unsigned long long>(done->records),
                    static_cast<unsigned long long>(done->boots), static_cast<unsigned long long>(done->segments));
        return 0;
    }
    if (!arguments.erasure_file.empty()) return verify_erasure(arguments, *crypto);
    return verify_audit(arguments, *crypto);
}

int verify_usage(const VerifyUsageArguments& arguments) {
    const auto crypto = openssl::make_crypto();
    std::string why;
    const auto key = read_key(arguments.key_file, *crypto, why);
    if (!key) return cannot_check(why);
    const auto verifier = openssl::make_verifier(key->key);
    if (!verifier) return cannot_check("the key is not an Ed25519 key");
    std::vector<std::string> files;
    std::error_code error;
    if (fs::is_directory(arguments.statements, error)) {
        for (const auto& entry : fs::directory_iterator(arguments.statements, error))
            if (entry.is_regular_file()) files.push_back(entry.path().string());
        if (error || files.empty()) return cannot_check("no files in " + arguments.statements);
        std::sort(files.begin(), files.end());
    } else {
        files.push_back(arguments.statements);
    }
    app::UsageVerification verification(*crypto, **verifier);
    for (const auto& name : files) {
        std::ifstream file(name, std::ios::binary);
        if (!file) return cannot_check("cannot read " + name);
        if (const auto added = verification.add(name, file); !added) return fail("usage does not verify", added.error());
    }
    const auto done = verification.finish();
    if (!done) return fail("usage does not verify", done.error());
    const auto shown = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf("documents   %llu statements, %llu notes, numbers %llu to %llu\n", shown(done->statements), shown(done->notes), shown(done->first),
                shown(done->last));
    std::printf("lines       %llu\nreceipts    %llu\n", shown(done->lines), shown(done->receipts));
    if (done->complete()) {
        std::printf("usage verifies\n");
        return 0;
    }
    if (done->missing > 0) std::fprintf(stderr, "licet: %llu numbers between are not here: the chain is not whole\n", shown(done->missing));
    if (done->without_lines > 0)
        std::fprintf(stderr, "licet: of %llu documents the lines are not here: their totals are signed, not summed\n", shown(done->without_lines));
    std::printf("usage verifies as far as it goes\n");
    return kUnproven;
}

int version() {
    std::printf("licet %s\nvocabularies %s\n", LICET_VERSION, std::string(policy::builtin_vocabulary()->version()).c_str());
    return 0;
}

}  // namespace licet::commands
