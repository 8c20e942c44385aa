// What the author of a policy reads: all mistakes in one answer, and the findings in the API's form.
#include "server/app/policy_check.h"

#include <doctest/doctest.h>

#include "policy/document_model.h"

namespace {

using namespace licet;
using nlohmann::json;

json policy_of(json permissions) {
    return {{"@context", "http://www.w3.org/ns/odrl.jsonld"},   {"@type", "Set"},         {"uid", "urn:example:1"},
            {"profile", "https://licet.dev/ns/odrl-profile/1"}, {"conflict", "prohibit"}, {"permission", std::move(permissions)}};
}
const json kOpen{{"uid", "r"}, {"target", "urn:licet:product:orders"}, {"action", "use"}};

}  // namespace

TEST_CASE("policy mistakes: the first has the pointer, the detail lists the others") {
    json document = policy_of(json::array({kOpen}));
    document["@type"] = "Offer";
    document["permission"][0]["action"] = "admire";
    const auto error = app::policy_mistakes(policy::check_policy(document, *policy::builtin_vocabulary()));
    CHECK(error.code == Errc::invalid_document);
    CHECK(error.pointer == "/document/@type");
    CHECK(error.detail.find("an Offer binds nobody") != std::string::npos);
    CHECK(error.detail.find("; and at /document/permission/0/action: expected") != std::string::npos);
}

TEST_CASE("policy findings: beside the contracts, parties, policies and mappings of a configuration") {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto found = [&](const ports::Configuration& configuration, const char* name = "draft") {
        const auto parsed = policy::parse_policy(policy_of(json::array({kOpen})), *vocabulary);
        REQUIRE(parsed.ok());
        return app::policy_findings(**parsed, name, configuration, vocabulary);
    };
    ports::Configuration configuration;
    json findings = found(configuration);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].at("kind") == "unreachable");
    CHECK(findings[0].at("rule") == "r");
    CHECK(findings[0].at("pointer") == "/document/permission/0");

    ports::Party party;
    party.name = "partner";
    configuration.parties.push_back(party);
    ports::Contract contract;
    contract.name = contract.party = "partner";
    contract.products = {"orders"};
    configuration.contracts.push_back(contract);
    CHECK(found(configuration).empty());

    json closed = policy_of(json::array());
    closed.erase("permission");
    closed["prohibition"] = json::array({kOpen});
    ports::PolicyRow row;
    row.name = "closed";
    row.version = 3;
    row.document = closed;
    configuration.active_policies.push_back(row);
    findings = found(configuration);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].at("kind") == "shadowed");
    CHECK(findings[0].at("by") == json{{"policy", "closed"}, {"rule", "r"}});
    // The version it would replace does not count.
    CHECK(found(configuration, "closed").empty());
}
