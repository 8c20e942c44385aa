#include "server/postgres/statement_rows.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/usage_limits.h"
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

bool try_lock_chain(pqxx::work& t) { return t.exec("SELECT pg_try_advisory_xact_lock(7811887391290093940)")[0][0].as<bool>(); }

void insert_statement(pqxx::work& t, const ports::NewStatement& made) {
    StatementWriter writer(t);
    (void)writer.begin(made.row);
    for (const auto& line : made.lines) (void)writer.line(line);
    for (const auto& node : made.subtrees) (void)writer.subtree(node);
    writer.finish();
}

Status StatementWriter::begin(const ports::StatementRow& row) {
    write();
    t_.exec_params("INSERT INTO statements VALUES ($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''))", row.number,
                   std::string(ports::statement_kind_name(row.kind)), row.period + "-01", row.contract, row.party, row.document, row.hash,
                   row.previous, row.reference);
    number_ = row.number;
    no_ = 0;
    ++statements_;
    return success();
}

Status StatementWriter::line(const std::string& line) {
    lines_.push_back(line);
    if (lines_.size() >= limits::statement_page_lines_max) write();
    return success();
}

Status StatementWriter::subtree(const merkle::Node& node) {
    subtrees_.push_back(node);
    return success();
}

void StatementWriter::write() {
    if (!lines_.empty()) {
        pqxx::stream_to lines(t_, "statement_lines");
        for (const auto& line : lines_) lines << std::make_tuple(number_, ++no_, line);
        lines.complete();
        lines_.clear();
    }
    if (!subtrees_.empty()) {
        pqxx::stream_to subtrees(t_, "statement_tree");
        for (const auto& node : subtrees_) subtrees << std::make_tuple(number_, node.id.level, node.id.index, "\\x" + hex(node.hash));
        subtrees.complete();
        subtrees_.clear();
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

std::vector<std::string> read_lines(pqxx::work& t, std::uint64_t number, std::uint64_t after, std::size_t most) {
    std::vector<std::string> out;
    for (const auto& r : t.exec_params("SELECT line FROM statement_lines WHERE number = $1 AND no > $2 ORDER BY no LIMIT $3", number, after, most))
        out.push_back(r[0].as<std::string>());
    return out;
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
