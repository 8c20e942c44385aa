// What is put forward for a consent or its withdrawal, and what it says in DPV's purposes. The mapping is a table here and in docs/consent.md.
// Pure; used by consent documents.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/vocabulary.h"

namespace licet::app {

struct Evidence {
    nlohmann::json stored;                        // {"type","value"} and what of it is worth showing; null: none was given
    bool decides = false;                         // a string that states choices, not a reference to something kept elsewhere
    std::vector<std::string> consented, refused;  // purposes it says yes and no to
};

// {"type": "tcf" | "gpp" | "gpc" | "reference", "value": "..."}. Errors point within it.
[[nodiscard]] Result<Evidence> read_evidence(const nlohmann::json& document, const std::string& at);

// Whether the evidence bears a statement about the purpose: P or what is below it, of those it said yes (no) to.
[[nodiscard]] bool bears(const std::vector<std::string>& said, policy::PurposeId purpose, const policy::Vocabulary& vocabulary);

}  // namespace licet::app
