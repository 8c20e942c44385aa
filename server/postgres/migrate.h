// Brings a catalog database up to date, and ties it to the region that authors the configuration. Called by `licet migrate`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/ports/catalog.h"

namespace licet::postgres {

struct Migration {
    int number;
    std::string name;
    std::string sql;
};
// The migrations compiled into this binary, ascending.
[[nodiscard]] std::vector<Migration> embedded_migrations();

struct MigrateOptions {
    std::string owner_dsn;
    bool authoring = true;
    std::string replicate_from;  // where not authoring: connection string of the authoring region's database
    std::string region;
    std::optional<ports::Client> first_admin;  // created when no client exists; authoring only
};
struct Migrated {
    std::vector<std::string> applied;
    bool first_admin_created = false;
    bool subscribed = false;
};
// Errors: unavailable with PostgreSQL's message (this is an operator's command), conflict when an applied migration was changed.
[[nodiscard]] Result<Migrated> migrate(const MigrateOptions& options, const std::function<std::string(const std::string&)>& sha256_hex);

}  // namespace licet::postgres
