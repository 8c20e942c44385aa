#include "server/postgres/statement_rows.h"

#include <algorithm>

#include "base/encoding.h"
#include "server/postgres/pool.h"

namespace licet::postgres {
namespace {

constexpr const char* kColumns =
    "SELECT number, kind, to_char(period, 'YYYY-MM'), contract, party, document, hash, previous, reference FROM statements ";

ports::StatementRow row_of(const pqxx::row& r) {
    ports::StatementRow out;
    out.number = r[0].as<std::uint64_t>();
    const auto kind = r[1].as<std::string>();
    out.kind = kind == "statement"     ? ports::StatementKind::statement
               : kind == "credit-note" ? ports::StatementKind::credit_note
                                       : ports::StatementKind::debit_note;
    out.period = r[2].as<std::string>();
    out.contract = r[3].as<std::string>();
    out.party = r[4].as<std::string>();
    out.document = r[5].as<std::string>();
    out.hash = r[6].as<std::string>();
    out.previous = r[7].as<std::string>();
    out.reference = r[8].as<std::string>("");
    return out;
}

}  // namespace

void lock_chain(pqxx::work& t) { t.exec("SELECT pg_advisory_xact_lock(7811887391290093940)"); }

ports::ChainEnd chain_end(pqxx::work& t) {
    const auto rows = t.exec("SELECT number, hash FROM statements ORDER BY number DESC LIMIT 1");
    if (rows.empty()) return {};
    return {rows[0][0].as<std::uint64_t>() + 1, rows[0][1].as<std::string>()};
}

void insert_statement(pqxx::work& t, const ports::NewStatement& made) {
    const auto& row = made.row;
    t.exec_params("INSERT INTO statements VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''))", row.number,
                  std::string(ports::statement_kind_name(row.kind)), row.period + "-01", row.contract, row.party, row.document, row.hash,
                  row.previous, row.reference);
    if (!made.lines.empty()) {
        pqxx::stream_to lines(t, "statement_lines");
        std::uint64_t no = 0;
        for (const auto& line : made.lines) lines << std::make_tuple(row.number, ++no, line);
        lines.complete();
    }
    if (!made.subtrees.empty()) {
        pqxx::stream_to subtrees(t, "statement_tree");
        for (const auto& node : made.subtrees) subtrees << std::make_tuple(row.number, node.id.level, node.id.index, "\\x" + hex(node.hash));
        subtrees.complete();
    }
}

std::vector<ports::StatementRow> read_statements(pqxx::work& t, const ports::StatementsWanted& wanted) {
    std::vector<ports::StatementRow> out;
    for (const auto& r :
         t.exec_params(std::string(kColumns) + "WHERE number > $1 AND ($2 = '' OR period = ($2 || '-01')::date) AND ($3 = '' OR contract = $3) "
                                               "AND ($4 = '' OR party = $4) ORDER BY number LIMIT $5",
                       wanted.after, wanted.period, wanted.contract, wanted.party, wanted.most))
        out.push_back(row_of(r));
    return out;
}

std::optional<ports::StatementRow> read_statement_of(pqxx::work& t, std::string_view period, std::string_view contract) {
    const auto rows = t.exec_params(std::string(kColumns) + "WHERE kind = 'statement' AND period = ($1 || '-01')::date AND contract = $2",
                                    std::string(period), std::string(contract));
    if (rows.empty()) return std::nullopt;
    return row_of(rows[0]);
}

std::vector<merkle::Hash> read_subtrees(pqxx::work& t, std::uint64_t number, const std::vector<merkle::NodeId>& ids) {
    std::vector<merkle::Hash> out;
    for (const auto& id : ids) {
        const auto rows = t.exec_params("SELECT encode(hash, 'hex') FROM statement_tree WHERE number = $1 AND level = $2 AND position = $3", number,
                                        id.level, id.index);
        const auto raw = rows.empty() ? std::nullopt : parse_hex(rows[0][0].as<std::string>());
        if (!raw || raw->size() != 32) throw Refused{{Errc::corrupt, "the tree of the statement lacks a subtree", {}}};
        std::copy(raw->begin(), raw->end(), out.emplace_back().begin());
    }
    return out;
}

}  // namespace licet::postgres
