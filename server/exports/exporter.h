// Makes one export, into memory or a file, whatever its format. Used by jobs and by the control plane for small reports. Calls block. Thread-safe.
#pragma once

#include <memory>

#include "server/exports/layout.h"
#include "server/ports/workbook.h"

namespace licet::exports {

class Exporter {
  public:
    struct Parts {
        std::shared_ptr<ports::Accounts> accounts;
        Issuer issuer;
        std::shared_ptr<const Clock> clock;
        ports::MakeWorkbook make_workbook;
        std::string directory;  // for what is under way; exists
    };
    explicit Exporter(Parts parts) : parts_(std::move(parts)) {}

    // The whole as bytes. Errors: as run(); invalid_parameter when there are more than limits::export_direct_lines_max lines: they are made by a job.
    [[nodiscard]] Result<std::string> direct(const Wanted& wanted) const;

    // Writes to the file at `path`, from the beginning or behind `from` (whose bytes it holds). Made durable before `passed` is told a place, and at
    // the end. Errors: as run(); unavailable (disk). What was written stays when it fails.
    [[nodiscard]] Status to_file(const Wanted& wanted, const std::string& path, const std::optional<Place>& from, const Passed& passed) const;

  private:
    [[nodiscard]] Status workbook(const Wanted& wanted, const std::string& path, const Passed& passed) const;
    [[nodiscard]] Status enough_room() const;
    const Parts parts_;
};

}  // namespace licet::exports
