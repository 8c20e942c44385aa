// Command line of `licet`.
#include <CLI/CLI.hpp>
#include <csignal>

#include "server/main/commands.h"

// What the allocator (jemalloc) is told before anything else runs: give back what lies idle, whether or not somebody allocates.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true";

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
    auto* verify = app.add_subcommand("verify", "Check an audit export, statements or a usage journal offline");
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

    licet::commands::ReportArguments wanted;
    auto* report = app.add_subcommand("report", "Have a server make a finance report of a month and fetch it");
    report->add_option("--server", wanted.server, "https://HOST[:PORT] of the region")->required();
    report->add_option("--ca", wanted.ca_file, "PEM file of who may have signed the server's certificate; else whom the system trusts");
    report->add_option("--client", wanted.client, "Client with the role finance")->required();
    report->add_option("--secret-file", wanted.secret_file, "File with its secret")->required();
    report->add_option("--period", wanted.period, "UTC month, YYYY-MM")->required();
    report->add_option("--format", wanted.format,
                       "csv, json, xlsx, focus, focus-invoice-detail, focus-billing-period, invoice or reconciliation; csv when not given");
    report->add_option("--group", wanted.group, "csv, json: sum by contract, product, view, purpose, jurisdiction, region, day")->delimiter(',');
    report->add_option("--contract", wanted.contract, "Of this contract alone");
    report->add_option("--out", wanted.out, "File to write")->required();
    report->add_flag("--resume", wanted.resume, "Go on with what an earlier call began");
    licet::commands::VerifyUsageArguments usage_arguments;
    auto* usage = verify->add_subcommand("usage", "Check statements, notes and receipts offline");
    usage->add_option("--statements", usage_arguments.statements, "File (NDJSON), or directory of files")->required();
    usage->add_option("--key", usage_arguments.key_file, "File with the public key they are signed with")->required();

    auto* version = app.add_subcommand("version", "Print the version and the vocabularies built in");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : 2;
    }
    if (*serve) return licet::commands::serve(config);
    if (*migrate) return licet::commands::migrate(config);
    if (*rotate) return licet::commands::rotate_keys(config);
    if (*usage) return licet::commands::verify_usage(usage_arguments);
    if (*verify) return licet::commands::verify(arguments);
    if (*report) return licet::commands::report(wanted);
    return *version ? licet::commands::version() : 2;
}
