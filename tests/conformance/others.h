// What the tests of other people's policies share: where they lie, which of them are outside the profile and why, and one decision about a party, an
// asset and an action at a moment.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/conformance/turtle.h"
#include "tests/support/policy_event.h"

namespace licet::testing {

// The folder below LICET_POLICY_CASES; nullopt says so and skips.
inline std::optional<fs::path> others(const char* which) {
    const char* root = std::getenv("LICET_POLICY_CASES");
    if (root == nullptr || !fs::is_directory(fs::path(root) / which)) {
        MESSAGE("skipped: LICET_POLICY_CASES names no folder with " << which);
        return std::nullopt;
    }
    return fs::path(root) / which;
}

// Case -> {"pointers": [...], "why": ...}, from excluded.json.
inline nlohmann::json excluded(const char* suite) { return nlohmann::json::parse(std::ifstream("tests/conformance/excluded.json")).at(suite); }

// A policy of others says nothing of profile and conflict: it is decided under ours.
inline nlohmann::json under_the_profile(nlohmann::json document) {
    document["odrl:profile"] = "https://licet.dev/ns/odrl-profile/1";
    document["odrl:conflict"] = "prohibit";
    return document;
}

// The document is refused at exactly the pointers that are listed, each with words.
inline void check_refused(const nlohmann::json& document, const nlohmann::json& listed) {
    const auto check = policy::check_policy(document, *policy::builtin_vocabulary());
    CHECK(check.document == nullptr);
    std::set<std::string> pointers;
    for (const auto& m : check.mistakes) {
        CHECK(m.code == Errc::invalid_document);
        CHECK_FALSE(m.detail.empty());
        pointers.insert(m.pointer);
    }
    const auto expected = listed.at("pointers").get<std::set<std::string>>();
    std::ostringstream said;
    for (const auto& p : pointers) said << p << "\n";
    CHECK_MESSAGE(pointers == expected, said.str());
    CHECK(listed.at("why").get<std::string>().size() > 10);
}

struct Request {
    std::string party, product, action;
    std::vector<std::string> collections;
    UtcMillis at{};
};

// The reason, by a program compiled from the one document. The event is nobody's and free of terms, so that only the policy decides.
inline std::string decide(const nlohmann::json& document, const Request& request) {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto parsed = policy::parse_policy(document, *vocabulary);
    REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
    policy::Entitlement who;
    who.product = request.product;
    who.party = who.contract = request.party;
    who.action = request.action;
    who.party_collections = request.collections;
    who.recipient_country = "DE";
    who.purposes = {"dpv:NonCommercialResearch"};
    const auto mapping =
        nlohmann::json::parse(R"({"attributes": {"id": {"digest": true}, "source": {"constant": "/t"}, "type": {"constant": "t"}}, "fields": []})");
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<const event::Mapping>(*event::parse_mapping(mapping, 1))};
    const std::vector<policy::PolicyVersion> policies{{"case", 1, *parsed}};
    const auto program = policy::compile(who, policies, mappings, vocabulary);
    REQUIRE(program.ok());
    policy::ConsentIndex consents;
    PlainPseudonymiser pseudonymiser;
    EventText e;
    e.license = "CC0-1.0";
    e.data = "{}";
    const std::string record = make_record(*mappings[0], e);
    const auto stored = event::StoredEvent::parse(record).value();
    const auto decision = policy::make_decider(*program, consents, pseudonymiser)->decide(stored, request.at);
    CHECK(policy::explain(**program, stored, consents, request.at).at("reason") == policy::reason_name(decision.reason));
    return std::string(policy::reason_name(decision.reason));
}

}  // namespace licet::testing
