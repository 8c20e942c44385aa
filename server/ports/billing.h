// Billing periods in the ledger: what was booked into a month, how far the nodes are, and the chain of statements. Implemented in server/postgres;
// used by app::Accounts and app::Periods. Calls block. Thread-safe.
//
// Usage is booked into the month of its day; what arrives when that month is cut or closed is booked into the first open one, and its day stays. A
// month is cut first, which takes a moment, and closed when its statements are made. The database itself refuses to change what is cut.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/merkle.h"
#include "base/result.h"
#include "base/time.h"
#include "server/ports/catalog.h"
#include "server/ports/usage_ledger.h"

namespace licet::ports {

enum class StatementKind : std::uint8_t { statement, credit_note, debit_note };
[[nodiscard]] constexpr std::string_view statement_kind_name(StatementKind kind) noexcept {
    constexpr std::string_view names[] = {"statement", "credit-note", "debit-note"};
    return names[static_cast<std::size_t>(kind)];
}

// One signed document of the chain. The texts are as they were signed and hashed.
struct StatementRow {
    std::uint64_t number = 0;
    StatementKind kind{};
    std::string period;  // YYYY-MM: the one it is booked into
    std::string contract, party;
    std::string document, hash, previous;
    std::string reference = {};  // of a note: by whom it was asked for; no two notes have the same
};
struct NewStatement {
    StatementRow row;
    std::vector<std::string> lines;      // leaves of its tree, line number 1 first
    std::vector<merkle::Node> subtrees;  // of level kStatementTreeLevel and above
};
// Smaller subtrees are computed from their lines when a proof needs them.
inline constexpr unsigned kStatementTreeLevel = 8;

struct ChainEnd {
    std::uint64_t next = 1;
    std::string previous = std::string(64, '0');
};

// What a product had on a day in a region under a view.
struct UsageCounts {
    UsageCount billed, replayed;
    std::uint64_t minutes = 0;
};
struct UsagePart {
    ProductNo product;
    std::string day, region, view;  // as ports::UsageTotal
    UsageCounts all;
    bool was_earlier = false;  // something of it was booked earlier: `earlier` is how much
    UsageCounts earlier;
};
struct PartsWanted {
    ContractNo contract;
    std::string charge_period;        // YYYY-MM: usage of its days
    std::string period;               // booked into this month or before it; `earlier`: before it
    std::vector<ProductNo> products;  // in the order they are to come in; others come before them
};
// The parts of one contract, however many: they can be gone over again and again, and are the same each time. By day, product, region and view.
class UsageParts {
  public:
    virtual ~UsageParts() = default;
    [[nodiscard]] virtual Status each(const std::function<Status(const UsagePart&)>& take) = 0;
};

// The ledger at one moment. Valid during the call it is handed to. Periods are YYYY-MM; `contracts` empty: all.
class BookedUsage {
  public:
    virtual ~BookedUsage() = default;
    [[nodiscard]] virtual Result<std::unique_ptr<UsageParts>> parts(const PartsWanted& wanted) = 0;
    // Those that have parts of the period's own days.
    [[nodiscard]] virtual Result<std::vector<ContractNo>> used(std::string_view period, const std::vector<ContractNo>& contracts) = 0;
    struct Late {
        ContractNo contract;
        std::string month;  // YYYY-MM of the usage
    };
    // Usage booked into the period of earlier months.
    [[nodiscard]] virtual Result<std::vector<Late>> late(std::string_view period, const std::vector<ContractNo>& contracts) = 0;
    // The books of what was booked into the period. Of a period that is cut suspense is what it was then.
    [[nodiscard]] virtual Result<std::vector<UsageBalance>> balance(std::string_view period, const std::vector<ContractNo>& contracts) = 0;
    // Lines of the contract's credit and debit notes booked into the period, in the order of their numbers.
    [[nodiscard]] virtual Status correction_lines(std::string_view period, std::string_view contract,
                                                  const std::function<Status(const std::string&)>& take) = 0;
    // Nullopt: there is none.
    [[nodiscard]] virtual Result<std::optional<StatementRow>> statement_of(std::string_view period, std::string_view contract) = 0;
    [[nodiscard]] virtual Result<std::vector<std::string>> statement_lines(std::uint64_t number, std::uint64_t after, std::size_t most) = 0;
};

struct NodeProgress {
    std::string node;
    std::uint64_t boot = 0, sequence = 0;  // of the last record in the ledger
    std::string state;                     // running, ended, written-off
    UtcMillis flushed_until;               // all it delivered before is in the ledger
    UtcMillis heard_at;
};

struct ClosedPeriod {
    std::string period;
    UtcMillis closed_at;
    std::string closed_by;
    std::uint64_t first_number = 0, statements = 0;
};

// Nothing is booked into the period any more; its statements are yet to be made.
struct PeriodCut {
    std::string period;
    UtcMillis at;  // what its statements state as the time they were made
    std::string by;
    std::string terms;  // what is billed to whom: text of the caller's
};

// Takes a statement as it is made: its row first, then its lines in their order, with the subtrees they complete.
class StatementSink {
  public:
    virtual ~StatementSink() = default;
    [[nodiscard]] virtual Status begin(const StatementRow& row) = 0;
    [[nodiscard]] virtual Status line(const std::string& line) = 0;
    [[nodiscard]] virtual Status subtree(const merkle::Node& node) = 0;  // of level kStatementTreeLevel and above
};

struct StatementsWanted {
    std::string period, contract, party;  // empty: all
    std::uint64_t after = 0;
    std::size_t most = 0;
};

class Billing {
  public:
    virtual ~Billing() = default;

