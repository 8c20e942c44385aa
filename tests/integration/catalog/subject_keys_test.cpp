// Keys of data subjects in a real PostgreSQL: one live key per subject whoever asks first, destroyed for good, erasures in order.
#include "server/postgres/subject_keys.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "tests/integration/database.h"

using namespace licet;
using namespace licet::testing;

namespace {

template <class Digest>
Digest digest(std::uint8_t n) {
    Digest out;
    out.bytes.fill(n);
    return out;
}
SubjectKey who(std::uint8_t n) { return digest<SubjectKey>(n); }
ports::StoredKey key(std::uint8_t id, std::uint8_t subject, std::string wrapped = std::string("\0wrapped\xff", 9)) {
    return {digest<DataKeyId>(id), who(subject), "kek-1", std::move(wrapped), {1'795'000'000'000}, {}};
}

struct Kept : Database {
    std::shared_ptr<postgres::Pool> pool = postgres::make_pool(serving_dsn());
    postgres::AuditSealing sealing{openssl::make_crypto(), test_signer(), std::make_shared<TestClock>()};
    std::shared_ptr<ports::Catalog> catalog = postgres::make_catalog(pool, sealing);
    std::shared_ptr<ports::SubjectKeyStore> store = postgres::make_subject_key_store(pool, sealing);
    const ports::AuditEntry audit{"dpo", "subject.erase", "controller", nlohmann::json::object()};
};

}  // namespace

TEST_CASE("a subject's first key stays, and comes back byte for byte") {
    Kept k;
    const auto first = k.store->add({key(1, 10), key(2, 20)});
    REQUIRE(first.ok());
    CHECK(first->size() == 2);
    const auto second = k.store->add({key(3, 20, "other"), key(4, 30)});
    REQUIRE(second.ok());
    REQUIRE(second->size() == 2);
    for (const auto& got : *second) CHECK(got.id == digest<DataKeyId>(got.subject == who(20) ? 2 : 4));
    const auto held = k.store->of_subjects({who(10), who(99)});
    REQUIRE(held.ok());
    REQUIRE(held->size() == 1);
    CHECK(held->front().wrapped == key(1, 10).wrapped);
    CHECK(held->front().wrapped_under == "kek-1");
    CHECK(held->front().created == UtcMillis{1'795'000'000'000});
    CHECK(k.store->by_id({digest<DataKeyId>(3), digest<DataKeyId>(4)})->size() == 1);
    CHECK(k.store->of_subjects({})->empty());
}

TEST_CASE("nodes that meet the same new subjects at once agree on one key each") {
    Kept k;
    std::vector<std::thread> nodes;
    std::vector<std::vector<ports::StoredKey>> got(4);
    for (std::uint8_t n = 0; n < 4; ++n)
        nodes.emplace_back([&, n] {
            const auto store = postgres::make_subject_key_store(postgres::make_pool(k.serving_dsn()), k.sealing);
            std::vector<ports::StoredKey> mine;
            for (std::uint8_t s = 0; s < 50; ++s) mine.push_back(key(static_cast<std::uint8_t>(n * 50 + s), s));
            if (n % 2 == 1) std::reverse(mine.begin(), mine.end());
            if (auto added = store->add(mine)) got[n] = *std::move(added);
        });
    for (auto& node : nodes) node.join();
    for (auto& list : got) {
        std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.subject < b.subject; });
        REQUIRE(list.size() == 50);
        for (std::size_t i = 0; i < list.size(); ++i) CHECK(list[i].id == got[0][i].id);
    }
}

