// The commands of the `licet` binary; each returns the process exit code and reports errors on standard error.
#pragma once

#include <string>

namespace licet::commands {

struct VerifyArguments {
    std::string audit_file;   // NDJSON as the audit API exports it
    std::string key_file;     // public key: 32 bytes as base64url or hex text
    std::string journal_dir;  // a node's usage journal
};

[[nodiscard]] int serve(const std::string& config_file);
[[nodiscard]] int migrate(const std::string& config_file);
[[nodiscard]] int verify(const VerifyArguments& arguments);
[[nodiscard]] int version();

}  // namespace licet::commands
