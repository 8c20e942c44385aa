// The history on a real PostgreSQL: every moment reads back as it was, nobody but the triggers writes it, and replication and upgrades fill it too.
#include <algorithm>
#include <future>
#include <thread>

#include "server/ports/catalog_json.h"
#include "tests/integration/database.h"
#include "tests/support/prices.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
using ports::ConsentRow;

namespace {

const ports::AuditEntry kAudit{"ada", "test.change", "target", json::object()};

SubjectKey subject(std::uint8_t n) {
    SubjectKey key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<std::uint8_t>(n + 37 * i);
    return key;
}

template <class T>
T done(const Result<T>& result) {
    REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().detail));
    return *result;
}

// What decisions rest on.
json shown(const ports::Configuration& c) {
    json out{{"global", c.epochs.global}, {"regional", c.epochs.regional}};
    for (const auto& p : c.parties) out["parties"].push_back(to_json(p));
    for (const auto& p : c.products) out["products"].push_back({p.no.value, to_json(p), p.mappings});
    for (const auto& p : c.contracts) out["contracts"].push_back({p.no.value, to_json(p)});
    for (const auto& p : c.active_policies) out["policies"].push_back(to_json(p));
    for (const auto& l : c.licences) out["licences"].push_back({l.name, to_json(l)});
    return out;
}
json shown(const std::vector<ConsentRow>& rows) {
    json out = json::array();
    for (const auto& r : rows)
        out.push_back({r.purpose, r.status, r.valid_until.value, r.revision, r.position, r.withdrawn_revision, r.withdrawn_position});
    return out;
}

struct Fixture {
    Database database;
    std::shared_ptr<ports::Catalog> catalog = catalog_of(database.serving_dsn());
    std::shared_ptr<ports::ConsentRegistry> registry = registry_of(database.serving_dsn());

    // A moment after all changes so far and before all that follow.
    static UtcMillis moment(const Database& database) {
        const auto now = [&] { return std::stoll(database.value("SELECT licet_utc_ms()")); };
        const auto at = now();
        while (now() <= at) std::this_thread::yield();
        return {at};
    }
    [[nodiscard]] UtcMillis moment() const { return moment(database); }
    [[nodiscard]] int records(const std::string& kind) const {
        return std::stoi(database.value("SELECT count(*) FROM configuration_history WHERE kind = '" + kind + "'"));
    }
};

ports::Contract contract(const std::string& name, ports::ContractState state = ports::ContractState::active) {
    ports::Contract c;
    c.name = name;
    c.party = "lab";
    c.products = {"wiki"};
    c.purposes = {"dpv:AcademicResearch"};
    c.pseudonym_scope = "contract";
    c.state = state;
    c.prices = flat_prices("EUR", "0.00000000000001", "0.10");
    return c;
}

const ports::Product kProduct{{}, "wiki", "Wiki", "press", "press", "eu", 0, {}};

}  // namespace

