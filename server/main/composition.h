// What several commands build from a configuration. Private to main/.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "metering/journal_format.h"
#include "server/app/subject_keys.h"
#include "server/config/config.h"
#include "server/ports/catalog.h"
#include "server/ports/crypto.h"
#include "server/postgres/audit.h"
#include "server/postgres/catalog.h"

namespace licet::commands {

// Prints "licet: <what>: <detail>" and returns the exit code of a failed command.
int fail(const std::string& what, const Error& error);

[[nodiscard]] metering::Sha256Function sha256_function(std::shared_ptr<const ports::Crypto> crypto);

// Null when the configuration has no key-encryption key.
[[nodiscard]] std::shared_ptr<app::SubjectKeys> make_subject_keys(const config::Config& config, std::shared_ptr<postgres::Pool> pool,
                                                                  const postgres::AuditSealing& sealing);

}  // namespace licet::commands
