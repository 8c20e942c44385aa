// What data subjects may ask of a controller, as a DPO does it for them over REST: access and erasure. Used by server/control. Thread-safe; calls
// block.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/app/admin.h"
#include "server/app/fields.h"
#include "server/app/subject_keys.h"
#include "server/ports/crypto.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

class SubjectRights {
  public:
    struct Parts {
        std::shared_ptr<ports::Catalog> catalog;
        std::shared_ptr<Governance> governance;
        std::shared_ptr<SubjectKeys> keys;  // null: this node keeps none, and refuses
        std::shared_ptr<const ports::Signer> signer;
        std::function<SubjectKey(std::string_view controller, std::string_view subject)> subject_digest;
        std::shared_ptr<ports::EventLog> log;
        std::shared_ptr<ports::UsageLedger> ledger;
        std::shared_ptr<const Admin> admin;
        std::shared_ptr<const Clock> clock;
    };
    explicit SubjectRights(Parts parts) : parts_(std::move(parts)) {}

    // {subject, controller}: destroys the subject's keys and answers, once that holds on every live node, with the certificate. Errors: not_found (no
    // such controller), unavailable, barrier_incomplete (destroyed, and not yet everywhere forgotten: ask again).
    [[nodiscard]] Result<Reply> erase(const Actor& actor, const nlohmann::json& body);
    // {subject, controller, product?, offset?}: what is held and who received it, one page (subject_report.h). Audited without the subject.
    [[nodiscard]] Result<nlohmann::json> report(const Actor& actor, const nlohmann::json& body);

  private:
    struct Named {
        std::string controller;
        SubjectKey subject;
    };
    [[nodiscard]] Named named(Fields& fields) const;

    const Parts parts_;
};

}  // namespace licet::app