TEST_CASE("an erasure destroys every key of the subject, and no other") {
    Kept k;
    REQUIRE(k.store->add({key(1, 10), key(2, 20)}).ok());
    const auto before = k.catalog->epochs()->sum();
    const auto erasure = k.store->erase(who(10), k.audit);
    REQUIRE(erasure.ok());
    CHECK(erasure->changed.epoch.value == before.value + 1);
    CHECK(erasure->changed.epoch == k.catalog->epochs()->sum());
    CHECK(erasure->fresh == std::vector{digest<DataKeyId>(1)});
    REQUIRE(erasure->keys.size() == 1);
    CHECK(erasure->keys[0].wrapped.empty());
    CHECK(erasure->keys[0].destroyed == erasure->at);
    const auto destroyed = k.store->by_id({digest<DataKeyId>(1), digest<DataKeyId>(2)});
    REQUIRE(destroyed->size() == 2);
    for (const auto& got : *destroyed) CHECK(got.wrapped.empty() == (got.subject == who(10)));
    CHECK(k.store->of_subjects({who(10)})->empty());

    // Again, with a key that came later; and of someone who was never here.
    REQUIRE(k.store->add({key(3, 10)}).ok());
    const auto again = k.store->erase(who(10), k.audit);
    CHECK(again->fresh == std::vector{digest<DataKeyId>(3)});
    CHECK(again->keys.size() == 2);
    CHECK(again->number > erasure->number);
    CHECK(k.store->erase(who(99), k.audit)->keys.empty());

    const auto all = k.store->erased_after(0);
    REQUIRE(all.ok());
    CHECK(all->subjects == std::vector{who(10), who(10), who(99)});
    CHECK(k.store->erased_after(erasure->number)->subjects == std::vector{who(10), who(99)});
    CHECK(k.store->erased_after(all->last)->subjects.empty());
    CHECK(k.store->erased_after(all->last)->last == all->last);
    const auto lines = audit_of(k.serving_dsn())->lines(0, 10);
    REQUIRE(lines->size() == 3);
    CHECK(lines->front().line.find("subject.erase") != std::string::npos);
    CHECK(lines->front().line.find(hex(who(10).bytes)) == std::string::npos);
}

TEST_CASE("what is destroyed cannot be brought back, and no key changes its subject") {
    Kept k;
    REQUIRE(k.store->add({key(1, 10), key(2, 20)}).ok());
    REQUIRE(k.store->erase(who(10), k.audit).ok());
    pqxx::connection direct(k.dsn);
    for (const char* attempt : {"UPDATE subject_keys SET wrapped = 'x', wrapped_under = 'k', destroyed = 0 WHERE destroyed <> 0",
                                "UPDATE subject_keys SET subject = decode(repeat('0b', 16), 'hex') WHERE destroyed = 0",
                                "UPDATE subject_keys SET wrapped = NULL WHERE destroyed = 0"}) {
        pqxx::work t(direct);
        CHECK_THROWS_AS(t.exec(attempt), pqxx::sql_error);
    }
}

TEST_CASE("keys are wrapped anew in pieces; a failure leaves its piece as it was") {
    Kept k;
    REQUIRE(k.store->add({key(1, 10), key(2, 20), key(3, 30)}).ok());
    REQUIRE(k.store->erase(who(30), k.audit).ok());
    const auto refuse = [](const ports::StoredKey&) -> Result<std::string> { return Error{Errc::unavailable, "no such key", {}}; };
    CHECK(k.store->rewrap("kek-2", 10, refuse).error().code == Errc::unavailable);
    const auto anew = [](const ports::StoredKey& old) -> Result<std::string> { return old.wrapped + "+"; };
    CHECK(k.store->rewrap("kek-2", 1, anew).value() == 1);
    CHECK(k.store->rewrap("kek-2", 10, anew).value() == 1);
    CHECK(k.store->rewrap("kek-2", 10, anew).value() == 0);
    const auto kept = k.store->of_subjects({who(10), who(20)});
    REQUIRE(kept->size() == 2);
    for (const auto& got : *kept) {
        CHECK(got.wrapped_under == "kek-2");
        CHECK(got.wrapped == key(1, 10).wrapped + "+");
    }
}
