// What every export is made of: a layout turns accounts and their lines into text, a page of lines at a time, and can be taken up again where it
// stood. Written by run(); implemented by lines, focus, invoice, reconciliation. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/ports/accounts.h"
#include "server/ports/invoicing.h"

namespace licet::exports {

// Who bills, as configured now. What an account says of it itself goes before.
struct Issuer : ports::InvoicingConfig {
    std::string region;  // of the node: statements are numbered within it
};

enum class Report : std::uint8_t { lines, cost_and_usage, invoice_detail, billing_period, invoice, reconciliation };
enum class Format : std::uint8_t { csv, json, xlsx, html };

struct Wanted {
    Report report = Report::lines;
    Format format = Format::csv;
    ports::AccountsWanted accounts;
    std::vector<std::string> group;  // empty: the finest lines
};
// From the names of the API. Errors: invalid_parameter with the pointer query:report, query:format, query:group or query:period.
[[nodiscard]] Result<Wanted> parse_wanted(std::string_view report, std::string_view format, std::string_view period, std::string_view group,
                                          std::string_view contract);
[[nodiscard]] std::string_view name_of(Report report) noexcept;
[[nodiscard]] std::string_view name_of(Format format) noexcept;
[[nodiscard]] std::string_view media_type_of(Format format) noexcept;
// "licet-2026-11-lines.csv"
[[nodiscard]] std::string file_name_of(const Wanted& wanted);

class Layout {
  public:
    virtual ~Layout() = default;
    // False: it is made of the accounts alone.
    [[nodiscard]] virtual bool wants_lines() const { return true; }
    // Before begin() or restore(): when the period was closed; nullopt: it is open.
    virtual void period_closed(std::optional<UtcMillis>) {}
    // All accounts, before any line. Errors of each call end the export.
    [[nodiscard]] virtual Status begin(const std::vector<ports::Account>& accounts, std::string& out) = 0;
    [[nodiscard]] virtual Status line(const ports::Account& account, const ports::AccountLine& line, std::string& out) = 0;
    // After the account's last line.
    [[nodiscard]] virtual Status account_end(const ports::Account&, std::string&) { return success(); }
    [[nodiscard]] virtual Status end(std::string& out) = 0;
    // What it must know to go on behind the last line, besides the accounts; nullopt: it holds too much and begins again.
    [[nodiscard]] virtual std::optional<std::string> state() const { return std::nullopt; }
    // Instead of begin(). False: not a state of this layout.
    [[nodiscard]] virtual bool restore(const std::vector<ports::Account>&, const std::string&) { return false; }
};
// For every format but xlsx. `now`: the moment a draft is of.
[[nodiscard]] std::unique_ptr<Layout> make_layout(const Wanted& wanted, const Issuer& issuer, UtcMillis now);

// Where an export stands: all before is in the file.
struct Place {
    std::string contract;     // of the account at hand; those before are done
    std::uint64_t after = 0;  // number of its last line written
    bool ended = false;       // the account too is done
    std::string sum = "0";    // of its lines' amounts
    std::uint64_t lines = 0, bytes = 0;
    std::string state;     // of the layout
    std::string accounts;  // which they were, and their statements
    std::string draft;     // of the account at hand, while it is open: what it came to when it was read
};
struct Progress {
    std::uint64_t lines = 0, lines_total = 0;
    std::uint64_t restarts = 0;  // so often it was begun anew, for what it was of had moved
};
using Sink = std::function<Status(std::string_view bytes)>;
// After each page; `place` is null where the export could not be taken up. An error ends the export with it.
using Passed = std::function<Status(const Progress& progress, const Place* place)>;

// Reads the accounts and writes the whole. `from`: where an earlier run stood; nullopt: from the beginning. The lines of a closed account must come
// to its total, else the error is corrupt; a draft is what its lines were when they were read. `passed` is asked once before any line is read. Other
// errors: of the accounts, the sink and `passed`; precondition_failed when the period was closed meanwhile, or since `from`, or when `from` is within
// a draft that has moved since: it is to be begun anew; not_found when a contract was named that has no account; invalid_parameter when more than
// limits::export_groups_max groups would be held.
[[nodiscard]] Status run(ports::Accounts& accounts, const Wanted& wanted, Layout& layout, const Sink& sink, const Passed& passed,
                         const std::optional<Place>& from = std::nullopt);

}  // namespace licet::exports
