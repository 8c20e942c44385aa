// The catalog on a real PostgreSQL: every operation under the role a node serves under, epochs, conflicts, and connections that are lost.
#include <algorithm>
#include <future>
#include <set>
#include <thread>

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
    for (std::size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<std::uint8_t>(n + 37 * i);  // zeros, quotes, backslashes, ...
    return key;
}

ports::Changed done(const Result<ports::Changed>& changed) {
    REQUIRE_MESSAGE(changed.ok(), (changed.ok() ? "" : changed.error().detail));
    return *changed;
}

struct Fixture {
    Database database;
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    std::shared_ptr<ports::Catalog> catalog = catalog_of(database.serving_dsn(), clock);
    std::shared_ptr<ports::AuditLog> audit = audit_of(database.serving_dsn(), clock);
    std::shared_ptr<ports::ConsentRegistry> registry = registry_of(database.serving_dsn(), clock);
    [[nodiscard]] ports::Configuration configuration() const {
        auto read = catalog->configuration();
        REQUIRE(read.ok());
        return *std::move(read);
    }
    [[nodiscard]] std::vector<ConsentRow> all_consents() const {
        std::vector<ConsentRow> rows;
        REQUIRE(catalog->each_consent([&](const ConsentRow& row) { rows.push_back(row); }).ok());
        std::sort(rows.begin(), rows.end(),
                  [](const ConsentRow& a, const ConsentRow& b) { return std::pair(a.revision, a.position) < std::pair(b.revision, b.position); });
        return rows;
    }
};

}  // namespace

TEST_CASE("catalog: regions, parties, products with their mappings, contracts") {
    const Fixture f;
    done(f.catalog->put_region({"eu", "https://eu.example"}, kAudit));
    done(f.catalog->put_region({"eu", "https://eu2.example"}, kAudit));
    done(f.catalog->put_party({"press", "Presse \"à\" l'œil \\ {x}", "DE", {"a", "b"}, {"eu-us-dpf"}}, kAudit));
    ports::Product product{{}, "wiki", "Wiki", "press", "press", "eu", 0, {}};
    const json mapping{{"attributes", {{"id", {{"digest", true}}}}}};
    const auto no = done(f.catalog->put_product(product, mapping, kAudit)).number;
    CHECK(done(f.catalog->put_product(product, mapping, kAudit)).number == no);
    product.title = "Wiki 2";
    CHECK(done(f.catalog->put_product(product, json(), kAudit)).number == no);
    CHECK(done(f.catalog->put_product(product, {{"attributes", {{"id", {{"pointer", "/id"}}}}}}, kAudit)).number == no);
    product.name = "other";
    CHECK(done(f.catalog->put_product(product, mapping, kAudit)).number != no);
    ports::Contract contract;
    contract.name = "lab-wiki";
    contract.party = "press";
    contract.products = {"wiki", "other"};
    contract.purposes = {"dpv:AcademicResearch"};
    contract.transfer_tools = {"eu-gdpr:A46-2-c"};
    contract.pseudonym_scope = "contract";
    contract.valid_from = {1'700'000'000'000};
    contract.prices = flat_prices("EUR", "0.00000000000001", "0.10");
    const auto contract_no = done(f.catalog->put_contract(contract, kAudit)).number;
    contract.state = ports::ContractState::suspended;
    CHECK(done(f.catalog->put_contract(contract, kAudit)).number == contract_no);

    const auto c = f.configuration();
    REQUIRE(c.regions.size() == 1);
    CHECK(c.regions[0].endpoint == "https://eu2.example");
    REQUIRE(c.parties.size() == 1);
    CHECK(c.parties[0].title == "Presse \"à\" l'œil \\ {x}");
    CHECK(c.parties[0].collections == std::vector<std::string>{"a", "b"});
    CHECK(c.parties[0].adequacy_schemes == std::vector<std::string>{"eu-us-dpf"});
    REQUIRE(c.products.size() == 2);
    CHECK(c.products[0].title == "Wiki 2");
    CHECK(c.products[0].residency == "eu");
    CHECK(c.products[0].mapping_version == 2);
    REQUIRE(c.products[0].mappings.size() == 2);
    CHECK(c.products[0].mappings[0] == mapping);
    CHECK(c.products[1].mapping_version == 1);
    REQUIRE(c.contracts.size() == 1);
    CHECK(c.contracts[0].no.value == contract_no);
    CHECK(c.contracts[0].state == ports::ContractState::suspended);
    CHECK(c.contracts[0].products == contract.products);
    CHECK(c.contracts[0].transfer_tools == contract.transfer_tools);
    CHECK(c.contracts[0].valid_from == contract.valid_from);
    CHECK(c.contracts[0].valid_until.value == 0);
    CHECK(c.contracts[0].prices == contract.prices);
    CHECK(c.epochs.sum().value == 11);
}

