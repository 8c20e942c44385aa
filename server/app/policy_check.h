// What the author of a policy is told when it is written: every mistake in one answer, or, of a document without any, the findings beside the
// configuration it would govern in. Used by admin.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "policy/document.h"
#include "server/ports/catalog.h"

namespace licet::app {

// The first mistake, its pointer under `/document`, the others listed in the detail. Precondition: there is one.
[[nodiscard]] Error policy_mistakes(const policy::PolicyCheck& check);
// As the API shows them: [{"kind", "rule", "pointer", "detail", "by"?}]. Other active policies, contracts in force and current mappings are what the
// document is seen beside; the active version of its own name it would replace.
[[nodiscard]] nlohmann::json policy_findings(const policy::PolicyDocument& document, const std::string& name,
                                             const ports::Configuration& configuration, const std::shared_ptr<const policy::Vocabulary>& vocabulary);

}  // namespace licet::app
