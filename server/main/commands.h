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

[[nodiscard]] int serve(const std::string& config_file);
[[nodiscard]] int migrate(const std::string& config_file);
[[nodiscard]] int rotate_keys(const std::string& config_file);
// 0: verifies and is complete; 1: does not verify; 2: cannot be checked (arguments, files); 3: verifies as far as it goes, but nothing attests to its
// end.
[[nodiscard]] int verify(const VerifyArguments& arguments);
[[nodiscard]] int version();

}  // namespace licet::commands
