// The lines report as a workbook: Summary, Lines (several sheets when one is full), Usage by day, Corrections, Reconciliation, Signature. A layout as
// the others, but its text goes into the workbook. Used by jobs and direct reports. One thread.
#pragma once

#include <set>
#include <string>

#include "server/exports/groups.h"
#include "server/exports/layout.h"
#include "server/exports/reconciled.h"
#include "server/ports/workbook.h"

namespace licet::exports {

class WorkbookLayout final : public Layout {
  public:
    // `book` outlives this and is closed by the caller.
    WorkbookLayout(ports::Workbook& book, UtcMillis now) : book_(book), days_({"day", "contract", "product"}), now_(now) {}
    Status begin(const std::vector<ports::Account>& accounts, std::string& out) override;
    Status line(const ports::Account& account, const ports::AccountLine& line, std::string& out) override;
    Status account_end(const ports::Account& account, std::string& out) override;
    Status end(std::string& out) override;

  private:
    // Where a row of lines is: a sheet of lines_, and a row of it from 1.
    struct At {
        std::size_t sheet = 0;
        std::uint32_t row = 0;
    };
    struct Done {
        const ports::Account* account;
        Reconciled lines;
        At first, last;  // row 0: it has none
        bool exact;      // its amounts are numbers, so that formulas come to its sum
    };
    [[nodiscard]] Status add_lines_sheet();
    [[nodiscard]] Status summary();
    [[nodiscard]] Status by_day();
    [[nodiscard]] Status reconciliation();
    [[nodiscard]] Status signatures();
    [[nodiscard]] std::string sum_over_lines(const std::string& currency, int exponent) const;
    [[nodiscard]] std::string sum_of_account(const Done& done) const;

    ports::Workbook& book_;
    std::vector<ports::Account> accounts_;
    std::vector<Done> done_;
    Reconciled at_;
    At first_, last_;  // of the account at hand
    GroupSums days_;
    Totals totals_;
    std::set<std::string> inexact_;  // currencies of which an amount is a text: it has more digits than a number of a spreadsheet
    bool exact_ = true;              // of the account at hand
    std::size_t summary_ = 0, days_sheet_ = 0, corrections_ = 0, reconciliation_ = 0, signature_ = 0;
    std::vector<std::size_t> lines_;  // sheets
    std::vector<std::string> lines_names_;
    std::size_t lines_at_ = 0;  // of lines_
    bool corrections_full_ = false;
    const UtcMillis now_;
};

}  // namespace licet::exports