TEST_CASE("catalog: clients are created once, and revoked for good") {
    const Fixture f;
    const ports::Client client{"reader", "lab", std::string(64, 'a'), "00ff", {"partner", "with, \"quotes\" \\ {}"}, {"read:*", "NULL", ""},
                               false,    {}};
    done(f.catalog->create_client(client, kAudit));
    const auto before = f.catalog->epochs()->sum();
    CHECK(f.catalog->create_client(client, kAudit).error().code == Errc::conflict);
    CHECK(f.catalog->epochs()->sum() == before);  // refused: neither epoch nor audit moved
    CHECK(f.audit->lines(0, 10)->size() == 1);
    done(f.catalog->revoke_tokens("reader", {5000}, kAudit));
    done(f.catalog->revoke_tokens("reader", {4000}, kAudit));  // never back, and those dated from it too
    auto c = f.configuration().clients.at(0);
    CHECK(c.roles == client.roles);
    CHECK(c.scopes == client.scopes);
    CHECK(c.secret_hash == client.secret_hash);
    CHECK(c.tokens_valid_from.value == 5001);
    CHECK_FALSE(c.revoked);
    done(f.catalog->revoke_client("reader", kAudit));
    CHECK(f.configuration().clients.at(0).revoked);
    CHECK(f.catalog->revoke_client("nobody", kAudit).error().code == Errc::not_found);
    CHECK(f.catalog->revoke_tokens("nobody", {1}, kAudit).error().code == Errc::not_found);
}

TEST_CASE("catalog: one version of a policy is active at a time") {
    const Fixture f;
    CHECK(done(f.catalog->add_policy_version("open", {{"v", 1}}, kAudit)).number == 1);
    CHECK(done(f.catalog->add_policy_version("open", {{"v", 2}}, kAudit)).number == 2);
    CHECK(done(f.catalog->add_policy_version("shut", {{"v", 9}}, kAudit)).number == 1);
    CHECK(f.configuration().active_policies.empty());
    for (const std::uint32_t version : {1u, 2u, 2u, 1u}) {
        done(f.catalog->activate_policy("open", version, kAudit));
        const auto active = f.configuration().active_policies;
        REQUIRE(active.size() == 1);
        CHECK(active[0].version == version);
        CHECK(active[0].document == json{{"v", version}});
    }
    CHECK(f.catalog->activate_policy("open", 3, kAudit).error().code == Errc::not_found);
    CHECK(f.configuration().active_policies.size() == 1);  // the one that was stays
    CHECK(f.catalog->policies("open")->size() == 2);
    CHECK(f.catalog->policies("")->size() == 3);
    done(f.catalog->retire_policy("open", kAudit));
    CHECK(f.configuration().active_policies.empty());
    CHECK(f.catalog->retire_policy("open", kAudit).error().code == Errc::not_found);
}

