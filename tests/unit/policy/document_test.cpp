// Documents at and past their limits, and the whole list of what is wrong with one.
#include "base/limits.h"
#include "policy/document_model.h"
#include "tests/unit/policy/count_allocations.h"
#include "tests/unit/policy/fixture.h"

namespace {

using namespace licet;
using namespace licet::testing;

json document_of(json permissions) {
    return {{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
            {"@type", "Set"},
            {"uid", "urn:example:1"},
            {"profile", "https://licet.dev/ns/odrl-profile/1"},
            {"conflict", "prohibit"},
            {"permission", std::move(permissions)}};
}
// "" when accepted, else the first mistake's pointer.
std::string refused(const json& document) {
    const auto check = policy::check_policy(document, *policy::builtin_vocabulary());
    if (check.document != nullptr) return "";
    REQUIRE_FALSE(check.mistakes.empty());
    return check.mistakes[0].pointer.empty() ? "(document)" : check.mistakes[0].pointer;
}
json repeated(const json& item, std::size_t times) { return json(times, item); }
json numbered_rules(std::size_t count) {
    json out = json::array();
    for (std::size_t i = 0; i < count; ++i) out.push_back(rule(("r" + std::to_string(i)).c_str()));
    return out;
}
const json kLeaf = constraint("licet:classification", "eq", "a");

}  // namespace

TEST_CASE("documents: every limit holds exactly") {
    CHECK(refused(document_of(numbered_rules(limits::policy_rules_max))) == "");
    CHECK(refused(document_of(numbered_rules(limits::policy_rules_max + 1))) == "/permission");

    CHECK(refused(document_of(json::array({rule("r", repeated(kLeaf, limits::policy_constraint_nodes_max))}))) == "");
    CHECK(refused(document_of(json::array({rule("r", repeated(kLeaf, limits::policy_constraint_nodes_max + 1))}))) ==
          "/permission/0/constraint/" + std::to_string(limits::policy_constraint_nodes_max));
    // Refinements count too.
    auto refined = rule("r", repeated(kLeaf, limits::policy_constraint_nodes_max));
    refined["target"] = {{"@type", "AssetCollection"}, {"source", "urn:licet:products"}, {"refinement", {kLeaf}}};
    CHECK(refused(document_of(json::array({refined}))) != "");

    json deep = kLeaf;
    for (std::size_t i = 1; i < limits::policy_constraint_depth_max; ++i) deep = {{"and", {deep}}};
    CHECK(refused(document_of(json::array({rule("r", json::array({deep}))}))) == "");
    CHECK(refused(document_of(json::array({rule("r", json::array({json{{"and", {deep}}}}))}))) != "");

    const auto listed = [](std::size_t n) {
        return document_of(json::array({rule("r", json::array({constraint("licet:classification", "isAnyOf", repeated("a", n))}))}));
    };
    CHECK(refused(listed(limits::policy_list_max)) == "");
    CHECK(refused(listed(limits::policy_list_max + 1)) == "/permission/0/constraint/0/rightOperand");
    const auto targeted = [](std::size_t n) {
        auto r = rule("r");
        r["target"] = repeated("urn:licet:product:orders", n);
        r["assignee"] = repeated("urn:licet:party:partner", n);
        r["action"] = repeated("use", n);
        return document_of(json::array({r}));
    };
    CHECK(refused(targeted(limits::policy_list_max)) == "");
    CHECK(refused(targeted(limits::policy_list_max + 1)) == "/permission/0/target");

    auto large = document_of(json::array({rule("r")}));
    const std::size_t rest = large.dump().size() + std::string(R"(,"dct:title":"")").size();
    large["dct:title"] = std::string(limits::policy_document_max_bytes - rest, 'x');
    CHECK(refused(large) == "");
    large["dct:title"] = std::string(limits::policy_document_max_bytes - rest + 1, 'x');
    CHECK(refused(large) == "(document)");
}

TEST_CASE("documents: every mistake is listed, in the order of the document, and no more than the limit") {
    auto document =
        document_of(json::array({rule("r", json::array({constraint("purpose", "isA", "dpv:Fun"), constraint("shoeSize", "eq", "44")})), 7}));
    document["@type"] = "Offer";
    document["conflict"] = "perm";
    document["colour"] = "red";
    document["permission"][0]["action"] = "admire";
    const auto check = policy::check_policy(document, *policy::builtin_vocabulary());
    CHECK(check.document == nullptr);
    std::vector<std::string> pointers;
    for (const auto& m : check.mistakes) pointers.push_back(m.pointer);
    CHECK(pointers == std::vector<std::string>{"/colour", "/@type", "/conflict", "/permission/0/action", "/permission/0/constraint/0/rightOperand",
                                               "/permission/0/constraint/1/leftOperand", "/permission/1"});
    CHECK(policy::parse_policy(document, *policy::builtin_vocabulary()).error().pointer == "/colour");

    const auto many = policy::check_policy(document_of(repeated(7, 200)), *policy::builtin_vocabulary());
    CHECK(many.mistakes.size() == limits::policy_mistakes_max);
}

TEST_CASE("documents: an Agreement is read as one") {
    auto document = document_of(json::array({rule("r")}));
    document["@type"] = "Agreement";
    document["assigner"] = "urn:licet:party:publisher";
    document["assignee"] = "urn:licet:party:partner";
    const auto parsed = policy::parse_policy(document, *policy::builtin_vocabulary());
    REQUIRE(parsed.ok());
    CHECK((*parsed)->agreement);
    CHECK((*parsed)->rules[0].assignee_parties == std::vector<std::string>{"partner"});
    CHECK((*parsed)->rules[0].pointer == "/permission/0");
}

TEST_CASE("a memo keeps apart what a moment, a type or a source tells apart, without allocating once warm") {
    const auto mapping = mapping_of(json::array());
    const json until = json::array({constraint("dateTime", "lt", "2026-06-01"), constraint("licet:eventTime", "gteq", "2020-01-01"),
                                    constraint("licet:eventType", "isPartOf", "org.a"), constraint("licet:eventSource", "neq", "/b")});
    View view(entitlement(), {policy_of("p", json::array({rule("r", until)}))}, {mapping});
    const UtcMillis before = parse_date("2026-05-31").value(), after = parse_date("2026-06-01").value();
    EventText e;
    e.license = "CC0-1.0";
    e.data = "{}";
    e.time = parse_date("2020-01-01").value();
    e.type = "org.a.long.enough.to.leave.the.small.buffer";
    const auto deliver = [&](UtcMillis now) {
        const auto record = make_record(*mapping, e);
        const auto stored = event::StoredEvent::parse(record).value();
        bool out = false;
        for (int i = 0; i < 3; ++i) out = view.decider->decide(stored, now).deliver;
        const std::size_t allocated = allocations();
        out = view.decider->decide(stored, now).deliver;
        CHECK(allocations() == allocated);
        return out;
    };
    CHECK(deliver(before));
    CHECK_FALSE(deliver(after));
    CHECK(deliver(before));
    e.time = {e.time.value - 1};
    CHECK_FALSE(deliver(before));
    e.time = {e.time.value + 1};
    e.type = "org.b";
    CHECK_FALSE(deliver(before));
    e.type = "org.a";
    e.source = "/b";
    CHECK_FALSE(deliver(before));
    e.source = "/c";
    CHECK(deliver(before));
}
