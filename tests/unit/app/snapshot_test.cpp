// What an epoch does not touch is not compiled again: the programs of a snapshot built after another are the very same ones wherever a contract's
// terms, its party, its product and the policies that concern it did not change.
#include "server/app/snapshot.h"

#include "tests/support/prices.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

json document_of(const char* name, const char* target, const char* purpose) {
    return {
        {"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
        {"@type", "Set"},
        {"uid", std::string("urn:licet:policy:") + name},
        {"profile", "https://licet.dev/ns/odrl-profile/1"},
        {"conflict", "prohibit"},
        {"permission",
         {{{"target", target}, {"action", "use"}, {"constraint", {{{"leftOperand", "purpose"}, {"operator", "isA"}, {"rightOperand", purpose}}}}}}}};
}

ports::Product product(std::uint32_t no, const char* name) {
    return {
        {no},    name,
        name,    "owner",
        "owner", "",
        1,       {json::parse(R"({"attributes": {"id": {"digest": true}, "source": {"constant": "/t"}, "type": {"constant": "t"}}, "fields": []})")}};
}

ports::Contract contract(std::uint32_t no, const char* name, const char* party, std::vector<std::string> products) {
    ports::Contract c;
    c.no = {no};
    c.name = name;
    c.party = party;
    c.products = std::move(products);
    c.purposes = {"dpv:ResearchAndDevelopment"};
    c.pseudonym_scope = "contract";
    return c;
}

// Two products with a policy each, a lab that reads both and a press that reads one.
ports::Configuration world() {
    ports::Configuration c;
    c.epochs.global = 1;
    c.products = {product(1, "news"), product(2, "edits")};
    c.parties = {{"lab", "Lab", "DE", {}, {}}, {"press", "Press", "FR", {}, {}}};
    c.contracts = {contract(1, "lab-2026", "lab", {"news", "edits"}), contract(2, "press-2026", "press", {"news"})};
    c.active_policies = {{"edits", 1, "active", document_of("edits", "urn:licet:product:edits", "dpv:ResearchAndDevelopment")},
                         {"news", 1, "active", document_of("news", "urn:licet:product:news", "dpv:ResearchAndDevelopment")}};
    return c;
}

std::shared_ptr<const app::Snapshot> build(const ports::Configuration& c, const app::Snapshot* previous = nullptr) {
    static const auto consents = std::make_shared<policy::ConsentIndex>();
    static const auto vocabulary = policy::builtin_vocabulary();
    return app::build_snapshot(c, "eu", consents, vocabulary, previous);
}

// Which of the three programs were taken over: "lab/news lab/edits press/news".
std::string kept(const app::Snapshot& before, const app::Snapshot& after) {
    std::string out;
    const auto look = [&](std::uint32_t c, std::uint32_t p, const char* name) {
        const auto a = before.program({c}, {p}), b = after.program({c}, {p});
        REQUIRE(b.ok());
        if (a.ok() && *a == *b) out += std::string(out.empty() ? "" : " ") + name;
    };
    look(1, 1, "lab/news");
    look(1, 2, "lab/edits");
    look(2, 1, "press/news");
    return out;
}

constexpr const char* kAll = "lab/news lab/edits press/news";

}  // namespace

TEST_CASE("a snapshot takes over every program when nothing that decides changed") {
    auto c = world();
    const auto before = build(c);
    c.epochs.global = 2;
    c.regions = {{"us", "https://127.0.0.1:1"}};
    c.clients = {{"someone", "lab", "", "", {}, {}, false, {}}};
    c.products[0].title = "Another title";
    c.contracts[0].prices = flat_prices("EUR", "2", "0");
    c.contracts[1].state = ports::ContractState::suspended;
    const auto after = build(c, before.get());
    CHECK(after->epoch.value == 2);
    CHECK(kept(*before, *after) == kAll);
    CHECK(after->product("news")->product.title == "Another title");
    CHECK(after->contract("press-2026")->state == ports::ContractState::suspended);
    // And without the one before nothing is.
    CHECK(kept(*before, *build(c)).empty());
}

TEST_CASE("a policy compiles again the contracts it concerns, and only these") {
    auto c = world();
    const auto before = build(c);
    auto changed = c;
    changed.active_policies[1] = {"news", 2, "active", document_of("news", "urn:licet:product:news", "dpv:Marketing")};
    auto after = build(changed, before.get());
    CHECK(kept(*before, *after) == "lab/edits");
    CHECK((*after->program({2}, {1}))->rules()[0].policy_version == 2);
    changed = c;
    changed.active_policies.pop_back();
    after = build(changed, before.get());
    CHECK(kept(*before, *after) == "lab/edits");
    CHECK((*after->program({2}, {1}))->rules().empty());
    changed = c;
    auto only_press = document_of("press", "urn:licet:product:news", "dpv:Marketing");
    only_press["permission"][0]["assignee"] = "urn:licet:party:press";
    changed.active_policies.push_back({"press", 1, "active", only_press});
    after = build(changed, before.get());
    CHECK(kept(*before, *after) == "lab/news lab/edits");
    CHECK((*after->program({2}, {1}))->rules().size() == 2);
    // One for every product concerns everybody.
    auto all = document_of("all", "", "dpv:Marketing");
    all["permission"][0]["target"] = {{"@type", "AssetCollection"}, {"source", "urn:licet:products"}};
    changed = c;
    changed.active_policies.push_back({"all", 1, "active", all});
    CHECK(kept(*before, *build(changed, before.get())).empty());
}