    // Runs `read` on one consistent state of the ledger, and returns what it returns.
    [[nodiscard]] virtual Status read(const std::function<Status(BookedUsage&)>& read) = 0;

    // The node delivers, and all it delivered before `until` is in the ledger. Errors: unavailable, not_found.
    [[nodiscard]] virtual Status advance(const std::string& node, std::uint64_t boot, UtcMillis until) = 0;
    // The node has ended at `until`, and all it ever delivered is in the ledger. Errors: as above; conflict when it is not known of all it meant to
    // deliver whether it did.
    [[nodiscard]] virtual Status ended(const std::string& node, std::uint64_t boot, UtcMillis until) = 0;
    [[nodiscard]] virtual Result<std::vector<NodeProgress>> nodes() = 0;
    // A node that will not come back: periods close without it, and what it meant to deliver, of which nothing is known, becomes suspense. Returns
    // those offsets. Errors: not_found; conflict when it is not running, or was heard of after `silent_since`.
    [[nodiscard]] virtual Result<std::uint64_t> write_off(const std::string& node, UtcMillis silent_since, AuditEntry audit) = 0;

    [[nodiscard]] virtual Result<std::vector<ClosedPeriod>> closed() = 0;
    // The months that usage was booked into and that are open, ascending.
    [[nodiscard]] virtual Result<std::vector<std::string>> open_months() = 0;

    // The period that is cut and not closed; there is one at the most.
    [[nodiscard]] virtual Result<std::optional<PeriodCut>> closing() = 0;
    // Whether the period may be cut now: nothing is held up by asking. Errors: as cut().
    [[nodiscard]] virtual Status may_cut(std::string_view period) = 0;
    // From here on nothing is booked into the period. Booking waits, for as long as what is being booked takes. A period that is cut already: its cut
    // as it is. Errors: period_closed; period_open when a node has not passed the end, or an earlier month is open (members `gaps`, `earlier`).
    [[nodiscard]] virtual Result<PeriodCut> cut(std::string_view period, UtcMillis at, const AuditEntry& audit, const std::string& terms) = 0;
    // Other terms for a period that is cut, and cannot be rated by those it has. Errors: conflict (it is being closed at this moment), period_closed.
    [[nodiscard]] virtual Status restate(std::string_view period, const std::string& terms, const AuditEntry& audit) = 0;
    // Makes the statements of a period that is cut, and closes it: all in one transaction, beside which usage is booked as ever, or nothing, and then
    // it can be asked again. Errors: period_closed; conflict (somebody else is at it, or it is not cut); those of `build`.
    using Build = std::function<Status(const PeriodCut&, BookedUsage&, const ChainEnd&, StatementSink&)>;
    [[nodiscard]] virtual Result<ClosedPeriod> close(std::string_view period, const AuditEntry& audit, const Build& build) = 0;

    // One note booked into the period, which must be open, in one transaction with its audit line. Errors: period_closed; conflict when there is a
    // note of that reference; unavailable while statements are made, whose numbers come first; those of `build`.
    using BuildNote = std::function<Result<NewStatement>(BookedUsage&, const ChainEnd&)>;
    [[nodiscard]] virtual Result<StatementRow> book_note(std::string_view period, const AuditEntry& audit, const BuildNote& build) = 0;

    // By number.
    [[nodiscard]] virtual Result<std::vector<StatementRow>> statements(const StatementsWanted& wanted) = 0;
    [[nodiscard]] virtual Result<StatementRow> statement(std::uint64_t number) = 0;  // not_found
    [[nodiscard]] virtual Result<std::vector<std::string>> statement_lines(std::uint64_t number, std::uint64_t after, std::size_t most) = 0;
    // In the order asked for; level kStatementTreeLevel and above. Error: corrupt when one is missing.
    [[nodiscard]] virtual Result<std::vector<merkle::Hash>> statement_nodes(std::uint64_t number, const std::vector<merkle::NodeId>& ids) = 0;
};

}  // namespace licet::ports
