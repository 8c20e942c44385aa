// The audit log on a real PostgreSQL: many writers at once make one chain and one tree; what a hand changes in the database is named; a serving node
// may only add.
#include <future>
#include <set>
#include <sstream>
#include <thread>

#include "server/app/verify.h"
#include "tests/integration/database.h"
#include "tests/support/audit_export.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const ports::AuditEntry kAudit{"ada", "party.put", "lab", {{"title", "Café \"n\" \\ \x01"}}};

struct Fixture {
    Database database;
    std::shared_ptr<const ports::Crypto> crypto = openssl::make_crypto();
    std::shared_ptr<const ports::Verifier> verifier = *openssl::make_verifier(test_signer()->public_key());
    postgres::AuditSealing sealing{crypto, test_signer(), std::make_shared<TestClock>(), "example.org/audit", 16};
    std::shared_ptr<ports::Catalog> catalog = postgres::make_catalog(postgres::make_pool(database.serving_dsn()), sealing);
    std::shared_ptr<ports::AuditLog> log = postgres::make_audit_log(postgres::make_pool(database.serving_dsn()), sealing);
    app::Audit audit{log, crypto, "example.org/audit", test_signer()->public_key()};

    void change(int n) const { REQUIRE(catalog->put_party({"lab", std::to_string(n), "DE", {}, {}}, kAudit).ok()); }
    [[nodiscard]] std::string exported(const std::string& after = {}) const { return read_export(audit, after); }
    [[nodiscard]] Result<app::VerifiedAudit> verify(const std::string& text, std::vector<std::string> kept = {}) const {
        std::istringstream in(text);
        return app::verify_audit(in, {{"example.org/audit", test_signer()->public_key()}, std::move(kept)}, *crypto, *verifier);
    }
    [[nodiscard]] app::VerifiedAudit verified(const std::string& text, std::vector<std::string> kept = {}) const {
        const auto done = verify(text, std::move(kept));
        REQUIRE_MESSAGE(done.ok(), (done.ok() ? "" : done.error().detail));
        return *done;
    }
};

}  // namespace

TEST_CASE("audit: many writers at once, with checkpoints and exports beside them, make one log") {
    const Fixture f;
    const auto other = postgres::make_catalog(postgres::make_pool(f.database.serving_dsn()), f.sealing);
    const auto registry = postgres::make_consent_registry(postgres::make_pool(f.database.serving_dsn()), f.sealing);
    std::vector<std::future<void>> writers;
    std::atomic<int> left{6};
    for (int t = 0; t < 6; ++t)
        writers.push_back(std::async(std::launch::async, [&, t] {
            for (int n = 0; n < 12; ++n) {
                if (t < 2)
                    CHECK(f.log->append({kAudit, {"node/eu-1", "barrier.complete", "1", json::object()}, kAudit}).ok());
                else if (t < 4)
                    CHECK(record_rows(*registry, {{{}, "dpv:A", "given", {}, 0}}, kAudit).ok());
                else
                    CHECK((t == 4 ? f.catalog : other)->put_party({"lab", std::to_string(n), "DE", {}, {}}, kAudit).ok());
            }
            --left;
        }));
    std::vector<std::string> kept;
    while (left > 0) {
        kept.push_back(f.log->checkpoint()->note);
        CHECK(f.verified(f.exported(), kept).complete());
    }
    for (auto& writer : writers) writer.get();
    const auto done = f.verified(f.exported(), kept);
    CHECK(done.entries == 2 * 12 * 3 + 4 * 12);
    CHECK(done.complete());
    for (int size = 16; size <= 120; size += 16)
        CHECK(f.log->checkpoints(static_cast<std::uint64_t>(size - 1), static_cast<std::uint64_t>(size))->size() == 1);
    for (const char* after : {"1", "15", "16", "17", "119", "120"}) CHECK(f.verified(f.exported(after)).root == done.root);
    // Each change names the epoch that it made.
    std::set<std::uint64_t> epochs;
    const auto lines = f.log->lines(0, 1000);
    for (const auto& line : *lines) {
        const auto entry = json::parse(line.line);
        if (entry.contains("epoch")) CHECK(epochs.insert(entry["epoch"].get<std::uint64_t>()).second);
    }
    CHECK(epochs.size() == 48);
    CHECK(*epochs.rbegin() == f.catalog->epochs()->sum().value);
}