TEST_CASE("history: every moment of the configuration reads back as it was read then") {
    const Fixture f;
    const auto mapping = [](const char* id) { return json{{"attributes", {{"id", {{"pointer", id}}}}}}; };
    auto renamed = kProduct;
    renamed.title = "Wiki 2";
    auto other = kProduct;
    other.name = "other";
    const std::vector<std::function<Result<ports::Changed>()>> changes{
        [&] {
            return f.catalog->put_region({"eu", "https://eu.example"}, kAudit);
        },
        [&] {
            return f.catalog->put_party({"press", "Presse \"à\" l'œil \\ {x}", "DE", {"a", "b"}, {"eu-us-dpf"}}, kAudit);
        },
        [&] {
            return f.catalog->put_party({"lab", "Lab", "FR", {}, {}}, kAudit);
        },
        [&] { return f.catalog->put_product(kProduct, mapping("/a"), kAudit); },
        [&] { return f.catalog->put_product(kProduct, mapping("/b"), kAudit); },
        [&] { return f.catalog->put_product(other, mapping("/c"), kAudit); },
        [&] { return f.catalog->put_product(renamed, json(), kAudit); },
        [&] {
            return f.catalog->put_licence({"house", "Hausrecht \"à\" \\", 0, {"Reproduction"}, {"Attribution"}, {"TrainAI"}}, kAudit);
        },
        [&] { return f.catalog->put_contract(contract("one"), kAudit); },
        [&] { return f.catalog->put_contract(contract("two"), kAudit); },
        [&] {
            return f.catalog->put_licence({"house", "House", 0, {"Reproduction", "Search"}, {}, {}}, kAudit);
        },
        [&] {
            return record_rows(*f.registry, {{subject(1), "dpv:A", "given", {}, 0}}, kAudit);
        },
        [&] { return f.catalog->put_contract(contract("one", ports::ContractState::suspended), kAudit); },
        [&] {
            return f.catalog->add_policy_version("p", {{"v", 1}}, kAudit);
        },
        [&] { return f.catalog->activate_policy("p", 1, kAudit); },
        [&] {
            return f.catalog->add_policy_version("p", {{"v", 2}}, kAudit);
        },
        [&] {
            return f.catalog->add_policy_version("another", {{"v", 1}}, kAudit);
        },
        [&] { return f.catalog->activate_policy("another", 1, kAudit); },
        [&] { return f.catalog->shadow_policy("p", 2, kAudit); },
        [&] { return f.catalog->activate_policy("p", 2, kAudit); },
        [&] { return f.catalog->retire_policy("another", kAudit); },
        [&] { return f.catalog->activate_policy("p", 1, kAudit); },
        [&] {
            return f.catalog->put_party({"lab", "Lab", "US", {}, {}}, kAudit);
        },
        [&] {
            return record_rows(*f.registry, {{subject(1), "dpv:A", "withdrawn", {}, 0}}, kAudit);
        },
    };
    std::vector<std::pair<UtcMillis, json>> then{{f.moment(), shown(done(f.catalog->configuration()))}};
    for (const auto& change : changes) {
        (void)done(change());
        then.emplace_back(f.moment(), shown(done(f.catalog->configuration())));
    }
    for (std::size_t n = 0; n < then.size(); ++n) {
        CAPTURE(n);
        CHECK(shown(done(f.catalog->configuration_at(then[n].first))) == then[n].second);
        if (n > 0) CHECK(then[n].second != then[n - 1].second);
    }
    CHECK(done(f.catalog->configuration_at(f.moment())).clients.empty());  // no secret has a past
    CHECK(f.database.value("SELECT count(*) FROM configuration_history WHERE body::text LIKE '%secret%'") == "0");
    // Each record bears the epoch its change was answered with, and times follow the order of changes.
    CHECK(f.database.value("SELECT count(*) FROM (SELECT at, lag(at) OVER (ORDER BY id) AS before FROM configuration_history) o WHERE at < before") ==
          "0");
    const auto epoch = done(f.catalog->put_contract(contract("three"), kAudit)).epoch.value - 2;  // less the regional part
    CHECK(f.database.value("SELECT epoch FROM configuration_history WHERE kind = 'contracts' ORDER BY id DESC LIMIT 1") == std::to_string(epoch));
}

TEST_CASE("history: every moment of a subject's consents reads back, with the revision reached") {
    const Fixture f;
    const std::vector<std::vector<ConsentRow>> changes{
        {{subject(1), "dpv:A", "given", {77}, 0}, {subject(2), "dpv:A", "given", {}, 0}},
        {{subject(1), "dpv:B", "given", {}, 0}, {subject(1), "dpv:A", "withdrawn", {}, 0}, {subject(1), "dpv:A", "renewed", {}, 0}},
        {{subject(2), "dpv:A", "withdrawn", {}, 0}},
        {{subject(1), "dpv:A", "expired", {}, 0}},
        {{subject(1), "dpv:A", "given", {}, 0}},
    };
    struct Then {
        UtcMillis at;
        std::uint64_t revision;
        json first, second;
    };
    std::vector<Then> then{{f.moment(), 0, json::array(), json::array()}};
    for (const auto& rows : changes) {
        const auto changed = done(record_rows(*f.registry, rows, kAudit));
        then.push_back(
            {f.moment(), changed.revision, shown(done(f.catalog->consents_of(subject(1)))), shown(done(f.catalog->consents_of(subject(2))))});
    }
    for (const auto& t : then) {
        CAPTURE(t.revision);
        const auto first = done(f.catalog->consents_of_at(subject(1), t.at)), second = done(f.catalog->consents_of_at(subject(2), t.at));
        CHECK(first.revision == t.revision);
        CHECK(second.revision == t.revision);
        CHECK(shown(first.rows) == t.first);
        CHECK(shown(second.rows) == t.second);
    }
    CHECK(done(f.catalog->consents_of_at(subject(9), f.moment())).rows.empty());
    CHECK(f.database.value("SELECT string_agg(DISTINCT epoch::text, ',' ORDER BY epoch::text) FROM consent_history") == "1,2,3,4,5");
    // All that one request changed changed at one moment.
    CHECK(f.database.value("SELECT count(DISTINCT at) FROM consent_history WHERE revision = 1") == "1");
}

