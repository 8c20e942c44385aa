// Command line of `licet`.
#include <CLI/CLI.hpp>
#include <csignal>

#include "server/main/commands.h"

int main(int argc, char** argv) {
    // A peer that goes away must not end the process: every write checks its result.
    std::signal(SIGPIPE, SIG_IGN);

    CLI::App app{"Licet: share event data as licence, consent, jurisdiction and contract allow"};
    app.require_subcommand(1);

    std::string config;
    auto* serve = app.add_subcommand("serve", "Run a node until SIGTERM or SIGINT");
    auto* migrate = app.add_subcommand("migrate", "Bring the catalog's schema up to date and create the first admin client");
    auto* keys = app.add_subcommand("keys", "Keys of data subjects");
    keys->require_subcommand(1);
    auto* rotate = keys->add_subcommand("rotate", "Wrap all data keys under the configuration's key-encryption key; nodes may be serving");
    for (auto* command : {serve, migrate, rotate}) command->add_option("--config", config, "TOML configuration file")->required();

    licet::commands::VerifyArguments arguments;
    auto* verify = app.add_subcommand("verify", "Check an audit export or a usage journal offline");
    auto* audit = verify->add_option("FILE", arguments.audit_file, "Audit export (NDJSON); - for standard input");
    auto* key = verify->add_option("--key", arguments.key_file, "File with the public key the audit is signed with");
    verify->add_option("--checkpoint", arguments.checkpoint_files, "File with a checkpoint kept from before; may be repeated")
        ->needs(audit)
        ->expected(1);
    auto* journal = verify->add_option("--journal", arguments.journal_dir, "Directory of a usage journal");
    auto* erasure = verify->add_option("--erasure", arguments.erasure_file, "Certificate of an erasure (JSON)");
    audit->needs(key)->excludes(journal)->excludes(erasure);
    erasure->needs(key)->excludes(journal);
    key->excludes(journal);

    auto* version = app.add_subcommand("version", "Print the version and the vocabularies built in");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    if (*serve) return licet::commands::serve(config);
    if (*migrate) return licet::commands::migrate(config);
    if (*rotate) return licet::commands::rotate_keys(config);
    if (*verify) return licet::commands::verify(arguments);
    return *version ? licet::commands::version() : 2;
}
