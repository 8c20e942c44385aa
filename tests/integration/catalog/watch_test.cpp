// What another connection changed is noticed, by this node, another or replication; migrations.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tests/integration/database.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

const ports::AuditEntry kAudit{"ada", "party.put", "lab", {{"title", "Café \"n\" \\ \x01"}}};

// Counts what a watcher reports, and lets a test wait for it.
class Bell {
  public:
    void ring() {
        const std::lock_guard lock(mutex_);
        ++rung_;
        changed_.notify_all();
    }
    [[nodiscard]] int count() {
        const std::lock_guard lock(mutex_);
        return rung_;
    }
    [[nodiscard]] bool await(int at_least, std::chrono::seconds most = std::chrono::seconds(30)) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, most, [&] { return rung_ >= at_least; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int rung_ = 0;
};

// Waits until the catalog shows `what`.
bool await_party(ports::Catalog& catalog, const std::string& title) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
        const auto read = catalog.configuration();
        if (read.ok() && !read->parties.empty() && read->parties[0].title == title) return true;
        std::this_thread::yield();
    }
    return false;
}

}  // namespace

TEST_CASE("watcher: a change made through another connection is noticed at once, also after the connection was lost") {
    const Database database;
    const auto watching = catalog_of(database.serving_dsn()), other = catalog_of(database.serving_dsn());
    const auto registry = registry_of(database.serving_dsn());
    Bell bell;
    watching->watch([&] { bell.ring(); });
    REQUIRE(bell.await(1));  // where it stands
    int fast = 0;
    for (int n = 0; n < 10; ++n) {
        const int before = bell.count();
        const auto start = std::chrono::steady_clock::now();
        if (n % 2 == 0)
            REQUIRE(other->put_party({"lab", std::to_string(n), "DE", {}, {}}, kAudit).ok());
        else
            REQUIRE(record_rows(*registry, {{{}, "dpv:A", "given", {}, 0}}, kAudit).ok());
        REQUIRE(bell.await(before + 1));
        fast += std::chrono::steady_clock::now() - start < std::chrono::milliseconds(700);
    }
    // The change follows right upon a look: without notifications each would be noticed a second later. A busy machine may delay some.
    CHECK(fast > 0);
    for (int n = 0; n < 3; ++n) {
        const int before = bell.count();
        database.end_connections();
        REQUIRE(bell.await(before + 1));  // reads again what it may have missed
        const int back = bell.count();
        REQUIRE((other->put_party({"lab", "x", "DE", {}, {}}, kAudit).ok() || other->put_party({"lab", "y", "DE", {}, {}}, kAudit).ok()));
        REQUIRE(bell.await(back + 1));
    }
    watching->stop_watching();
    const int after = bell.count();
    REQUIRE(other->put_party({"lab", "z", "DE", {}, {}}, kAudit).ok());
    CHECK(bell.count() == after);
}

TEST_CASE("replication: another region reads the configuration one region authors, and writes none itself") {
    const Database author, follower(false);
    const auto authoring = catalog_of(author.serving_dsn());
    REQUIRE(authoring->put_party({"lab", "first", "DE", {}, {}}, kAudit).ok());
    CHECK(follower.migrate(false, author.dsn).subscribed);
    CHECK_FALSE(follower.migrate(false, author.dsn).subscribed);
    const auto following = catalog_of(follower.serving_dsn());
    REQUIRE(await_party(*following, "first"));
    Bell bell;
    following->watch([&] { bell.ring(); });
    REQUIRE(bell.await(1));
    const int before = bell.count();
    const auto changed = authoring->put_party({"lab", "second", "DE", {}, {}}, kAudit);
    REQUIRE(changed.ok());
    REQUIRE(bell.await(before + 1));  // replicated changes notify too
    REQUIRE(await_party(*following, "second"));
    CHECK(following->epochs()->global == changed->epoch.value);
    // Regional data stays where it is.
    REQUIRE(record_rows(*registry_of(author.serving_dsn()), {{{}, "dpv:A", "given", {}, 0}}, kAudit).ok());
    CHECK(following->epochs()->regional == 0);
    REQUIRE(record_rows(*registry_of(follower.serving_dsn()), {{{}, "dpv:B", "given", {}, 0}}, kAudit).ok());
    CHECK(authoring->consents_after(0)->at(0).purpose == "dpv:A");
    CHECK(following->consents_after(0)->at(0).purpose == "dpv:B");
    // Both authoring at once would tear the configuration apart: nothing in the schema lets a follower's change pass unnoticed.
    CHECK(audit_of(follower.serving_dsn())->lines(0, 10)->size() == 1);
    following->stop_watching();
    follower.exec("ALTER SUBSCRIPTION licet_config DISABLE");
    follower.exec("ALTER SUBSCRIPTION licet_config SET (slot_name = NONE)");
    follower.exec("DROP SUBSCRIPTION licet_config");
    author.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()");
}

TEST_CASE("migrations: applied once, in order, also by two at a time; a changed one is refused") {
    const Database database(false);
    const auto all = postgres::embedded_migrations();
    CHECK(database.migrate().applied.size() == all.size());
    CHECK(database.migrate().applied.empty());
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].number == static_cast<int>(i + 1));
    CHECK(database.value("SELECT count(*) FROM schema_migrations") == std::to_string(all.size()));
    CHECK(database.value("SELECT value FROM global_epoch") == "1");

    const Database together(false);
    std::vector<std::thread> threads;
    std::atomic<std::size_t> applied{0}, failed{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            const auto done = postgres::migrate({together.dsn, true, {}, "eu", std::nullopt}, sha256_hex);
            if (done.ok())
                applied += done->applied.size();
            else
                ++failed;
        });
    for (auto& t : threads) t.join();
    CHECK(failed == 0);
    CHECK(applied == all.size());

    ports::Client admin{"admin", "operator", std::string(64, 'a'), "00", {"admin"}, {}, false, {}};
    const postgres::MigrateOptions options{database.dsn, true, {}, "eu", admin};
    CHECK(postgres::migrate(options, sha256_hex)->first_admin_created);
    CHECK_FALSE(postgres::migrate(options, sha256_hex)->first_admin_created);
    CHECK(database.value("SELECT roles::text FROM clients") == "{admin}");
    database.exec("UPDATE schema_migrations SET checksum = 'another' WHERE number = 2");
    const auto refused = postgres::migrate(options, sha256_hex);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Errc::conflict);
    CHECK(refused.error().detail.find(all[1].name) != std::string::npos);
    CHECK(postgres::migrate({"host=/nonexistent", true, {}, "eu", std::nullopt}, sha256_hex).error().code == Errc::unavailable);
}
