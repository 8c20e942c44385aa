// Warnings and webhooks in a real PostgreSQL: told once whoever passes a threshold, posted by one sender at a time, and again after one that died.
#include "server/postgres/webhooks.h"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/usage_limits.h"
#include "tests/integration/database.h"

using namespace licet;
using namespace licet::testing;
using Then = ports::WebhookOutcome::Then;

namespace {

constexpr ContractNo kContract{7};
constexpr std::int64_t kLease = 60'000;
constexpr int kAttempts = 3;

struct Kept : Database {
    postgres::AuditSealing sealing{openssl::make_crypto(), test_signer(), std::make_shared<TestClock>()};
    std::shared_ptr<ports::WebhookStore> store = node();

    // Another node: a pool of its own.
    std::shared_ptr<ports::WebhookStore> node() const { return postgres::make_webhook_store(postgres::make_pool(serving_dsn()), sealing); }
    static ports::AuditEntry audit(const char* action) { return {"ada", action, "lab", nlohmann::json::object()}; }
    static ports::WebhookEndpoint endpoint(const std::string& name, char id = 'a') {
        ports::WebhookEndpoint e;
        e.id = std::string(32, id);
        e.contract = kContract;
        e.name = name;
        e.url = "https://lab.example/" + name;
        e.secret = {"kek-1", std::string("\0secret\xff", 8)};
        return e;
    }
    static ports::QuotaWarning warning(const std::string& message, std::uint64_t limit = 100, int percent = 80) {
        return {kContract, metering::QuotaMetric::events, metering::QuotaKind::hard, "2026-11", limit, percent, "message-of-" + message, "{}"};
    }
    std::optional<ports::WebhookDue> claim() const {
        auto due = store->claim(kLease, kAttempts);
        REQUIRE(due.ok());
        return *due;
    }
    void lapse() const { exec("UPDATE webhook_deliveries SET lease_until = 1 WHERE lease_until <> 0 RETURNING 1"); }
    void now_due() const { exec("UPDATE webhook_deliveries SET next_at = 0 RETURNING 1"); }
    std::string state() const { return value("SELECT state FROM webhook_deliveries"); }
};

}  // namespace

TEST_CASE("webhooks: nodes that pass a threshold at once tell it once, and again for another limit") {
    Kept k;
    REQUIRE(*k.store->put(Kept::endpoint("desk"), Kept::audit("webhook.put")));
    std::atomic<int> told{0};
    std::vector<std::thread> nodes;
    for (int n = 0; n < 4; ++n)
        nodes.emplace_back([&, n, store = k.node()] {
            const auto done = store->tell(Kept::warning("node-" + std::to_string(n)));
            if (done && *done) ++told;
        });
    for (auto& node : nodes) node.join();
    CHECK(told == 1);
    CHECK(k.value("SELECT count(*) FROM webhook_deliveries") == "1");
    CHECK(*k.store->tell(Kept::warning("raised-limit", 200)));
    CHECK(*k.store->tell(Kept::warning("all-of-it", 100, 100)));
    CHECK_FALSE(*k.store->tell(Kept::warning("lowered-back")));
    CHECK(k.value("SELECT count(*) FROM webhook_deliveries") == "3");
}

TEST_CASE("webhooks: a threshold is posted to every endpoint of its contract, and to a disabled one when it is set anew") {
    Kept k;
    REQUIRE(*k.store->put(Kept::endpoint("one", 'a'), Kept::audit("webhook.put")));
    REQUIRE(*k.store->put(Kept::endpoint("two", 'b'), Kept::audit("webhook.put")));
    auto stranger = Kept::endpoint("three", 'c');
    stranger.contract = {8};
    REQUIRE(*k.store->put(stranger, Kept::audit("webhook.put")));
    REQUIRE(*k.store->tell(Kept::warning("first")));
    const auto first = k.claim(), second = k.claim();
    REQUIRE((first && second));
    CHECK(first->endpoint.name != second->endpoint.name);
    CHECK(first->message == second->message);
    CHECK(first->endpoint.secret.wrapped == Kept::endpoint("x").secret.wrapped);
    CHECK_FALSE(k.claim());
    const auto& gone = first->endpoint.name == "one" ? *first : *second;
    CHECK(*k.store->finish(gone, {Then::gone, 410, "the endpoint is gone", 0}));
    CHECK(*k.store->tell(Kept::warning("second", 100, 100)));
    CHECK(k.store->deliveries(kContract, "dead", 0, 10)->size() == 2);
    CHECK(k.store->endpoints(kContract)->front().disabled == "it answered 410 Gone");
    CHECK(k.store->redeliver(kContract, gone.no, Kept::audit("webhook.redeliver")).error().code == Errc::conflict);
    CHECK_FALSE(*k.store->put(Kept::endpoint("one", 'd'), Kept::audit("webhook.put")));  // it was there
    CHECK(k.store->endpoints(kContract)->front().disabled.empty());
    CHECK(k.store->endpoints(kContract)->front().id == std::string(32, 'a'));
    REQUIRE(k.store->redeliver(kContract, gone.no, Kept::audit("webhook.redeliver")).ok());
    const auto again = k.claim();
    REQUIRE(again);
    CHECK(again->no == gone.no);
    CHECK(again->attempt == 1);
    CHECK(again->message == gone.message);
    // Of a contract that has nothing to do with it.
    CHECK(k.store->redeliver({8}, gone.no, Kept::audit("webhook.redeliver")).error().code == Errc::not_found);
    CHECK(k.value("SELECT count(*) FROM audit") == "5");
}

