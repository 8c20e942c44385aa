// Policy documents: ODRL 2.2 JSON-LD under Licet's profile, checked and read into rules. Used by the control plane at write (errors go to the
// author with a pointer) and by compilation. Pure. The profile is described in docs/policy-profile.md and api/policy-profile.schema.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "policy/vocabulary.h"

namespace licet::policy {

struct PolicyDocument;  // policy/document_model.h: for compile, findings, explain and tests only

struct PolicyVersion {
    std::string name;  // slug in the catalog
    std::uint32_t version{};
    std::shared_ptr<const PolicyDocument> document;
};

// What became of a document: its rules, or every mistake in it (in document order, at most limits::policy_mistakes_max), never both.
struct PolicyCheck {
    std::shared_ptr<const PolicyDocument> document;
    std::vector<Error> mistakes;  // invalid_document; a JSON Pointer and what was expected there
};
// Strict: unknown terms, operands, operators, members, an `Offer`, or a `conflict` other than "prohibit" are refused. Limits: base/limits.h policy_*.
[[nodiscard]] PolicyCheck check_policy(const nlohmann::json& document, const Vocabulary& vocabulary);
// The same, with the first mistake only.
[[nodiscard]] Result<std::shared_ptr<const PolicyDocument>> parse_policy(const nlohmann::json& document, const Vocabulary& vocabulary);

}  // namespace licet::policy
