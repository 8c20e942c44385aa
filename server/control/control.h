// The control plane: admin, finance and audit over REST. Reached through the edge alone, which authenticates the client and forwards whole requests
// with a secret made anew at each start. Built by server/main.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/app/admin.h"
#include "server/app/audit.h"
#include "server/app/periods.h"
#include "server/app/subject_rights.h"
#include "server/app/usage_reports.h"
#include "server/ports/accounts.h"
#include "server/ports/crypto.h"

namespace licet::exports {
class Exporter;
class Jobs;
}  // namespace licet::exports
namespace licet::app {
class Webhooks;
}  // namespace licet::app

namespace licet::control {

struct ControlOptions {
    std::uint16_t port = 0;  // 0: any; always on 127.0.0.1
    unsigned threads = 4;    // of the pool use cases run on
    std::string boot_secret;
};

struct ControlServices {
    std::shared_ptr<app::Admin> admin;
    std::shared_ptr<const app::UsageReports> reports;
    std::function<std::shared_ptr<const app::Snapshot>()> snapshot;
    std::shared_ptr<const ports::Crypto> crypto;
    std::shared_ptr<const app::Audit> audit;
    std::string authored_in;  // region that writes the global configuration; its endpoint goes with every 421
    std::shared_ptr<app::SubjectRights> subjects = nullptr;
    std::shared_ptr<const exports::Exporter> exporter = nullptr;
    std::shared_ptr<exports::Jobs> export_jobs = nullptr;
    std::shared_ptr<ports::Accounts> accounts = nullptr;
    std::shared_ptr<app::Periods> periods = nullptr;
    std::shared_ptr<app::Webhooks> webhooks = nullptr;
};

class Control {
  public:
    virtual ~Control() = default;  // stops
    // Errors: unavailable (cannot listen).
    [[nodiscard]] static Result<std::unique_ptr<Control>> start(ControlOptions options, ControlServices services);
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
    // Finishes what was begun.
    virtual void stop() = 0;
};

}  // namespace licet::control
