// The commands of the `licet` binary; each returns the process exit code and reports errors on standard error.
#pragma once

#include <string>
#include <vector>

namespace licet::commands {

struct VerifyArguments {
    std::string audit_file;                     // NDJSON as the audit API exports it; "-": standard input
    std::string key_file;                       // public key: a verifier key, or 32 bytes as base64url or hex text
    std::vector<std::string> checkpoint_files;  // kept from before
    std::string erasure_file;                   // a certificate of erasure
    std::string journal_dir;                    // a node's usage journal
};
struct VerifyUsageArguments {
    std::string statements;  // file, or directory of files: statements, notes, their lines, receipts
    std::string key_file;    // public key, as above
};

struct ReportArguments {
    std::string server;       // https://host[:port]
    std::string ca_file;      // who may have signed its certificate; empty: whom the system trusts
    std::string client;       // of the role finance
    std::string secret_file;  // its secret in the first line
    std::string period, format = "csv", contract, out;
    std::vector<std::string> group;
    bool resume = false;
};

[[nodiscard]] int serve(const std::string& config_file);
[[nodiscard]] int migrate(const std::string& config_file);
[[nodiscard]] int rotate_keys(const std::string& config_file);
// 0: verifies and is complete; 1: does not verify; 2: cannot be checked (arguments, files); 3: verifies as far as it goes, but nothing attests to its
// end.
[[nodiscard]] int verify(const VerifyArguments& arguments);
// Has a server make a report and writes it to a file, which is there whole or not at all.
[[nodiscard]] int report(const ReportArguments& arguments);
// The same of statements; 3: documents between, or lines, were not given.
[[nodiscard]] int verify_usage(const VerifyUsageArguments& arguments);
[[nodiscard]] int version();

}  // namespace licet::commands
