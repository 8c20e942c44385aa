// What an examination says of a policy, and what it must not say.
#include "policy/findings.h"

#include <chrono>

#include "base/limits.h"
#include "policy/document_model.h"
#include "tests/unit/policy/fixture.h"

namespace {

using namespace licet;
using namespace licet::testing;
using policy::FindingKind;

struct Desk {
    std::vector<policy::PolicyVersion> active;
    std::vector<policy::Entitlement> contracts;
    std::vector<policy::FindingContext::ProductMapping> mappings;
    bool contracts_known = false;

    std::vector<policy::Finding> examine(json permissions, json prohibitions = json::array()) const {
        policy::FindingContext context;
        context.active = active;
        context.contracts = contracts;
        context.contracts_known = contracts_known;
        context.mappings = mappings;
        return policy::examine(*policy_of("draft", std::move(permissions), std::move(prohibitions)).document, context, policy::builtin_vocabulary());
    }
};
json all(json::initializer_list_t constraints) { return json(constraints, false, json::value_t::array); }
std::string kinds(const std::vector<policy::Finding>& findings) {
    std::string out;
    for (const auto& f : findings) out += (out.empty() ? "" : " ") + f.rule + ":" + std::string(policy::finding_name(f.kind));
    return out;
}
const json kMarketing = constraint("purpose", "isA", "dpv:Marketing");
const json kResearch = constraint("purpose", "isA", "dpv:ResearchAndDevelopment");

}  // namespace

TEST_CASE("findings: constraints that contradict each other never apply") {
    const Desk desk;
    const auto of = [&](json constraints) { return kinds(desk.examine(json::array({rule("r", std::move(constraints))}))); };
    const auto place = [](const char* op, json right) { return constraint("spatial", op, std::move(right)); };
    const auto time = [](const char* left, const char* op, const char* right) { return constraint(left, op, right); };
    for (const json& contradiction : {
             all({constraint("licet:classification", "eq", "public"), constraint("licet:classification", "eq", "secret")}),
             all({constraint("licet:classification", "eq", "public"), constraint("licet:classification", "neq", "public")}),
             all({kMarketing, constraint("purpose", "neq", "dpv:Marketing")}),
             all({constraint("purpose", "isA", "dpv:Advertising"), constraint("purpose", "isNoneOf", json::array({"dpv:Marketing"}))}),
             all({place("eq", "US"), place("isPartOf", "EEA")}),
             all({place("isAnyOf", json::array({"DE", "FR"})), place("isNoneOf", json::array({"DE", "FR"}))}),
             all({time("dateTime", "lt", "2026-01-01"), time("dateTime", "gteq", "2026-01-01")}),
             all({time("licet:eventTime", "gt", "2026-06-30"), time("licet:eventTime", "lteq", "2026-06-30")}),
             all({constraint("licet:consent", "eq", "valid"), constraint("licet:consent", "neq", "valid")}),
             all({constraint("licet:licence", "eq", "CC0-1.0"), constraint("licet:licence", "isAnyOf", json::array({"CC-BY-4.0"}))}),
             all({constraint("licet:category", "isAllOf", json::array({"pd:Name", "pd:Health"})), constraint("licet:category", "neq", "pd:Health")}),
             all({constraint("recipient", "eq", "urn:licet:party:a"), constraint("recipient", "eq", "urn:licet:party:b")}),
             all({constraint("licet:eventType", "isPartOf", "org.a"), constraint("licet:eventType", "eq", "org.b.c")}),
             all({constraint("licet:eventSource", "isPartOf", "/a"), constraint("licet:eventSource", "isPartOf", "/b")}),
             all({{{"or", {constraint("licet:classification", "eq", "a"), constraint("licet:classification", "eq", "b")}}},
                  constraint("licet:classification", "eq", "c")}),
             all({{{"xone", {constraint("licet:classification", "eq", "a"), constraint("licet:classification", "isAnyOf", json::array({"a"}))}}}}),
             all({{{"and", {kMarketing, {{"or", {constraint("purpose", "neq", "dpv:Marketing")}}}}}}}),
         }) {
        CAPTURE(contradiction.dump());
        CHECK(of(contradiction) == "r:never_applies");
    }
    for (const json& possible : {
             all({kMarketing, constraint("purpose", "neq", "dpv:Advertising")}),
             all({place("eq", "DE"), place("isPartOf", "EEA")}),
             all({place("eq", "GB"), place("isPartOf", "EEA")}),  // it was one
             all({place("neq", "US"), place("neq", "DE"), place("isPartOf", "EEA")}),
             all({time("dateTime", "gteq", "2026-01-01"), time("dateTime", "lteq", "2026-01-01")}),
             all({time("dateTime", "lt", "2026-01-01"), time("licet:eventTime", "gteq", "2026-01-01")}),  // two operands
             all({constraint("licet:category", "eq", "pd:Name"), constraint("licet:category", "eq", "pd:Health")}),
             all({constraint("recipient", "isPartOf", "urn:licet:collection:a"), constraint("recipient", "isPartOf", "urn:licet:collection:b")}),
             all({constraint("licet:eventType", "isPartOf", "org.a"), constraint("licet:eventType", "neq", "org.a")}),
             all({{{"xone", {constraint("licet:classification", "eq", "a"), constraint("licet:classification", "eq", "b")}}}}),
             json::array(),
         }) {
        CAPTURE(possible.dump());
        CHECK(of(possible) == "");
    }
}