TEST_CASE("history: what changed nothing, and what did not happen, leaves no record") {
    const Fixture f;
    (void)done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    (void)done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    CHECK(f.records("parties") == 1);
    CHECK(f.records("global_epoch") == 3);  // that there was a change all the same
    CHECK(f.catalog->activate_policy("none", 1, kAudit).error().code == Errc::not_found);
    CHECK(record_rows(*f.registry, {{subject(1), "dpv:A", "perhaps", {}, 0}}, kAudit).error().code == Errc::conflict);
    CHECK(f.records("policies") == 0);
    CHECK(f.records("global_epoch") == 3);
    CHECK(f.database.value("SELECT count(*) FROM consent_history") == "0");
}

TEST_CASE("history: a moment before it is known is gone") {
    const Fixture f;
    (void)done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    const UtcMillis start{std::stoll(f.database.value("SELECT at FROM configuration_history WHERE kind = 'history'"))};
    CHECK(f.catalog->configuration_at(start).ok());
    CHECK(done(f.catalog->configuration_at(start)).parties.empty());
    CHECK(f.catalog->consents_of_at(subject(1), start).ok());
    for (const auto& error :
         {f.catalog->configuration_at({start.value - 1}).error(), f.catalog->consents_of_at(subject(1), {start.value - 1}).error()}) {
        CHECK(error.code == Errc::gone);
        CHECK(error.pointer == "query:at");
        CHECK(error.detail.find(format_rfc3339(start)) != std::string::npos);
    }
}

TEST_CASE("history: a serving node reads it and has no way to write, silence or evade it") {
    const Fixture f;
    (void)done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    (void)done(record_rows(*f.registry, {{subject(1), "dpv:A", "given", {}, 0}}, kAudit));
    const auto before = f.database.value("SELECT string_agg(h::text, '|' ORDER BY id) FROM configuration_history h");
    for (const char* sql : {
             "INSERT INTO configuration_history (at, epoch, kind, key) VALUES (0, 0, 'parties', 'lab')",
             "UPDATE configuration_history SET at = 0",
             "DELETE FROM configuration_history",
             "TRUNCATE configuration_history",
             "INSERT INTO consent_history (at, epoch, subject, purpose, valid_until, revision, position, withdrawn_revision, withdrawn_position) "
             "SELECT 0, 0, subject, purpose, 0, 0, 0, 0, 0 FROM consents",
             "UPDATE consent_history SET status = 'given'",
             "DELETE FROM consent_history",
             "TRUNCATE consent_history",
             "ALTER TABLE parties DISABLE TRIGGER history_kept",
             "DROP TRIGGER history_kept_changed ON consents",
             "SET session_replication_role = replica",
             "SELECT licet_keep_history_of('parties', 'name')",
             "UPDATE consents SET purpose = 'dpv:B'",
             "UPDATE consents SET subject = '\\x00000000000000000000000000000000'",
             // A table of its own under a name that is recorded.
             "CREATE TEMPORARY TABLE parties (name text); CREATE TRIGGER t AFTER INSERT ON pg_temp.parties FOR EACH ROW EXECUTE FUNCTION "
             "licet_record_configuration('name')",
         }) {
        CAPTURE(sql);
        pqxx::connection connection(f.database.serving_dsn());
        pqxx::work t(connection);
        CHECK_THROWS_AS(t.exec(sql), pqxx::sql_error);
    }
    CHECK(f.database.value("SELECT string_agg(h::text, '|' ORDER BY id) FROM configuration_history h") == before);
    // Nor by tables of its own that the triggers might take for the history.
    pqxx::connection connection(f.database.serving_dsn());
    pqxx::work t(connection);
    t.exec("CREATE TEMPORARY TABLE configuration_history (LIKE public.configuration_history)");
    t.exec("CREATE TEMPORARY TABLE consent_history (LIKE public.consent_history)");
    t.exec("UPDATE parties SET body = '{}'");
    t.exec("UPDATE consents SET status = 'withdrawn'");
    t.commit();
    CHECK(f.database.value("SELECT body->>'body' FROM public.configuration_history WHERE kind = 'parties' ORDER BY id DESC LIMIT 1") == "{}");
    CHECK(f.database.value("SELECT status FROM public.consent_history ORDER BY id DESC LIMIT 1") == "withdrawn");
}

