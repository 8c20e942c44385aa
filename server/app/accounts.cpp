#include "server/app/accounts.h"

#include <algorithm>
#include <mutex>

#include "base/usage_limits.h"
#include "server/app/contract_bill.h"
#include "server/app/period_accounts.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using ports::Account;
using ports::AccountLine;

constexpr std::size_t kStatementsPerRead = 256;

class LedgerAccounts final : public ports::Accounts {
  public:
    explicit LedgerAccounts(AccountParts parts) : parts_(std::move(parts)) {}

    Result<std::vector<Account>> accounts(const ports::AccountsWanted& wanted) override {
        const auto closed = is_closed(wanted.period);
        if (!closed) return closed.error();
        return *closed ? stated(wanted) : drafts(wanted);
    }

    Result<std::vector<AccountLine>> lines(std::string_view period, std::string_view contract, std::uint64_t after, std::size_t most) override {
        const auto closed = is_closed(period);
        if (!closed) return closed.error();
        if (*closed) return stated_lines(period, contract, after, most);
        auto held = after == 0 ? nullptr : kept(period, contract);
        if (!held) {
            auto drafted = draft_lines(period, contract);
            if (!drafted) return drafted.error();
            held = *std::move(drafted);
            if (held->size() > most) keep(period, contract, held);
        }
        const auto from = std::min<std::uint64_t>(after, held->size());
        const auto count = std::min<std::uint64_t>(most, held->size() - from);
        const auto begin = held->begin() + static_cast<std::ptrdiff_t>(from);
        return std::vector<AccountLine>(begin, begin + static_cast<std::ptrdiff_t>(count));
    }

  private:
    using Lines = std::shared_ptr<const std::vector<AccountLine>>;
    struct Kept {
        std::string period, contract;
        std::int64_t until_ns = 0;
        Lines lines;
    };

    Lines kept(std::string_view period, std::string_view contract) {
        const std::lock_guard lock(mutex_);
        for (const auto& k : kept_)
            if (k.period == period && k.contract == contract && parts_.clock->monotonic_ns() < k.until_ns) return k.lines;
        return nullptr;
    }
    void keep(std::string_view period, std::string_view contract, Lines lines) {
        const std::lock_guard lock(mutex_);
        const auto now = parts_.clock->monotonic_ns();
        std::erase_if(kept_, [&](const Kept& k) { return k.until_ns <= now || (k.period == period && k.contract == contract); });
        if (kept_.size() == limits::account_pages_kept_max) kept_.erase(kept_.begin());
        kept_.push_back({std::string(period), std::string(contract), now + limits::account_pages_kept_ms * 1'000'000LL, std::move(lines)});
    }

    Result<bool> is_closed(std::string_view period) const {
        if (!metering::parse_month(period)) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
        const auto closed = parts_.billing->closed();
        if (!closed) return closed.error();
        return std::any_of(closed->begin(), closed->end(), [&](const ports::ClosedPeriod& c) { return c.period == period; });
    }

    Status each_draft(const ports::AccountsWanted& wanted, const std::function<Status(PeriodAccount)>& take) const {
        const auto month = metering::parse_month(wanted.period);
        const BillingTerms terms = terms_of(*parts_.snapshot());
        const bool finished = parts_.clock->utc_now() >= month->to;
        return parts_.billing->read([&](ports::BookedUsage& ledger) {
            return each_account(ledger, terms, {wanted.period, parts_.region, finished, wanted.contract, wanted.party}, take);
        });
    }
    Result<std::vector<Account>> drafts(const ports::AccountsWanted& wanted) const {
        std::vector<Account> out;
        auto done = each_draft(wanted, [&](PeriodAccount made) {
            out.push_back(std::move(made.account));
            return success();
        });
        if (!done) return done.error();
        return out;
    }
    Result<Lines> draft_lines(std::string_view period, std::string_view contract) const {
        Lines out;
        auto done = each_draft({std::string(period), std::string(contract), {}}, [&](PeriodAccount made) {
            out = std::make_shared<const std::vector<AccountLine>>(std::move(made.lines));
            return success();
        });
        if (!done) return done.error();
        if (!out) return Error{Errc::not_found, "the contract has no account in this period", {}};
        return out;
    }

    // By contract, as drafts are.
    Result<std::vector<Account>> stated(const ports::AccountsWanted& wanted) const {
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
    Result<std::vector<AccountLine>> stated_lines(std::string_view period, std::string_view contract, std::uint64_t after, std::size_t most) const {
        const auto accounts = stated({std::string(period), std::string(contract), {}});
        if (!accounts) return accounts.error();
        if (contract.empty() || accounts->empty()) return Error{Errc::not_found, "the contract has no account in this period", {}};
        const auto& account = accounts->front();
        const auto texts = parts_.billing->statement_lines(account.statement, after, most);
        if (!texts) return texts.error();
        std::vector<AccountLine> out;
        for (const auto& text : *texts) {
            auto line = parse_line(text);
            if (!line) return line.error();
            line->contract = account.contract;
            line->party = account.party;
            out.push_back(*std::move(line));
        }
        return out;
    }

    const AccountParts parts_;
    std::mutex mutex_;
    std::vector<Kept> kept_;
};

}  // namespace

std::shared_ptr<ports::Accounts> make_accounts(AccountParts parts) { return std::make_shared<LedgerAccounts>(std::move(parts)); }

}  // namespace licet::app