TEST_CASE("audit: what a hand changes in the database is named; the tree does not cover it up") {
    const Fixture f;
    for (int n = 0; n < 21; ++n) f.change(n);
    const std::string note = f.log->checkpoint()->note;
    const auto broken = [&](const std::string& sql, const std::string& where) {
        f.database.exec("CREATE TABLE kept AS SELECT * FROM audit");
        f.database.exec("CREATE TABLE kept_tree AS SELECT * FROM audit_tree");
        f.database.exec(sql);
        const auto result = f.verify(f.exported(), {note});
        REQUIRE_FALSE(result.ok());
        CHECK_MESSAGE(result.error().detail.starts_with(where), result.error().detail);
        f.database.exec("DELETE FROM audit");
        f.database.exec("INSERT INTO audit SELECT * FROM kept");
        f.database.exec("DELETE FROM audit_tree");
        f.database.exec("INSERT INTO audit_tree SELECT * FROM kept_tree");
        f.database.exec("DROP TABLE kept");
        f.database.exec("DROP TABLE kept_tree");
        CHECK(f.verify(f.exported(), {note}).ok());
    };
    broken("UPDATE audit SET line = replace(line, '\"actor\":\"ada\"', '\"actor\":\"adb\"') WHERE seq = 7", "entry 7 (line 7)");
    broken("UPDATE audit SET line = replace(line, '2026', '2025') WHERE seq = 7", "entry 7 (line 7)");
    broken("DELETE FROM audit WHERE seq = 7", "entry 7 (line 7)");
    broken("UPDATE audit SET seq = CASE seq WHEN 7 THEN -8 ELSE -7 END WHERE seq IN (7, 8); UPDATE audit SET seq = -seq WHERE seq < 0",
           "entry 7 (line 7)");
    broken("UPDATE audit SET line = (SELECT line FROM audit WHERE seq = 8) WHERE seq = 7", "entry 7 (line 7)");
    // Cut back to where a checkpoint was: it verifies, but not for who kept a later one.
    f.database.exec("CREATE TABLE kept AS SELECT * FROM audit");
    f.database.exec("DELETE FROM audit WHERE seq > 16");
    CHECK(f.verify(f.exported()).ok());
    CHECK(f.verify(f.exported(), {note}).error().detail.starts_with("entry 17 "));
    f.database.exec("INSERT INTO audit SELECT * FROM kept WHERE seq > 16");
    // A tree that lost a node says so rather than sign something else.
    f.database.exec("DELETE FROM audit_tree WHERE level = 4");
    CHECK(f.catalog->put_party({"lab", "x", "DE", {}, {}}, kAudit).error().code == Errc::corrupt);
    CHECK(f.audit.proof("1", "", "").error().code == Errc::corrupt);
}

TEST_CASE("audit: a serving node may add to the log and change or remove nothing of it") {
    const Fixture f;
    for (int n = 0; n < 3; ++n) f.change(n);
    REQUIRE(f.log->checkpoint().ok());
    pqxx::connection node(f.database.serving_dsn());
    for (const char* sql :
         {"UPDATE audit SET line = ''", "DELETE FROM audit", "TRUNCATE audit", "UPDATE audit_tree SET level = 9", "DELETE FROM audit_tree",
          "TRUNCATE audit_tree", "UPDATE audit_checkpoints SET note = ''", "DELETE FROM audit_checkpoints", "TRUNCATE audit_checkpoints"}) {
        CAPTURE(sql);
        pqxx::work t(node);
        CHECK_THROWS_AS(t.exec(sql), pqxx::insufficient_privilege);
    }
}

TEST_CASE("audit: the tree over lines from before there was one is the tree they would have grown") {
    const Fixture f;
    for (int n = 0; n < 21; ++n) f.change(n);
    const auto grown =
        f.database.value("SELECT string_agg(level || '/' || position || '/' || encode(hash, 'hex'), ' ' ORDER BY level, position) FROM audit_tree");
    f.database.exec("DROP TABLE audit_tree");
    f.database.exec("DROP TABLE audit_checkpoints");
    for (const auto& migration : postgres::embedded_migrations())
        if (migration.name.find("grow_audit_tree") != std::string::npos) f.database.exec(std::string(migration.sql));
    CHECK(f.database.value(
              "SELECT string_agg(level || '/' || position || '/' || encode(hash, 'hex'), ' ' ORDER BY level, position) FROM audit_tree") == grown);
    f.change(22);
    CHECK(f.verified(f.exported()).complete());
}
