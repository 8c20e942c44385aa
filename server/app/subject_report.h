// What is held of a data subject and who received it, for the DPO who answers an access request (GDPR Art. 15): one page of it. Made by
// SubjectRights.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/app/admin.h"
#include "server/app/subject_keys.h"
#include "server/ports/usage_ledger.h"

namespace licet::app {

struct ReportParts {
    std::shared_ptr<ports::Catalog> catalog;
    std::shared_ptr<Governance> governance;
    std::shared_ptr<SubjectKeys> keys;  // null: this node keeps none
    std::shared_ptr<ports::EventLog> log;
    std::shared_ptr<ports::UsageLedger> ledger;
    std::shared_ptr<const Admin> admin;  // decides as of the past
    std::shared_ptr<const Clock> clock;
};
struct ReportRequest {
    std::string controller;
    SubjectKey subject;
    std::string product;  // where the page begins; empty: at the start
    Offset offset = 0;
};

// The log is read, not an index: a page reads at most limits::subject_report_scanned_max events and tells of at most subject_report_events_max;
// `next` says where to go on. Errors: unavailable, corrupt.
[[nodiscard]] Result<nlohmann::json> subject_report(const ReportParts& parts, const ReportRequest& request);
// The same as a page for people. All text is escaped.
[[nodiscard]] std::string to_html(const nlohmann::json& report);

}  // namespace licet::app