TEST_CASE("history: what the owner removes was there until then") {
    const Fixture f;
    (void)done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    (void)done(f.catalog->put_product(kProduct, {{"attributes", 1}}, kAudit));
    (void)done(f.catalog->put_contract(contract("one"), kAudit));
    (void)done(record_rows(*f.registry, {{subject(1), "dpv:A", "given", {}, 0}, {subject(1), "dpv:B", "given", {}, 0}}, kAudit));
    const auto then = f.moment();
    f.database.exec("DELETE FROM parties");
    f.database.exec("TRUNCATE contracts");
    f.database.exec("UPDATE products SET no = 5 WHERE no = 1");
    f.database.exec("DELETE FROM consents WHERE purpose = 'dpv:A'");
    const auto was = done(f.catalog->configuration_at(then)), is = done(f.catalog->configuration_at(f.moment()));
    CHECK(was.parties.size() == 1);
    CHECK(was.contracts.size() == 1);
    CHECK(was.products.at(0).no.value == 1);
    CHECK(is.parties.empty());
    CHECK(is.contracts.empty());
    REQUIRE(is.products.size() == 1);
    CHECK(is.products[0].no.value == 5);
    CHECK(done(f.catalog->consents_of_at(subject(1), then)).rows.size() == 2);
    CHECK(shown(done(f.catalog->consents_of_at(subject(1), f.moment())).rows) == shown(done(f.catalog->consents_of(subject(1)))));
    CHECK_THROWS_AS(f.database.exec("TRUNCATE consents"), pqxx::sql_error);
    CHECK_THROWS_AS(f.database.exec("UPDATE consents SET purpose = 'dpv:C'"), pqxx::sql_error);
}