TEST_CASE("findings: a prohibition that contradicts itself, and a rule of an action no contract asks for") {
    const Desk desk;
    const json both = all({constraint("licet:classification", "eq", "a"), constraint("licet:classification", "eq", "b")});
    const auto found = desk.examine(json::array({rule("r")}), json::array({rule("no", both)}));
    REQUIRE(kinds(found) == "no:never_applies");
    CHECK(found[0].pointer == "/prohibition/0");
    CHECK(found[0].detail.find("unknown") != std::string::npos);
    auto printing = rule("r");
    printing["action"] = "print";
    CHECK(kinds(desk.examine(json::array({printing}))) == "r:never_applies");
}

TEST_CASE("findings: a permission a prohibition takes back whenever it applies") {
    Desk desk;
    const auto of = [&](json yes, json no) {
        return desk.examine(json::array({rule("r", std::move(yes))}), json::array({rule("no", std::move(no))}));
    };
    const auto found = of(json::array(), json::array());
    REQUIRE(kinds(found) == "r:shadowed");
    CHECK(found[0].other_rule == "no");
    CHECK(found[0].other_policy == "");
    CHECK(kinds(of(json::array({constraint("purpose", "isA", "dpv:Advertising")}), json::array({kMarketing}))) == "r:shadowed");
    // Above: the prohibition of a part hits the whole.
    CHECK(kinds(of(json::array({constraint("purpose", "eq", "dpv:Marketing"), constraint("purpose", "isNoneOf", json::array({"dpv:Advertising"}))}),
                   json::array({constraint("purpose", "isA", "dpv:Advertising")}))) == "");
    CHECK(kinds(of(json::array({kResearch}), json::array({kMarketing}))) == "");
    CHECK(kinds(of(json::array({kMarketing}), json::array({kMarketing, constraint("spatial", "eq", "DE")}))) == "");
    CHECK(kinds(of(json::array({constraint("spatial", "eq", "DE")}), json::array({constraint("spatial", "isPartOf", "EEA")}))) == "r:shadowed");
    // It left: an event of today passes.
    CHECK(kinds(of(json::array({constraint("spatial", "eq", "GB")}), json::array({constraint("spatial", "isPartOf", "EEA")}))) == "");
    CHECK(kinds(of(json::array({constraint("spatial", "eq", "DE")}), json::array({constraint("spatial", "isAnyOf", json::array({"DE", "FR"}))}))) ==
          "r:shadowed");

    // Of another policy; and only where it is about the same.
    desk.active = {policy_of("closed", json::array(), json::array({rule("shut")}))};
    auto beside = desk.examine(json::array({rule("r")}));
    REQUIRE(kinds(beside) == "r:shadowed");
    CHECK(beside[0].other_policy == "closed");
    auto elsewhere = rule("shut"), of_one = rule("shut"), mine = rule("r");
    elsewhere["target"] = "urn:licet:product:payments";
    desk.active = {policy_of("closed", json::array(), json::array({elsewhere}))};
    CHECK(kinds(desk.examine(json::array({rule("r")}))) == "");
    of_one["assignee"] = "urn:licet:party:partner";
    desk.active = {policy_of("closed", json::array(), json::array({of_one}))};
    CHECK(kinds(desk.examine(json::array({rule("r")}))) == "");
    mine["assignee"] = "urn:licet:party:partner";
    CHECK(kinds(desk.examine(json::array({mine}))) == "r:shadowed");
}

