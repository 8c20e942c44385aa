#include "server/postgres/migrate.h"

#include <pqxx/pqxx>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

constexpr const char* kReplicated = "regions, products, mappings, parties, contracts, clients, policies, licences, global_epoch";

void apply(pqxx::connection& connection, const std::function<std::string(const std::string&)>& sha256_hex, Migrated& out) {
    pqxx::work t(connection);
    t.exec("SELECT pg_advisory_xact_lock(7236418)");  // two nodes of a region may migrate at once
    t.exec(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at "
        "timestamptz NOT NULL DEFAULT now())");
    for (const auto& migration : embedded_migrations()) {
        const std::string checksum = sha256_hex(migration.sql);
        const auto known = t.exec_params("SELECT checksum FROM schema_migrations WHERE number = $1", migration.number);
        if (!known.empty()) {
            if (known[0][0].as<std::string>() != checksum)
                throw Refused{{Errc::conflict, "migration " + migration.name + " was changed after it was applied", {}}};
            continue;
        }
        t.exec(migration.sql);
        t.exec_params("INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)", migration.number, migration.name, checksum);
        out.applied.push_back(migration.name);
    }
    t.commit();
}

void set_up_authoring(pqxx::connection& connection, const MigrateOptions& options, Migrated& out) {
    pqxx::work t(connection);
    t.exec("INSERT INTO global_epoch VALUES (1, 1) ON CONFLICT DO NOTHING");
    if (t.exec("SELECT 1 FROM pg_publication WHERE pubname = 'licet_config'").empty())
        t.exec(std::string("CREATE PUBLICATION licet_config FOR TABLE ") + kReplicated);
    if (options.first_admin && t.exec("SELECT 1 FROM clients LIMIT 1").empty()) {
        const auto& c = *options.first_admin;
        t.exec_params("INSERT INTO clients (id, party, secret_hash, secret_salt, roles, scopes) VALUES ($1, $2, $3, $4, $5::text[], $6::text[])",
                      c.id, c.party, c.secret_hash, c.secret_salt, array_literal(c.roles), array_literal(c.scopes));
        t.exec("UPDATE global_epoch SET value = value + 1");
        out.first_admin_created = true;
    }
    t.commit();
}

// The slot is made on its own connection first: CREATE SUBSCRIPTION would wait for itself when both databases are in one cluster.
void subscribe(pqxx::connection& connection, const MigrateOptions& options, Migrated& out) {
    const std::string slot = "licet_" + options.region;
    {
        pqxx::nontransaction look(connection);
        if (!look.exec("SELECT 1 FROM pg_subscription WHERE subname = 'licet_config' AND subdbid = (SELECT oid FROM pg_database WHERE datname = "
                       "current_database())")
                 .empty()) {
            // A migration may have added a table to what is published.
            if (!out.applied.empty()) look.exec("ALTER SUBSCRIPTION licet_config REFRESH PUBLICATION");
            return;
        }
    }
    {
        pqxx::connection author(options.replicate_from);
        pqxx::nontransaction t(author);
        if (t.exec_params("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", slot).empty())
            t.exec_params("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", slot);
    }
    pqxx::nontransaction t(connection);
    t.exec("CREATE SUBSCRIPTION licet_config CONNECTION " + t.quote(options.replicate_from) +
           " PUBLICATION licet_config WITH (create_slot = false, slot_name = " + t.quote(slot) + ")");
    out.subscribed = true;
}

}  // namespace

Result<Migrated> migrate(const MigrateOptions& options, const std::function<std::string(const std::string&)>& sha256_hex) {
    try {
        Migrated out;
        pqxx::connection connection(options.owner_dsn);
        apply(connection, sha256_hex, out);
        if (options.authoring)
            set_up_authoring(connection, options, out);
        else
            subscribe(connection, options, out);
        return out;
    } catch (const Refused& refused) {
        return refused.error;
    } catch (const std::exception& e) {
        return Error{Errc::unavailable, e.what(), {}};
    }
}

}  // namespace licet::postgres