TEST_CASE("history: a catalog that is upgraded is known from then on, as it was") {
    const Database database(false);
    const auto all = postgres::embedded_migrations();
    const auto named = [&](const char* name) {
        const auto found = std::find_if(all.begin(), all.end(), [&](const auto& m) { return m.name.ends_with(name); });
        REQUIRE(found != all.end());
        return found;
    };
    const auto history = named("_keep_history");
    database.exec(
        "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL "
        "DEFAULT now())");
    for (auto m = all.begin(); m != history; ++m) {
        database.exec(m->sql);
        database.exec("INSERT INTO schema_migrations (number, name, checksum) VALUES (" + std::to_string(m->number) + ", '" + m->name + "', '" +
                      sha256_hex(m->sql) + "')");
    }
    database.exec("INSERT INTO global_epoch VALUES (1, 1)");
    // For a while: without them nothing can be changed, and no product.
    database.exec(named("_grow_audit_tree")->sql);
    database.exec("ALTER TABLE products ADD COLUMN shreddable boolean NOT NULL DEFAULT false");
    const auto catalog = catalog_of(database.serving_dsn());
    (void)done(catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    (void)done(catalog->put_product(kProduct, {{"attributes", 1}}, kAudit));
    (void)done(catalog->put_product(kProduct, {{"attributes", 2}}, kAudit));
    (void)done(catalog->put_contract(contract("one"), kAudit));
    (void)done(catalog->add_policy_version("p", {{"v", 1}}, kAudit));
    (void)done(catalog->activate_policy("p", 1, kAudit));
    // As that schema kept consents.
    database.exec("UPDATE regional_epoch SET value = 1, consent_revision = 1");
    database.exec(
        "INSERT INTO consents (subject, purpose, status, valid_until, revision, position, withdrawn_revision, withdrawn_position) VALUES ('\\x" +
        hex(subject(1).bytes) + "', 'dpv:A', 'given', 0, 1, 0, 0, 0), ('\\x" + hex(subject(1).bytes) + "', 'dpv:B', 'withdrawn', 0, 1, 1, 1, 1)");
    CHECK(catalog->configuration_at({1}).error().code == Errc::unavailable);  // no such table yet
    database.exec("DROP TABLE audit_tree, audit_checkpoints");
    database.exec("ALTER TABLE products DROP COLUMN shreddable");
    CHECK(database.migrate().applied.size() == all.size() - static_cast<std::size_t>(history - all.begin()));
    const auto held = shown(done(catalog->configuration()));
    const auto consents = shown(done(catalog->consents_of(subject(1))));
    CHECK(consents.size() == 2);
    const auto upgraded = Fixture::moment(database);
    (void)done(catalog->retire_policy("p", kAudit));
    (void)done(record_rows(*registry_of(database.serving_dsn()), {{subject(1), "dpv:A", "withdrawn", {}, 0}}, kAudit));
    const UtcMillis start{std::stoll(database.value("SELECT at FROM configuration_history WHERE kind = 'history'"))};
    for (const auto at : {start, upgraded}) {
        CHECK(shown(done(catalog->configuration_at(at))) == held);
        CHECK(shown(done(catalog->consents_of_at(subject(1), at)).rows) == consents);
        CHECK(done(catalog->consents_of_at(subject(1), at)).revision == 1);
    }
    CHECK(catalog->configuration_at({start.value - 1}).error().code == Errc::gone);
    CHECK(done(catalog->configuration_at(Fixture::moment(database))).active_policies.empty());
}

TEST_CASE("history: replication fills it in a follower region, by that region's own clock") {
    const Fixture author;
    const Database follower(false);
    (void)done(author.catalog->put_party({"lab", "first", "DE", {}, {}}, kAudit));
    (void)done(author.catalog->add_policy_version("p", {{"v", 1}}, kAudit));
    (void)done(author.catalog->activate_policy("p", 1, kAudit));
    CHECK(follower.migrate(false, author.database.dsn).subscribed);
    const auto following = catalog_of(follower.serving_dsn());
    const auto await = [&](const std::string& sql, const std::string& wanted) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (follower.value(sql) != wanted && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        CHECK(follower.value(sql) == wanted);
    };
    await("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'", "0");  // what was there was copied
    const auto copied = Fixture::moment(follower);
    (void)done(author.catalog->put_party({"lab", "second", "DE", {}, {}}, kAudit));
    const auto last = done(author.catalog->retire_policy("p", kAudit)).epoch.value;
    await("SELECT value FROM global_epoch", std::to_string(last));
    const auto then = done(following->configuration_at(copied)), is = done(following->configuration_at(Fixture::moment(follower)));
    CHECK(then.parties.at(0).title == "first");
    CHECK(then.active_policies.size() == 1);
    CHECK(then.epochs.global == last - 2);
    CHECK(is.parties.at(0).title == "second");
    CHECK(is.active_policies.empty());
    CHECK(is.epochs.global == last);
    CHECK(follower.value("SELECT epoch FROM configuration_history WHERE kind = 'policies' ORDER BY id DESC LIMIT 1") == std::to_string(last));
    // The author's records stay with it: each region tells what it knew.
    CHECK(follower.value("SELECT count(*) FROM configuration_history WHERE kind = 'parties'") == "2");
    // Consents are a region's own.
    (void)done(record_rows(*registry_of(follower.serving_dsn()), {{subject(1), "dpv:A", "given", {}, 0}}, kAudit));
    CHECK(done(following->consents_of_at(subject(1), Fixture::moment(follower))).rows.size() == 1);
    CHECK(author.database.value("SELECT count(*) FROM consent_history") == "0");
    follower.exec("ALTER SUBSCRIPTION licet_config DISABLE");
    follower.exec("ALTER SUBSCRIPTION licet_config SET (slot_name = NONE)");
    follower.exec("DROP SUBSCRIPTION licet_config");
    author.database.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()");
}

TEST_CASE("history: of many that change at once each record is there, in the order of the changes") {
    const Fixture f;
    const auto second = catalog_of(f.database.serving_dsn());
    std::vector<std::future<bool>> threads;
    for (int t = 0; t < 4; ++t)
        threads.push_back(std::async(std::launch::async, [&, t] {
            bool good = true;
            for (int n = 0; n < 10; ++n)
                good = good && (t % 2 == 0 ? f.catalog : second)->put_party({"party", std::to_string(t * 10 + n), "DE", {}, {}}, kAudit).ok();
            return good;
        }));
    for (auto& t : threads) CHECK(t.get());
    CHECK(f.records("parties") == 40);
    CHECK(f.database.value("SELECT count(*) FROM (SELECT epoch, lag(epoch) OVER (ORDER BY id) AS before, at, lag(at) OVER (ORDER BY id) AS at_before "
                           "FROM configuration_history WHERE kind = 'parties') o WHERE epoch <= before OR at < at_before") == "0");
    CHECK(done(f.catalog->configuration_at(f.moment())).parties.at(0).title == done(f.catalog->configuration()).parties.at(0).title);
}