TEST_CASE("webhooks: senders that compete never post one delivery at once, nor two of one endpoint") {
    Kept k;
    constexpr int kEndpoints = 4, kWarnings = 10;
    for (int i = 0; i < kEndpoints; ++i)
        REQUIRE(*k.store->put(Kept::endpoint("e" + std::to_string(i), static_cast<char>('a' + i)), Kept::audit("webhook.put")));
    for (int i = 0; i < kWarnings; ++i) REQUIRE(*k.store->tell(Kept::warning("number-" + std::to_string(i), 100 + static_cast<unsigned>(i))));
    std::mutex mutex;
    std::multiset<std::uint64_t> posted;
    std::atomic<int> left{kEndpoints * kWarnings};
    std::vector<std::thread> senders;
    for (int n = 0; n < 4; ++n)
        senders.emplace_back([&, store = k.node()] {
            for (int tries = 0; tries < 5'000 && left > 0; ++tries) {
                const auto due = store->claim(kLease, kAttempts);
                if (!due || !*due) continue;
                {
                    const std::lock_guard lock(mutex);
                    posted.insert((*due)->no);
                }
                if (const auto noted = store->finish(**due, {Then::delivered, 200, {}, 0}); noted && *noted) --left;
            }
        });
    for (auto& sender : senders) sender.join();
    CHECK(left == 0);
    CHECK(posted.size() == kEndpoints * kWarnings);
    CHECK(std::set(posted.begin(), posted.end()).size() == kEndpoints * kWarnings);
    CHECK(k.value("SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered' AND attempts = 1") == "40");
    REQUIRE(*k.store->tell(Kept::warning("one-more", 900)));
    REQUIRE(*k.store->tell(Kept::warning("and-another", 901)));
    for (int i = 0; i < kEndpoints; ++i) REQUIRE(k.claim());
    CHECK_FALSE(k.claim());
}

TEST_CASE("webhooks: what a sender that died had posted is posted again under the same id, and its late word counts when it delivered") {
    Kept k;
    REQUIRE(*k.store->put(Kept::endpoint("desk"), Kept::audit("webhook.put")));
    REQUIRE(*k.store->tell(Kept::warning("first")));
    const auto died = k.claim();
    REQUIRE(died);
    CHECK_FALSE(k.claim());
    k.lapse();
    const auto second = k.claim();
    REQUIRE(second);
    CHECK(second->message == died->message);
    CHECK(second->body == died->body);
    CHECK(second->attempt == 2);
    // Of who lost the claim a failure says nothing any more; a delivery is one.
    CHECK_FALSE(*k.store->finish(*died, {Then::again, 500, "it was not accepted", 1000}));
    CHECK(*k.store->finish(*died, {Then::delivered, 200, {}, 0}));
    CHECK_FALSE(*k.store->finish(*second, {Then::again, 500, "it was not accepted", 1000}));
    CHECK(k.state() == "delivered");
    k.lapse();
    k.now_due();
    CHECK_FALSE(k.claim());
}

