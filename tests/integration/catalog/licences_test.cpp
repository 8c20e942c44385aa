// Licences of an organisation's own on a real PostgreSQL, under the role a node serves under.
#include "base/limits.h"
#include "tests/integration/database.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

TEST_CASE("catalog: a licence that says something else is a new version, and each put an epoch") {
    Database database;
    const auto catalog = catalog_of(database.serving_dsn(), std::make_shared<TestClock>());
    const ports::AuditEntry audit{"ada", "licence.put", "house", json::object()};
    const ports::Licence house{"house", "Hausrecht \"à\" \\", 0, {"Reproduction", "Distribution"}, {"Attribution"}, {"TrainAI"}};
    const auto first = catalog->put_licence(house, audit);
    REQUIRE(first.ok());
    CHECK(first->number == 1);
    const auto same = catalog->put_licence(house, audit);
    REQUIRE(same.ok());
    CHECK(same->number == 1);
    CHECK(same->epoch.value == first->epoch.value + 1);
    auto stricter = house;
    stricter.permits = {"Reproduction"};
    CHECK(catalog->put_licence(stricter, audit)->number == 2);
    CHECK(catalog->put_licence({"other", "Other", 0, {}, {}, {}}, audit)->number == 1);

    const auto read = catalog->configuration();
    REQUIRE(read.ok());
    REQUIRE(read->licences.size() == 2);
    const auto& l = read->licences.front();
    CHECK(l.name == "house");
    CHECK(l.title == house.title);
    CHECK(l.version == 2);
    CHECK(l.permits == stricter.permits);
    CHECK(l.requires_ == house.requires_);
    CHECK(l.prohibits == house.prohibits);
    CHECK(audit_of(database.serving_dsn())->lines(0, 100)->size() == 4);
}

TEST_CASE("catalog: licences are bounded") {
    Database database;
    const auto catalog = catalog_of(database.serving_dsn(), std::make_shared<TestClock>());
    const ports::AuditEntry audit{"ada", "licence.put", "x", json::object()};
    for (std::size_t i = 0; i < limits::own_licences_max; ++i)
        REQUIRE(catalog->put_licence({"l" + std::to_string(i), "L", 0, {}, {}, {}}, audit).ok());
    const auto past = catalog->put_licence({"one-more", "L", 0, {}, {}, {}}, audit);
    REQUIRE_FALSE(past.ok());
    CHECK(past.error().code == Errc::conflict);
    CHECK(catalog->put_licence({"l0", "Changed", 0, {}, {}, {}}, audit).ok());
}
