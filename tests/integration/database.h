// A migrated database of its own for each test, in the PostgreSQL that tests/support/with_postgres started; and what a catalog needs beside it.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "base/encoding.h"
#include "server/openssl/crypto.h"
#include "server/postgres/catalog.h"
#include "server/postgres/consent_registry.h"
#include "server/postgres/migrate.h"
#include "server/postgres/pool.h"

namespace licet::testing {

class TestClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {now.load()}; }
    std::int64_t monotonic_ns() const noexcept override { return now.load() * 1'000'000; }
    std::atomic<std::int64_t> now{1'795'000'000'000};
};

inline std::string server_dsn() {
    const char* dsn = std::getenv("LICET_TEST_DSN");
    REQUIRE_MESSAGE(dsn != nullptr, "run by tests/support/with_postgres");
    return dsn;
}

inline std::string sha256_hex(const std::string& text) {
    static const auto crypto = openssl::make_crypto();
    return hex(crypto->sha256(as_bytes(text)));
}

// RFC 8032 section 7.1, test 2.
inline std::shared_ptr<const ports::Signer> test_signer() {
    return *openssl::make_signer(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n");
}

class Database {
  public:
    explicit Database(bool migrated = true) {
        static std::atomic<int> count{0};
        name = "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
        pqxx::connection server(server_dsn());
        pqxx::nontransaction(server).exec("CREATE DATABASE " + name);
        dsn = server_dsn() + " dbname=" + name;
        if (migrated) migrate();
    }
    ~Database() {
        try {
            pqxx::connection server(server_dsn());
            pqxx::nontransaction(server).exec("DROP DATABASE " + name + " WITH (FORCE)");
        } catch (const std::exception&) {  // the whole server goes soon
        }
    }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    postgres::Migrated migrate(bool authoring = true, const std::string& from = {}) const {
        auto done = postgres::migrate({dsn, authoring, from, "region_" + name, std::nullopt}, sha256_hex);
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
        return *done;
    }
    // One value, as its owner.
    [[nodiscard]] std::string value(const std::string& sql) const {
        pqxx::connection connection(dsn);
        pqxx::work t(connection);
        const auto rows = t.exec(sql);
        t.commit();
        return rows.empty() ? std::string() : rows[0][0].as<std::string>("null");
    }
    void exec(const std::string& sql) const { (void)value(sql); }
    // For a role that may do what a serving node may, and no more.
    [[nodiscard]] std::string serving_dsn() const {
        const std::string role = "node_" + name;
        exec("DO $$ BEGIN CREATE ROLE " + role + " LOGIN IN ROLE licet_serving; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        return server_dsn() + " dbname=" + name + " user=" + role;
    }
    // Ends every other connection to this database; as a PostgreSQL that restarts would.
    int end_connections() const {
        return std::stoi(
            value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
                  "pg_backend_pid() AND backend_type = 'client backend'"));
    }

    std::string name, dsn;
};

inline std::shared_ptr<ports::Catalog> catalog_of(const std::string& dsn, std::shared_ptr<const Clock> clock = std::make_shared<TestClock>()) {
    return postgres::make_catalog(postgres::make_pool(dsn), {openssl::make_crypto(), test_signer(), std::move(clock)});
}
inline std::shared_ptr<ports::ConsentRegistry> registry_of(const std::string& dsn,
                                                           std::shared_ptr<const Clock> clock = std::make_shared<TestClock>()) {
    return postgres::make_consent_registry(postgres::make_pool(dsn), {openssl::make_crypto(), test_signer(), std::move(clock)});
}

// Records with which the rows hold: one each, of a record per subject.
inline Result<ports::Changed> record_rows(ports::ConsentRegistry& registry, const std::vector<ports::ConsentRow>& rows,
                                          const ports::AuditEntry& audit) {
    std::vector<ports::ConsentEvent> events;
    for (const auto& row : rows) {
        ports::ConsentEvent event;
        event.record = "r-" + hex(row.subject.bytes);
        event.subject = row.subject;
        event.controller = "press";
        event.purposes = {row.purpose};
        event.status = row.status;
        event.valid_until = row.valid_until;
        if (row.recipient != 0) event.recipients = {row.recipient};
        events.push_back(std::move(event));
    }
    const auto done = registry.record(events, std::nullopt, audit);
    if (!done) return done.error();
    return done->changed;
}

inline std::shared_ptr<ports::AuditLog> audit_of(const std::string& dsn, std::shared_ptr<const Clock> clock = std::make_shared<TestClock>()) {
    return postgres::make_audit_log(postgres::make_pool(dsn), {openssl::make_crypto(), test_signer(), std::move(clock)});
}

}  // namespace licet::testing
