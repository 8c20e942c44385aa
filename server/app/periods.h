// Billing periods as finance and partners see them: closing, statements with their proofs, corrections, and nodes that will not come back. Used by
// server/control. Thread-safe; calls block. docs/finance.md.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "metering/month.h"
#include "server/app/admin.h"
#include "server/app/period_accounts.h"
#include "server/ports/billing.h"
#include "server/ports/crypto.h"
#include "server/ports/invoicing.h"

namespace licet::app {

// What of a query picks statements, as it came.
struct StatementsQuery {
    std::string period, contract, after, limit;
};

class Periods {
  public:
    struct Parts {
        std::shared_ptr<ports::Billing> billing;
        std::function<Result<ports::Configuration>()> configuration;  // of the catalog, now
        std::shared_ptr<const ports::Crypto> crypto;
        std::shared_ptr<const ports::Signer> signer;
        std::shared_ptr<const Clock> clock;
        std::string region;
        std::shared_ptr<const ports::InvoicingConfig> invoicing = {};  // null: statements say nothing of it
    };
    explicit Periods(Parts parts) : parts_(std::move(parts)) {}

    // All months from the first with usage to now, and what keeps the open ones open.
    [[nodiscard]] Result<Reply> list() const;
    // Cuts the period and makes its statements; what was cut and not closed (a node that ended meanwhile, on whatever node) is taken up. Errors:
    // invalid_parameter, period_open (what keeps it so, contracts that cannot be rated too: members gaps, earlier), period_closed, those of rating,
    // with which nothing is changed; conflict (it is being closed at this moment), unavailable: ask again.
    [[nodiscard]] Result<Reply> close(const Actor& actor, const std::string& period);
    // {reason}. A node of which nothing was heard for limits::node_silence_ms: periods close without it.
    [[nodiscard]] Result<Reply> write_off(const Actor& actor, const std::string& node, const nlohmann::json& body);
    // {reference, contract, chargePeriod, reason, period?, amount | lines: [{amount, product?, day?}]}: a note that corrects a statement, booked into
    // an open period.
    [[nodiscard]] Result<Reply> correct(const Actor& actor, const nlohmann::json& body);

    // `party`: whose documents alone are there; empty: all are. NDJSON, as signed.
    [[nodiscard]] Result<std::string> statements(const StatementsQuery& query, const std::string& party) const;
    [[nodiscard]] Result<std::string> statement(std::string_view number, const std::string& party) const;
    [[nodiscard]] Result<std::string> lines(std::string_view number, std::string_view after, std::string_view limit, const std::string& party) const;
    // A receipt: the line, its statement, and the proof that the one is in the other.
    [[nodiscard]] Result<std::string> proof(std::string_view number, std::string_view line, const std::string& party) const;
    [[nodiscard]] nlohmann::json key() const;

    // The statement made again from the ledger as it is now and the terms it states: {identical, differences}.
    [[nodiscard]] Result<Reply> rerate(std::string_view number) const;

  private:
    [[nodiscard]] Result<BillingTerms> terms_now() const;
    [[nodiscard]] Result<ports::PeriodCut> cut(const Actor& actor, const metering::Month& month, const std::string& period);
    [[nodiscard]] Status make(const ports::PeriodCut& cut, ports::BookedUsage& ledger, ports::ChainEnd chain, ports::StatementSink& sink) const;
    [[nodiscard]] Status compare(const ports::StatementRow& held, const ports::Account& stated, ports::BookedUsage& ledger, RatedAccount& made,
                                 nlohmann::json& differences) const;
    [[nodiscard]] Result<ports::StatementRow> row(std::string_view number, const std::string& party) const;
    [[nodiscard]] Result<std::vector<merkle::Hash>> proof_hashes(std::uint64_t number, std::uint64_t index, std::uint64_t size) const;

    const Parts parts_;
};

}  // namespace licet::app