TEST_CASE("a contract, a party or a mapping compiles again what it is an input of") {
    auto c = world();
    const auto before = build(c);
    auto changed = c;
    changed.contracts[0].purposes = {"dpv:AcademicResearch"};
    CHECK(kept(*before, *build(changed, before.get())) == "press/news");
    changed = c;
    changed.contracts[1].transfer_tools = {"eu-gdpr:A46-2-c"};
    CHECK(kept(*before, *build(changed, before.get())) == "lab/news lab/edits");
    changed = c;
    changed.parties[0].country = "BR";
    CHECK(kept(*before, *build(changed, before.get())) == "press/news");
    changed = c;
    changed.products[1].mapping_version = 2;
    changed.products[1].mappings.push_back(changed.products[1].mappings[0]);
    CHECK(kept(*before, *build(changed, before.get())) == "lab/news press/news");
    // Another product under an old number and name is another product.
    changed = c;
    changed.products[1].no = {7};
    const auto after = build(changed, before.get());
    CHECK(after->program({1}, {7}).ok());
    CHECK_FALSE(after->program({1}, {2}).ok());
}

TEST_CASE("an own licence compiles everything again") {
    auto c = world();
    c.licences = {{"house", "House", 1, {"Reproduction", "Distribution"}, {}, {}}};
    const auto before = build(c);
    CHECK(kept(*before, *build(c, before.get())) == kAll);
    auto changed = c;
    changed.licences[0].version = 2;
    changed.licences[0].prohibits = {"CommercialUse"};
    CHECK(kept(*before, *build(changed, before.get())).empty());
}

TEST_CASE("nothing is kept of what could not be compiled, and nothing is compiled under a policy that cannot be read") {
    auto c = world();
    const auto before = build(c);
    auto broken = c;
    broken.active_policies.push_back({"odd", 1, "active", json{{"@type", "Offer"}}});
    const auto withheld = build(broken, before.get());
    CHECK_FALSE(withheld->program({1}, {1}).ok());
    CHECK_FALSE(withheld->program({2}, {1}).ok());
    const auto after = build(c, withheld.get());
    CHECK(after->program({1}, {1}).ok());
    CHECK(kept(*withheld, *after).empty());
    // A party that is not there, and then is.
    auto orphan = c;
    orphan.parties.pop_back();
    const auto without = build(orphan, before.get());
    CHECK_FALSE(without->program({2}, {1}).ok());
    CHECK(without->program({1}, {1}).ok());
    CHECK(kept(*without, *build(c, without.get())) == "lab/news lab/edits");
}

TEST_CASE("a shadow is compiled for whom it concerns and leaves the active programs alone") {
    auto c = world();
    const auto before = build(c);
    c.shadow_policies = {{"news", 2, "shadow", document_of("news", "urn:licet:product:news", "dpv:Marketing")}};
    const auto first = build(c, before.get());
    CHECK(kept(*before, *first) == kAll);
    REQUIRE(first->rights({2}, {1}).ok());
    const auto shadow = first->rights({2}, {1})->shadow;
    REQUIRE(shadow != nullptr);
    CHECK(shadow->rules()[0].policy_version == 2);
    const auto again = build(c, first.get());
    CHECK(again->rights({2}, {1})->shadow == shadow);
    // What was a shadow becomes active: the rules that then decide are its own.
    c.active_policies[1] = c.shadow_policies[0];
    c.shadow_policies.clear();
    const auto active = build(c, again.get());
    CHECK(kept(*again, *active) == "lab/edits");
    CHECK((*active->program({2}, {1}))->rules()[0].policy_version == 2);
    CHECK(active->rights({2}, {1})->shadow == nullptr);
}

TEST_CASE("a draft without a version is never taken for another draft") {
    auto c = world();
    c.active_policies[1] = {"news", 0, "", document_of("news", "urn:licet:product:news", "dpv:ResearchAndDevelopment")};
    const auto before = build(c);
    c.active_policies[1].document = document_of("news", "urn:licet:product:news", "dpv:Marketing");
    CHECK(kept(*before, *build(c, before.get())) == "lab/edits");
}