TEST_CASE("catalog: consents keep their order, their last word and their last withdrawal") {
    const Fixture f;
    CHECK(done(record_rows(*f.registry, {{subject(1), "dpv:A", "given", {77}, 0}, {subject(1), "dpv:B", "withdrawn", {}, 0}}, kAudit)).revision == 1);
    std::vector<ConsentRow> many;
    for (int n = 0; n < 25'000; ++n) {
        SubjectKey key = subject(2);
        key.bytes[0] = static_cast<std::uint8_t>(n), key.bytes[1] = static_cast<std::uint8_t>(n >> 8);
        many.push_back({key, "dpv:A", "given", {}, 0});
    }
    CHECK(done(record_rows(*f.registry, many, kAudit)).revision == 2);
    auto rows = f.all_consents();
    REQUIRE(rows.size() == 25'002);
    CHECK(rows[0].subject == subject(1));
    CHECK(rows[0].purpose == "dpv:A");
    CHECK(rows[0].valid_until.value == 77);
    CHECK(rows[0].withdrawn_revision == 0);
    CHECK(rows[1].withdrawn_revision == 1);
    CHECK(rows[1].withdrawn_position == 1);
    CHECK(std::is_sorted(rows.begin(), rows.end(),
                         [](const auto& a, const auto& b) { return std::pair(a.revision, a.position) < std::pair(b.revision, b.position); }));
    for (std::size_t n = 0; n < many.size(); ++n) REQUIRE(rows[n + 2].subject == many[n].subject);
    CHECK(f.catalog->consents_after(1)->size() == 25'000);
    CHECK(f.catalog->consents_after(2)->empty());

    // Several words on one purpose in one change: the last one counts, the withdrawal among them is remembered.
    done(record_rows(*f.registry,
                     {{subject(1), "dpv:B", "given", {}, 0}, {subject(1), "dpv:A", "withdrawn", {}, 0}, {subject(1), "dpv:A", "renewed", {}, 0}},
                     kAudit));
    rows = *f.catalog->consents_of(subject(1));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].purpose == "dpv:B");
    CHECK(rows[0].status == "given");
    CHECK(rows[0].withdrawn_revision == 1);  // of the first change
    CHECK(rows[1].purpose == "dpv:A");
    CHECK(rows[1].status == "renewed");
    CHECK(rows[1].revision == 3);
    CHECK(rows[1].position == 2);
    CHECK(rows[1].withdrawn_revision == 3);
    CHECK(rows[1].withdrawn_position == 1);
    // Who changed in part is told in whole.
    CHECK(f.catalog->consents_after(2)->size() == 2);
    done(record_rows(*f.registry, {{subject(1), "dpv:B", "renewed", {}, 0}}, kAudit));
    CHECK(f.catalog->consents_after(3)->size() == 2);
    CHECK(f.catalog->consents_of(subject(99))->empty());
    const auto epochs = *f.catalog->epochs();
    CHECK(epochs.regional == 4);
    CHECK(epochs.global == 1);
    CHECK(record_rows(*f.registry, {{subject(1), "dpv:A", "perhaps", {}, 0}}, kAudit).error().code == Errc::conflict);
    CHECK(f.catalog->epochs()->regional == 4);
}