TEST_CASE("webhooks: a delivery waits as it was told to, and is dead after its last attempt, also when its sender is") {
    Kept k;
    REQUIRE(*k.store->put(Kept::endpoint("desk"), Kept::audit("webhook.put")));
    REQUIRE(*k.store->tell(Kept::warning("first")));
    auto due = k.claim();
    REQUIRE(due);
    CHECK(*k.store->finish(*due, {Then::again, 500, "it was not accepted", 3'600'000}));
    CHECK_FALSE(k.claim());
    k.now_due();
    REQUIRE(k.claim());
    k.lapse();
    due = k.claim();
    REQUIRE(due);
    CHECK(due->attempt == kAttempts);
    k.lapse();
    CHECK_FALSE(k.claim());
    CHECK(k.state() == "dead");
    const auto listed = k.store->deliveries(kContract, "dead", 0, 10);
    REQUIRE(listed->size() == 1);
    CHECK(listed->front().attempts == kAttempts);
    CHECK(listed->front().webhook == "desk");
    CHECK(k.store->deliveries(kContract, "", listed->front().no, 10)->empty());
    CHECK(k.store->deliveries({8}, "", 0, 10)->empty());
}

TEST_CASE("webhooks: secrets are rotated and wrapped anew, endpoints removed with their deliveries, and the old forgotten") {
    Kept k;
    REQUIRE(*k.store->put(Kept::endpoint("desk"), Kept::audit("webhook.put")));
    REQUIRE(k.store->rotate(std::string(32, 'a'), {"kek-1", "fresh"}, 60'000, Kept::audit("webhook.rotate")).ok());
    CHECK(k.store->rotate(std::string(32, 'z'), {"kek-1", "fresh"}, 60'000, Kept::audit("webhook.rotate")).error().code == Errc::not_found);
    auto kept = k.store->endpoints(kContract)->front();
    CHECK(kept.secret.wrapped == "fresh");
    CHECK(kept.former.wrapped == Kept::endpoint("x").secret.wrapped);
    CHECK(kept.former_until > kept.created);
    const auto rewrap = [](const std::string&, const ports::WrappedSecret& s) { return Result<std::string>(s.wrapped + "!"); };
    CHECK(*k.store->rewrap("kek-2", rewrap) == 2);
    CHECK(*k.store->rewrap("kek-2", rewrap) == 0);
    kept = k.store->endpoints(kContract)->front();
    CHECK(kept.secret.wrapped == "fresh!");
    CHECK(kept.former.under == "kek-2");
    for (int i = 1; i < 4; ++i) REQUIRE(k.store->put(Kept::endpoint("e" + std::to_string(i), static_cast<char>('a' + i)), Kept::audit("put")).ok());
    CHECK(k.store->put(Kept::endpoint("e4", 'f'), Kept::audit("put")).error().code == Errc::conflict);

    REQUIRE(*k.store->tell(Kept::warning("first")));
    const auto done = k.claim();
    REQUIRE(done);
    CHECK(*k.store->finish(*done, {Then::delivered, 200, {}, 0}));
    CHECK(*k.store->prune(3'600'000) == 0);
    k.exec("UPDATE quota_warnings SET told_at = 1 RETURNING 1");
    k.exec("UPDATE webhook_deliveries SET last_at = 1 RETURNING 1");
    CHECK(*k.store->prune(3'600'000) == 1);
    CHECK(k.value("SELECT count(*) FROM quota_warnings") == "1");  // three are pending
    for (const char* name : {"desk", "e1", "e2", "e3"}) REQUIRE(k.store->remove(kContract, name, Kept::audit("webhook.delete")).ok());
    CHECK(k.store->remove(kContract, "desk", Kept::audit("webhook.delete")).error().code == Errc::not_found);
    CHECK(k.value("SELECT count(*) FROM webhook_deliveries") == "0");
    CHECK(*k.store->prune(3'600'000) == 0);
    CHECK(k.value("SELECT count(*) FROM quota_warnings") == "0");
}

TEST_CASE("webhooks: a serving node rewrites no threshold, and no message of a delivery") {
    const Kept k;
    for (const char* sql :
         {"UPDATE quota_warnings SET body = 'x'", "UPDATE webhook_deliveries SET message = 'x'", "UPDATE webhook_endpoints SET id = 'x'",
          "UPDATE webhook_endpoints SET contract = 1", "TRUNCATE webhook_deliveries CASCADE"}) {
        pqxx::connection connection(k.serving_dsn());
        pqxx::work t(connection);
        CHECK_THROWS_AS(t.exec(sql), pqxx::insufficient_privilege);
    }
}
