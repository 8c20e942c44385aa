// Exports as a node has them: built from its configuration over the accounts. Private to main/.
#pragma once

#include <memory>

#include "base/time.h"
#include "server/config/config.h"
#include "server/exports/jobs.h"
#include "server/ports/crypto.h"
#include "server/ports/invoicing.h"
#include "server/stream/edge/edge.h"

namespace licet::commands {

struct Exports {
    std::shared_ptr<const exports::Exporter> exporter;
    std::shared_ptr<exports::Jobs> jobs;
};
// Who bills and what tax, as configured.
[[nodiscard]] ports::InvoicingConfig invoicing_of(const config::Config& config);
// Goes on with what an earlier start left. Errors: unavailable (exports/ below data_dir).
[[nodiscard]] Result<Exports> make_exports(const config::Config& config, std::shared_ptr<ports::Accounts> accounts,
                                           std::shared_ptr<const ports::Crypto> crypto, std::shared_ptr<const Clock> clock);

// What the edge sends: a finished export, open.
[[nodiscard]] Result<stream::ExportedFile> exported_file(const exports::Jobs& jobs, const std::string& id);

}  // namespace licet::commands