TEST_CASE("catalog: changes of many at once have each an epoch and an audit line of their own") {
    const Fixture f;
    const auto second = catalog_of(f.database.serving_dsn());
    std::vector<std::future<std::vector<std::uint64_t>>> threads;
    for (int t = 0; t < 6; ++t)
        threads.push_back(std::async(std::launch::async, [&, t] {
            auto& mine = t % 2 == 0 ? *f.catalog : *second;
            std::vector<std::uint64_t> epochs;
            for (int n = 0; n < 10; ++n) {
                const auto changed = t < 4 ? mine.put_party({"party-" + std::to_string(t), "T", "DE", {}, {}}, kAudit)
                                           : record_rows(*f.registry, {{subject(1), "dpv:A", "given", {}, 0}}, kAudit);
                epochs.push_back(changed.ok() ? changed->epoch.value : 0);
            }
            return epochs;
        }));
    std::set<std::uint64_t> epochs;
    for (auto& t : threads) {
        const auto mine = t.get();
        CHECK(std::is_sorted(mine.begin(), mine.end()));
        epochs.insert(mine.begin(), mine.end());
    }
    CHECK(epochs.size() == 60);  // none twice, none failed
    CHECK(*epochs.begin() == 2);
    CHECK(*epochs.rbegin() == 61);
    CHECK(f.catalog->epochs()->sum().value == 61);
    CHECK(f.audit->lines(0, 1000)->size() == 60);
    // One policy, written by many: every version is another.
    std::vector<std::future<std::uint32_t>> versions;
    for (int t = 0; t < 6; ++t)
        versions.push_back(std::async(std::launch::async,
                                      [&, t] { return (t % 2 == 0 ? f.catalog : second)->add_policy_version("p", json::object(), kAudit)->number; }));
    std::set<std::uint32_t> numbers;
    for (auto& v : versions) numbers.insert(v.get());
    CHECK(numbers == std::set<std::uint32_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("catalog: a connection that was lost costs one call, not the catalog") {
    const Fixture f;
    done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    CHECK(f.database.end_connections() >= 1);
    const auto first = f.catalog->put_party({"lab", "Lab 2", "DE", {}, {}}, kAudit);
    if (!first.ok()) CHECK(first.error().code == Errc::unavailable);
    done(f.catalog->put_party({"lab", "Lab 3", "DE", {}, {}}, kAudit));
    CHECK(f.configuration().parties.at(0).title == "Lab 3");
    const auto nowhere = catalog_of("host=/nonexistent dbname=none");
    for (int n = 0; n < 20; ++n) CHECK(nowhere->epochs().error().code == Errc::unavailable);  // no slot of the pool is lost
}

TEST_CASE("catalog: a server that does not answer is waited for within limits, whatever form the connection string has") {
    CHECK(postgres::with_timeouts("host=a connect_timeout=9") == "connect_timeout=5 tcp_user_timeout=15000 host=a connect_timeout=9");
    CHECK(postgres::with_timeouts("postgresql://a/b") == "postgresql://a/b?connect_timeout=5&tcp_user_timeout=15000");
    CHECK(postgres::with_timeouts("postgresql://a/b?connect_timeout=9") == "postgresql://a/b?connect_timeout=9&tcp_user_timeout=15000");
    const Fixture f;
    postgres::Pool pool(f.database.dsn);
    const auto timeout = pool.transact("test", [](pqxx::work& t) { return t.exec1("SHOW statement_timeout")[0].as<std::string>(); });
    CHECK(*timeout == "1min");
}

TEST_CASE("catalog: a serving node may neither change the schema nor what it audited") {
    const Fixture f;
    done(f.catalog->put_party({"lab", "Lab", "DE", {}, {}}, kAudit));
    for (const char* sql :
         {"UPDATE audit SET line = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit", "ALTER TABLE parties ADD COLUMN x int",
          "CREATE TABLE mine (x int)", "DELETE FROM consents", "DELETE FROM usage_billed", "UPDATE usage_billed SET events = 0",
          "DELETE FROM usage_watermark", "DELETE FROM clients", "DELETE FROM schema_migrations", "DROP TRIGGER global_epoch_moved ON global_epoch"}) {
        CAPTURE(sql);
        pqxx::connection connection(f.database.serving_dsn());
        pqxx::work t(connection);
        CHECK_THROWS_AS(t.exec(sql), pqxx::insufficient_privilege);
    }
}

TEST_CASE("catalog: what of a contract is settled stays, whoever changes it at the same time") {
    const Fixture f;
    done(f.catalog->put_party({"press", "Press", "DE", {}, {}}, kAudit));
    ports::Contract contract;
    contract.name = "lab";
    contract.party = "press";
    contract.prices = flat_prices("EUR", "0.01", "0.10");
    done(f.catalog->put_contract(contract, kAudit));
    // By the clock of the database, which is this machine's.
    const auto day = [&](const char* days) {
        return f.database.value(std::string("SELECT to_char((now() AT TIME ZONE 'UTC')::date + ") + days + ", 'YYYY-MM-DD')");
    };
    const auto refused = [&](const ports::Contract& wanted) {
        const auto put = f.catalog->put_contract(wanted, kAudit);
        REQUIRE_FALSE(put.ok());
        CHECK(put.error().code == Errc::conflict);
        return put.error().pointer;
    };
    auto changed = contract;
    changed.prices = flat_prices("EUR", "0.02", "0.10");
    CHECK(refused(changed) == "/price");
    changed.prices = flat_prices("USD", "0.01", "0.10");
    CHECK(refused(changed) == "/price/currency");
    changed = contract;
    changed.replays_billed = true;
    CHECK(refused(changed) == "/price/replays");
    changed = contract;
    changed.prices.push_back({day("0"), flat_prices("EUR", "0.02", "0.10")[0].price});
    CHECK(refused(changed) == "/priceChanges/0");
    changed.prices.back().from = day("1");
    done(f.catalog->put_contract(changed, kAudit));
    CHECK(f.configuration().contracts[0].prices == changed.prices);
    CHECK(f.database.value("SELECT count(*) FROM audit") == "3");

    // Two who make it at once: one makes it, the other finds it begun, at other prices.
    const auto other = catalog_of(f.database.serving_dsn(), f.clock);
    for (int round = 0; round < 20; ++round) {
        contract.name = "both-" + std::to_string(round);
        auto dearer = contract;
        dearer.prices = flat_prices("EUR", "0.02", "0.10");
        Result<ports::Changed> mine(Errc::unavailable, ""), theirs(Errc::unavailable, "");
        std::thread beside([&] { theirs = other->put_contract(dearer, kAudit); });
        mine = f.catalog->put_contract(contract, kAudit);
        beside.join();
        REQUIRE(mine.ok() != theirs.ok());
        CHECK((mine.ok() ? theirs : mine).error().code == Errc::conflict);
        CHECK((mine.ok() ? theirs : mine).error().pointer == "/price");
        CHECK(f.configuration().contracts.back().prices == (mine.ok() ? contract : dearer).prices);
    }
}
