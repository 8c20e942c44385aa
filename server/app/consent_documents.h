// Reads consent records as they are written over REST (docs/consent.md), strictly and with a pointer to the first mistake, and shows what the
// registry keeps. Pure but for the digest. Used by the admin use cases.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "server/app/snapshot.h"
#include "server/ports/consents.h"

namespace licet::app {

// A person acting for themselves: who, to which controller.
struct OwnSubject {
    SubjectKey key;
    std::string controller;
};

struct ConsentContext {
    const Snapshot& snapshot;
    const policy::Vocabulary& vocabulary;
    std::function<SubjectKey(std::string_view controller, std::string_view subject)> digest;
    std::function<std::string()> new_record;  // an id
    UtcMillis now;
    std::optional<OwnSubject> own;  // then a record names neither subject nor controller
};

struct ConsentDraft {
    ports::ConsentEvent event;
    std::vector<std::string> recipients;  // "party:acme", "category:laboratories"; not numbered yet
};

// One record: one event, or two when it asks for both sides of its evidence (status "evidenced"): first what is withdrawn, then what is given.
[[nodiscard]] Result<std::vector<ConsentDraft>> read_consent(const nlohmann::json& record, const std::string& at, const ConsentContext& context);
// {subject, controller, purposes?, recipients?, recordId?, evidence?, occurredAt?}. No purposes: the event has none, and means all.
[[nodiscard]] Result<ConsentDraft> read_withdrawal(const nlohmann::json& body, const ConsentContext& context);

// "party:acme" -> {"party":"acme"}.
[[nodiscard]] nlohmann::json recipient_json(const std::string& name);
[[nodiscard]] nlohmann::json to_json(const ports::ConsentEvent& event, const Snapshot& snapshot);
[[nodiscard]] nlohmann::json to_json(const ports::ConsentImport& import);

}  // namespace licet::app