TEST_CASE("findings: transforms that withhold because neither is the stricter") {
    Desk desk;
    const auto replaced = [](const char* selector, const char* value, const char* by) {
        return json::array({transform("replace", selector, value, {{"licet:replacement", by}})});
    };
    const auto of = [&](json a, json b, json when_a = json::array(), json when_b = json::array()) {
        return desk.examine(json::array({rule("a", std::move(when_a), std::move(a)), rule("b", std::move(when_b), std::move(b))}));
    };
    const auto found = of(replaced("licet:pointer", "/name", "x"), replaced("licet:pointer", "/name", "y"));
    REQUIRE(kinds(found) == "a:conflicting_transforms");
    CHECK(found[0].other_rule == "b");
    CHECK(found[0].detail.find("/name") != std::string::npos);
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), replaced("licet:pointer", "/name", "x"))) == "");
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), replaced("licet:pointer", "/ip", "y"))) == "");
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), json::array({transform("redact", "licet:pointer", "/name")}))) == "");
    // Not where both cannot apply together.
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), replaced("licet:pointer", "/name", "y"),
                   json::array({constraint("licet:classification", "eq", "a")}), json::array({constraint("licet:classification", "eq", "b")}))) ==
          "");
    // Two ways to one field show only beside its mapping.
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), replaced("licet:category", "pd:Name", "y"))) == "");
    desk.mappings = {{"orders", mapping_of(json::array({{{"pointer", "/name"}, {"category", "pd:Name"}, {"infoType", "PERSON_NAME"}}}))}};
    CHECK(kinds(of(replaced("licet:pointer", "/name", "x"), replaced("licet:category", "pd:Name", "y"))) == "a:conflicting_transforms");
    // One rule alone can do it, and one of another policy.
    json twice = replaced("licet:pointer", "/name", "x");
    twice.push_back(replaced("licet:infoType", "PERSON_NAME", "y")[0]);
    CHECK(kinds(desk.examine(json::array({rule("a", json::array(), twice)}))) == "a:conflicting_transforms");
    desk.active = {policy_of("other", json::array({rule("b", json::array(), replaced("licet:pointer", "/name", "y"))}))};
    const auto beside = desk.examine(json::array({rule("a", json::array(), replaced("licet:pointer", "/name", "x"))}));
    REQUIRE(kinds(beside) == "a:conflicting_transforms");
    CHECK(beside[0].other_policy == "other");
}

TEST_CASE("findings: a permission no contract reaches") {
    Desk desk;
    const json research = json::array({rule("r", json::array({kResearch}))});
    CHECK(kinds(desk.examine(research)) == "");  // contracts were not looked at
    desk.contracts_known = true;
    CHECK(kinds(desk.examine(research)) == "r:unreachable");
    auto who = entitlement();
    desk.contracts = {who};  // for service optimisation
    CHECK(kinds(desk.examine(research)) == "r:unreachable");
    who.purposes.push_back("dpv:AcademicResearch");
    desk.contracts.push_back(who);
    CHECK(kinds(desk.examine(research)) == "");
    const auto of = [&](json constraints) { return kinds(desk.examine(json::array({rule("r", std::move(constraints))}))); };
    CHECK(of(json::array({constraint("licet:recipientCountry", "isPartOf", "EEA")})) == "");
    CHECK(of(json::array({constraint("licet:recipientCountry", "eq", "US")})) == "r:unreachable");
    CHECK(of(json::array({constraint("recipient", "eq", "urn:licet:party:partner")})) == "");
    CHECK(of(json::array({constraint("recipient", "isPartOf", "urn:licet:collection:universities")})) == "r:unreachable");
    auto other = rule("r");
    other["assignee"] = "urn:licet:party:rival";
    CHECK(kinds(desk.examine(json::array({other}))) == "r:unreachable");
    // A contract that states no purpose meets no permission that asks for one.
    desk.contracts[0].purposes.clear();
    desk.contracts.pop_back();
    CHECK(kinds(desk.examine(research)) == "r:unreachable");
    CHECK(kinds(desk.examine(json::array({rule("r")}))) == "");
}

TEST_CASE("findings: an examination ends, and says when it did not see all") {
    Desk desk;
    json rules = json::array();
    for (std::size_t i = 0; i < 40; ++i) {
        json choices = json::array();
        for (int k = 0; k < 12; ++k) {
            json pair = json::array();
            for (int n = 0; n < 3; ++n) pair.push_back(constraint("licet:classification", "eq", "c" + std::to_string(k * 3 + n)));
            choices.push_back({{"or", pair}});
        }
        rules.push_back(rule(("r" + std::to_string(i)).c_str(), choices, json::array({transform("cryptoHash", "licet:pointer", "/x")})));
    }
    const auto start = std::chrono::steady_clock::now();
    const auto found = desk.examine(rules);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
    REQUIRE_FALSE(found.empty());
    CHECK(found.size() <= limits::policy_findings_max + 1);
}
