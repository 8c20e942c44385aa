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
[[nodiscard]] ports::ChainEnd chain_end(pqxx::work& transaction);
void insert_statement(pqxx::work& transaction, const ports::NewStatement& made);
[[nodiscard]] std::vector<ports::StatementRow> read_statements(pqxx::work& transaction, const ports::StatementsWanted& wanted);
[[nodiscard]] std::optional<ports::StatementRow> read_statement_of(pqxx::work& transaction, std::string_view period, std::string_view contract);
// In the order asked for; throws Refused (corrupt) when one is missing.
[[nodiscard]] std::vector<merkle::Hash> read_subtrees(pqxx::work& transaction, std::uint64_t number, const std::vector<merkle::NodeId>& ids);

}  // namespace licet::postgres
