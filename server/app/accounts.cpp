#include "server/app/accounts.h"

#include <algorithm>

#include "base/usage_limits.h"
#include "metering/month.h"
#include "server/app/period_accounts.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using ports::Account;
using ports::AccountLine;
using ports::AccountsWanted;

constexpr std::size_t kStatementsPerRead = 256;

Error no_account() { return {Errc::not_found, "the contract has no account in this period", {}}; }

using TakeLine = std::function<Status(const AccountLine&)>;

// Statements and their lines: they never move.
class Stated final : public ports::AccountsReading {
  public:
    Stated(ports::Billing& billing, std::vector<Account> accounts) : billing_(billing), accounts_(std::move(accounts)) {}
    const std::vector<Account>& accounts() const override { return accounts_; }
    Status lines(std::string_view contract, std::uint64_t after, const TakeLine& take) override {
        const auto account = std::find_if(accounts_.begin(), accounts_.end(), [&](const Account& a) { return a.contract == contract; });
        if (account == accounts_.end()) return no_account();
        for (;;) {
            const auto texts = billing_.statement_lines(account->statement, after, limits::export_page_lines);
            if (!texts) return texts.error();
            for (const auto& text : *texts) {
                auto line = parse_line(text);
                if (!line) return line.error();
                line->contract = account->contract;
                line->party = account->party;
                if (auto taken = take(*line); !taken) return taken;
            }
            if (texts->size() < limits::export_page_lines) return success();
            after += texts->size();
        }
    }

  private:
    ports::Billing& billing_;
    const std::vector<Account> accounts_;
};

// Rated from the ledger as it was when the reading began.
class Drafted final : public ports::AccountsReading {
  public:
    Drafted(ports::BookedUsage& ledger, const BillingTerms& terms, PeriodWanted wanted, std::vector<Account> accounts)
        : ledger_(ledger), terms_(terms), wanted_(std::move(wanted)), accounts_(std::move(accounts)) {}
    const std::vector<Account>& accounts() const override { return accounts_; }
    Status lines(std::string_view contract, std::uint64_t after, const TakeLine& take) override {
        bool found = false;
        auto wanted = wanted_;
        wanted.contract = contract;
        const auto done = each_account(ledger_, terms_, wanted, [&](RatedAccount& account) {
            found = true;
            return account.lines([&](const AccountLine& line) { return line.no <= after ? success() : take(line); });
        });
        return !done || found ? done : Status(no_account());
    }

  private:
    ports::BookedUsage& ledger_;
    const BillingTerms& terms_;
    const PeriodWanted wanted_;
    const std::vector<Account> accounts_;
};

class LedgerAccounts final : public ports::Accounts {
  public:
    explicit LedgerAccounts(AccountParts parts) : parts_(std::move(parts)) {}

    Result<std::optional<UtcMillis>> closed_at(std::string_view period) override {
        if (!metering::parse_month(period)) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
        const auto closed = parts_.billing->closed();
        if (!closed) return closed.error();
        const auto found = std::find_if(closed->begin(), closed->end(), [&](const ports::ClosedPeriod& c) { return c.period == period; });
        if (found == closed->end()) return std::optional<UtcMillis>{};
        return std::optional(found->closed_at);
    }

    Result<std::vector<Account>> accounts(const AccountsWanted& wanted) override {
        std::vector<Account> out;
        const auto done = read(wanted, [&](ports::AccountsReading& reading) {
            out = reading.accounts();
            return success();
        });
        if (!done) return done.error();
        return out;
    }

    Status read(const AccountsWanted& wanted, const std::function<Status(ports::AccountsReading&)>& read) override {
        const auto month = metering::parse_month(wanted.period);
        if (!month) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
        // In this order: what is cut between the two is read as open, and what is closed then, as what it was when it was cut.
        const auto closing = parts_.billing->closing();
        if (!closing) return closing.error();
        const auto closed = parts_.billing->closed();
        if (!closed) return closed.error();
        if (std::any_of(closed->begin(), closed->end(), [&](const ports::ClosedPeriod& c) { return c.period == wanted.period; })) {
            auto accounts = stated(wanted);
            if (!accounts) return accounts.error();
            Stated reading(*parts_.billing, *std::move(accounts));
            return read(reading);
        }
        const bool cut = closing->has_value() && (*closing)->period == wanted.period;
        auto terms = cut ? parse_terms((*closing)->terms) : Result<BillingTerms>(terms_of(*parts_.snapshot()));
        if (!terms) return terms.error();
        if (!cut) terms->invoicing = parts_.invoicing;
        const bool finished = cut || parts_.clock->utc_now() >= month->to;
        const PeriodWanted drafted{wanted.period, parts_.region, finished, wanted.contract, wanted.party};
        return parts_.billing->read([&](ports::BookedUsage& ledger) -> Status {
            std::vector<Account> accounts;
            const auto done = each_account(ledger, *terms, drafted, [&](RatedAccount& made) {
                accounts.push_back(made.account());
                accounts.back().closing = cut;
                return success();
            });
            if (!done) return done;
            Drafted reading(ledger, *terms, drafted, std::move(accounts));
            return read(reading);
        });
    }

  private:
    // By contract, as drafts are.
    Result<std::vector<Account>> stated(const AccountsWanted& wanted) const {
        std::vector<Account> out;
        ports::StatementsWanted page{wanted.period, wanted.contract, wanted.party, 0, kStatementsPerRead};
        for (;;) {
            const auto rows = parts_.billing->statements(page);
            if (!rows) return rows.error();
            for (const auto& row : *rows) {
                if (row.kind != ports::StatementKind::statement) continue;
                auto account = stated_account(row.document);
                if (!account) return account.error();
                out.push_back(*std::move(account));
            }
            if (rows->size() < page.most) break;
            page.after = rows->back().number;
        }
        std::sort(out.begin(), out.end(), [](const Account& a, const Account& b) { return a.contract < b.contract; });
        return out;
    }

    const AccountParts parts_;
};

}  // namespace

std::shared_ptr<ports::Accounts> make_accounts(AccountParts parts) { return std::make_shared<LedgerAccounts>(std::move(parts)); }

}  // namespace licet::app
