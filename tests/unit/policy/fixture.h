// A product with governed fields, contracts and policies for tests of the rights engine.
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/policy_event.h"

namespace licet::testing {

using nlohmann::json;

inline std::shared_ptr<const event::Mapping> mapping_of(json fields, std::uint32_t version = 1) {
    const json document{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                        {"fields", std::move(fields)}};
    auto parsed = event::parse_mapping(document, version);
    REQUIRE_MESSAGE(parsed.ok(), parsed.error().detail);
    return std::make_shared<event::Mapping>(*std::move(parsed));
}

inline json constraint(const char* left, const char* op, json right) {
    return {{"leftOperand", left}, {"operator", op}, {"rightOperand", std::move(right)}};
}
inline json transform(const char* kind, const char* selector, const char* value, json more = json::object()) {
    json out{{"action", "licet:transform"}, {"licet:transform", kind}, {selector, value}};
    out.update(more);
    return out;
}
inline json rule(const char* uid, json constraints = json::array(), json duties = json::array()) {
    json out{{"uid", uid}, {"target", "urn:licet:product:orders"}, {"action", "use"}, {"constraint", std::move(constraints)}};
    if (!duties.empty()) out["duty"] = std::move(duties);
    return out;
}
inline policy::PolicyVersion policy_of(const char* name, json permissions, json prohibitions = json::array(), std::uint32_t version = 1) {
    static const auto vocabulary = policy::builtin_vocabulary();
    const json document{{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
                        {"@type", "Set"},
                        {"uid", std::string("urn:licet:policy:") + name},
                        {"profile", "https://licet.dev/ns/odrl-profile/1"},
                        {"conflict", "prohibit"},
                        {"permission", std::move(permissions)},
                        {"prohibition", std::move(prohibitions)}};
    auto parsed = policy::parse_policy(document, *vocabulary);
    REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
    return {name, version, *std::move(parsed)};
}
inline policy::Entitlement entitlement() {
    policy::Entitlement e;
    e.product = "orders";
    e.contract = e.party = "partner";
    e.recipient_country = "DE";
    e.purposes = {"dpv:ServiceOptimisation"};
    return e;
}

// One view: program, consents, decider.
struct View {
    policy::ConsentIndex consents;
    PlainPseudonymiser pseudonymiser;
    std::shared_ptr<const policy::Program> program;
    std::unique_ptr<policy::Decider> decider;

    View(const policy::Entitlement& who, const std::vector<policy::PolicyVersion>& policies,
         std::vector<std::shared_ptr<const event::Mapping>> mappings) {
        auto compiled = policy::compile(who, policies, mappings, policy::builtin_vocabulary());
        REQUIRE_MESSAGE(compiled.ok(), compiled.error().detail);
        program = *std::move(compiled);
        consents.set_ready(true);
        decider = policy::make_decider(program, consents, pseudonymiser);
    }
};

}  // namespace licet::testing
