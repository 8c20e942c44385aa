// The semantics once more, read straight from the JSON of the policies: slow, plain, and written from docs/policy-semantics.md rather than from
// policy/. It shares with the engine the tables (purposes, places, licences) and nothing of documents, matching, logic, consent, memo or redaction.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/engine.h"
#include "tests/support/policy_event.h"

namespace licet::testing {

struct ReferenceInput {
    std::vector<nlohmann::json> policies;
    policy::Entitlement contract;
    nlohmann::json mapping;  // the mapping document
    EventText event;
    std::map<std::string, std::vector<std::string>> consents;  // subject -> purposes
    bool consents_ready = true;
    UtcMillis now{};
};
struct ReferenceAnswer {
    std::string reason, rule;  // rule: uid; empty when none decided
    std::string data;          // as delivered
};
[[nodiscard]] ReferenceAnswer reference_decision(const ReferenceInput& input, const policy::Vocabulary& vocabulary);

}  // namespace licet::testing
