// Licences of an organisation's own: what is refused with which pointer, and that snapshots decide by them.
#include "server/app/licences.h"

#include "server/app/snapshot.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;
using policy::Act;
using policy::has;

namespace {

std::string refusal(const ports::Licence& licence) {
    const auto read = app::own_licence(licence);
    return read.ok() ? "accepted" : read.error().pointer;
}

std::shared_ptr<const app::Snapshot> snapshot(std::vector<ports::Licence> licences) {
    ports::Configuration configuration;
    configuration.licences = std::move(licences);
    return app::build_snapshot(configuration, "eu", std::make_shared<policy::ConsentIndex>(), policy::builtin_vocabulary());
}

}  // namespace

TEST_CASE("own licences: acts where they belong, once each, and never both ways") {
    CHECK(refusal({"a", "A", 1, {"Reproduction", "Distribution"}, {"Attribution"}, {"TrainAI"}}) == "accepted");
    CHECK(refusal({"a", "A", 1, {}, {}, {}}) == "accepted");
    CHECK(refusal({"a", "A", 1, {"Reproduction", "Attribution"}, {}, {}}) == "/permits/1");
    CHECK(refusal({"a", "A", 1, {"reproduction"}, {}, {}}) == "/permits/0");
    CHECK(refusal({"a", "A", 1, {}, {"Search"}, {}}) == "/requires/0");
    CHECK(refusal({"a", "A", 1, {}, {}, {"CommercialUse", "ShareAlike"}}) == "/prohibits/1");
    CHECK(refusal({"a", "A", 1, {"Search", "Search"}, {}, {}}) == "/permits/1");
    CHECK(refusal({"a", "A", 1, {"Search", "TrainAI"}, {}, {"CommercialUse", "TrainAI"}}) == "/prohibits/1");
    const auto read = app::own_licence({"house", "", 3, {"Reproduction", "TrainAI"}, {"Notice"}, {"Distribution"}});
    REQUIRE(read.ok());
    CHECK(read->name == "house");
    CHECK(has(read->permits, Act::ai_training));
    CHECK_FALSE(has(read->permits, Act::distribution));
    CHECK(has(read->requires_, Act::notice));
    CHECK(has(read->prohibits, Act::distribution));
}

TEST_CASE("own licences: names as SPDX spells what follows LicenseRef-") {
    for (const char* good : {"a", "house-1.0", "0"}) CHECK_MESSAGE(app::valid_licence_name(good), good);
    for (const char* bad : {"", "a_b", "House", "-a", "a b", "a/b"}) CHECK_FALSE_MESSAGE(app::valid_licence_name(bad), bad);
}

TEST_CASE("own licences: a snapshot knows them, and one that cannot be read is unknown") {
    const auto none = snapshot({});
    CHECK(none->vocabulary()->licence("LicenseRef-house") == nullptr);
    const auto one = snapshot({{"house", "House", 1, {"Reproduction"}, {}, {}}, {"odd", "From a later version", 1, {"Levitation"}, {}, {}}});
    REQUIRE(one->vocabulary()->licence("LicenseRef-house") != nullptr);
    CHECK(has(one->vocabulary()->licence("LicenseRef-house")->permits, Act::reproduction));
    CHECK(one->vocabulary()->licence("LicenseRef-odd") == nullptr);
    const auto changed = snapshot({{"house", "House", 2, {}, {}, {}}, {"odd", "From a later version", 1, {"Levitation"}, {}, {}}});
    CHECK(changed->vocabulary()->licence_revision() != one->vocabulary()->licence_revision());
    CHECK(one->vocabulary()->licence_revision() != none->vocabulary()->licence_revision());
}
