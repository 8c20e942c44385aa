// The chain of statements as rows. Private to this folder; used by billing.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string_view>
#include <vector>

#include "server/ports/billing.h"

namespace licet::postgres {

// Until commit nobody else appends.
void lock_chain(pqxx::work& transaction);
[[nodiscard]] bool try_lock_chain(pqxx::work& transaction);
[[nodiscard]] ports::ChainEnd chain_end(pqxx::work& transaction);
void insert_statement(pqxx::work& transaction, const ports::NewStatement& made);
// The same as it is made: rows are written some thousands at a time.
class StatementWriter final : public ports::StatementSink {
  public:
    explicit StatementWriter(pqxx::work& transaction) : t_(transaction) {}
    Status begin(const ports::StatementRow& row) override;
    Status line(const std::string& line) override;
    Status subtree(const merkle::Node& node) override;
    void finish() { write(); }
    [[nodiscard]] std::uint64_t statements() const noexcept { return statements_; }

  private:
    void write();
    pqxx::work& t_;
    std::uint64_t number_ = 0, no_ = 0, statements_ = 0;
    std::vector<std::string> lines_;
    std::vector<merkle::Node> subtrees_;
};
[[nodiscard]] std::vector<ports::StatementRow> read_statements(pqxx::work& transaction, const ports::StatementsWanted& wanted);
[[nodiscard]] std::optional<ports::StatementRow> read_statement_of(pqxx::work& transaction, std::string_view period, std::string_view contract);
[[nodiscard]] std::vector<std::string> read_lines(pqxx::work& transaction, std::uint64_t number, std::uint64_t after, std::size_t most);
// In the order asked for; throws Refused (corrupt) when one is missing.
[[nodiscard]] std::vector<merkle::Hash> read_subtrees(pqxx::work& transaction, std::uint64_t number, const std::vector<merkle::NodeId>& ids);

}  // namespace licet::postgres
