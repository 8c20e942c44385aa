#include "server/app/periods.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "metering/month.h"
#include "server/app/account_invoicing.h"
#include "server/app/fields.h"
#include "server/app/period_accounts.h"
#include "server/app/statement_documents.h"

namespace licet::app {
namespace {

using nlohmann::json;
using ports::StatementRow;

constexpr std::uint64_t kBlock = std::uint64_t{1} << ports::kStatementTreeLevel;

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}
Error invalid(std::string where, std::string why) { return {Errc::invalid_parameter, std::move(why), std::move(where)}; }

Result<std::size_t> limit_of(std::string_view text, std::size_t most) {
    const auto limit = text.empty() ? std::optional<std::uint64_t>(most) : number_of(text);
    if (!limit || *limit == 0 || *limit > most) return invalid("query:limit", "expected 1 to " + std::to_string(most));
    return static_cast<std::size_t>(*limit);
}

std::string month_text(UtcMillis at) { return format_rfc3339(at).substr(0, 7); }
std::string next_month(const std::string& period) { return month_text(metering::parse_month(period)->to); }

json closed_json(const ports::ClosedPeriod& closed) {
    json out{{"period", closed.period},
             {"state", "closed"},
             {"closedAt", format_rfc3339(closed.closed_at)},
             {"closedBy", closed.closed_by},
             {"statements", closed.statements}};
    if (closed.statements > 0) {
        out["firstStatement"] = closed.first_number;
        out["lastStatement"] = closed.first_number + closed.statements - 1;
    }
    return out;
}

json closing_json(const ports::PeriodCut& cut) {
    return {{"period", cut.period}, {"state", "closing"}, {"cutAt", format_rfc3339(cut.at)}, {"cutBy", cut.by}};
}

json node_json(const ports::NodeProgress& node) {
    return {{"node", node.node},
            {"boot", node.boot},
            {"sequence", node.sequence},
            {"state", node.state},
            {"flushedUntil", node.flushed_until.value == 0 ? json() : json(format_rfc3339(node.flushed_until))}};
}

Result<Reply> already_closed(const ports::ClosedPeriod& closed) {
    Error error(Errc::period_closed, "it was closed at " + format_rfc3339(closed.closed_at) + " by " + closed.closed_by, "path:period");
    error.members = closed_json(closed).dump();
    return error;
}

}  // namespace

Result<Reply> Periods::list() const {
    const auto closed = parts_.billing->closed();
    if (!closed) return closed.error();
    const auto closing = parts_.billing->closing();
    if (!closing) return closing.error();
    const auto months = parts_.billing->open_months();
    if (!months) return months.error();
    const auto nodes = parts_.billing->nodes();
    if (!nodes) return nodes.error();
    const UtcMillis now = parts_.clock->utc_now();
    json periods = json::array();
    for (const auto& one : *closed) periods.push_back(closed_json(one));
    std::string at = !closed->empty() ? next_month(closed->back().period) : months->empty() ? month_text(now) : months->front();
    if (closing->has_value()) at = std::min(at, (*closing)->period);  // also when nothing was booked into it
    for (const std::string last = std::max(month_text(now), months->empty() ? std::string() : months->back()); at <= last; at = next_month(at)) {
        const auto month = metering::parse_month(at);
        if (closing->has_value() && (*closing)->period == at) {
            periods.push_back(closing_json(**closing));
            continue;
        }
        json gaps = json::array();
        for (const auto& node : *nodes)
            if (node.state == "running" && node.flushed_until < month->to) gaps.push_back(node_json(node));
        periods.push_back({{"period", at}, {"state", now < month->to ? "current" : gaps.empty() ? "closable" : "open"}, {"gaps", std::move(gaps)}});
    }
    json all = json::array();
    for (const auto& node : *nodes) all.push_back(node_json(node));
    return Reply{200, {{"region", parts_.region}, {"periods", std::move(periods)}, {"nodes", std::move(all)}}};
}

// Until it is sealed no line of it is written, and then those are written that were sealed.
Status Periods::make(const ports::PeriodCut& cut, ports::BookedUsage& ledger, ports::ChainEnd chain, ports::StatementSink& sink) const {
    const auto terms = parse_terms(cut.terms);
    if (!terms) return terms.error();
    const Sealing sealing{*parts_.crypto, *parts_.signer};
    return each_account(ledger, *terms, {cut.period, parts_.region, true, {}, {}}, [&](RatedAccount& made) -> Status {
        LinesSeal sealed(sealing.crypto, made.account().exponent), written(sealing.crypto, made.account().exponent);
        const auto hashed = made.lines([&](const ports::AccountLine& line) -> Status {
            const auto text = sealed.add(line);
            return text ? success() : Status(text.error());
        });
        if (!hashed) return hashed;
        const auto row = make_statement(sealing, {parts_.region, cut.at}, made.account(), sealed.done(), made.contract(), chain);
        if (auto begun = sink.begin(row); !begun) return begun;
        std::vector<merkle::Node> subtrees;
        const auto told = made.lines([&](const ports::AccountLine& line) -> Status {
            const auto text = written.add(line, &subtrees);
            if (!text) return text.error();
            if (auto taken = sink.line(*text); !taken) return taken;
            for (const auto& node : subtrees)
                if (auto taken = sink.subtree(node); !taken) return taken;
            subtrees.clear();
            return success();
        });
        if (!told) return told;
        const auto was = sealed.done(), is = written.done();
        if (was.count != is.count || was.root != is.root || was.total != is.total || is.total != made.account().total ||
            is.count != made.account().lines)
            return Error{Errc::corrupt, "contract " + made.account().contract + ": its lines came out otherwise the second time", {}};
        chain = {chain.next + 1, row.hash};
        return success();
    });
}

Result<BillingTerms> Periods::terms_now() const {
    const auto configuration = parts_.configuration();
    if (!configuration) return configuration.error();
    auto out = terms_of(*configuration);
    out.invoicing = parts_.invoicing;
    return out;
}

// Nothing is cut that cannot be rated: what stands in the way is found while it still can be mended.
Result<ports::PeriodCut> Periods::cut(const Actor& actor, const metering::Month& month, const std::string& period) {
    const UtcMillis now = parts_.clock->utc_now();
    if (now < month.to) {
        Error error(Errc::period_open, "the period ends at " + format_rfc3339(month.to), "path:period");
        error.members = json{{"gaps", json::array()}, {"earlier", json::array()}}.dump();
        return error;
    }
    if (auto may = parts_.billing->may_cut(period); !may) return may.error();
    const auto terms = terms_now();
    if (!terms) return terms.error();
    Unrated unrated;
    const auto rated = parts_.billing->read([&](ports::BookedUsage& ledger) {
        return each_account(
            ledger, *terms, {period, parts_.region, true, {}, {}}, [](RatedAccount&) { return success(); },
            [&](const std::string& contract, const Error& why) { unrated.add(contract, why); });
    });
    if (!rated) return rated.error();
    if (auto all = unrated.status(); !all) return all.error();
    return parts_.billing->cut(period, now, {actor.client, "period.cut", period, json::object()}, terms_text(*terms));
}

Result<Reply> Periods::close(const Actor& actor, const std::string& period) {
    const auto month = metering::parse_month(period);
    if (!month) return invalid("path:period", "expected YYYY-MM");
    const auto before = parts_.billing->closed();
    if (!before) return before.error();
    for (const auto& one : *before)
        if (one.period == period) return already_closed(one);
    const auto closing = parts_.billing->closing();
    if (!closing) return closing.error();
    // Somebody else may have closed it meanwhile: then it is said when, and by whom.
    const auto refused = [&](const Error& error) -> Result<Reply> {
        const auto now_closed = error.code == Errc::period_closed ? parts_.billing->closed() : Result<std::vector<ports::ClosedPeriod>>(error);
        if (now_closed)
            for (const auto& one : *now_closed)
                if (one.period == period) return already_closed(one);
        return error;
    };
    // What was cut is taken up where it is, whoever cut it.
    if (!closing->has_value() || (*closing)->period != period)
        if (auto done = cut(actor, *month, period); !done) return refused(done.error());
    const auto make_all = [&](const ports::PeriodCut& cut, ports::BookedUsage& ledger, const ports::ChainEnd& chain, ports::StatementSink& sink) {
        return make(cut, ledger, chain, sink);
    };
    const ports::AuditEntry audit{actor.client, "period.close", period, json::object()};
    auto done = parts_.billing->close(period, audit, make_all);
    if (!done && done.error().code == Errc::internal) {
        // By the terms it was cut with it cannot be rated. No statement of it is made: it may be by those of now.
        const auto terms = terms_now();
        if (!terms) return terms.error();
        const auto restated = parts_.billing->restate(period, terms_text(*terms), {actor.client, "period.restate", period, json::object()});
        if (!restated) return restated.error();
        done = parts_.billing->close(period, audit, make_all);
    }
    if (!done) return refused(done.error());
    return Reply{200, closed_json(*done)};
}

Result<Reply> Periods::write_off(const Actor& actor, const std::string& node, const json& body) {
    Fields fields(body);
    const std::string reason = fields.text("reason", limits::correction_reason_max_bytes);
    if (auto error = fields.finish()) return *error;
    const UtcMillis silent_since{parts_.clock->utc_now().value - limits::node_silence_ms};
    const auto open = parts_.billing->write_off(node, silent_since, {actor.client, "node.write_off", node, {{"reason", reason}}});
    if (!open) return open.error();
    return Reply{200, {{"node", node}, {"state", "written-off"}, {"intendedOffsets", *open}}};
}

Result<std::string> Periods::statements(const StatementsQuery& query, const std::string& party) const {
    if (!query.period.empty() && !metering::parse_month(query.period)) return invalid("query:period", "expected YYYY-MM");
    const auto after = query.after.empty() ? std::optional<std::uint64_t>(0) : number_of(query.after);
    if (!after) return invalid("query:after", "expected a statement's number");
    const auto limit = limit_of(query.limit, limits::statements_page_max);
    if (!limit) return limit.error();
    const auto rows = parts_.billing->statements({query.period, query.contract, party, *after, *limit});
    if (!rows) return rows.error();
    std::string out;
    for (const auto& row : *rows) out += row.document + "\n";
    return out;
}

Result<StatementRow> Periods::row(std::string_view number, const std::string& party) const {
    const auto wanted = number_of(number);
    if (!wanted || *wanted == 0 || *wanted > std::uint64_t{1} << 62) return Error{Errc::not_found, "no such statement", "path:number"};
    auto row = parts_.billing->statement(*wanted);
    // Whose it is, others are not told that there is one.
    if (row && !party.empty() && row->party != party) return Error{Errc::not_found, "no such statement", "path:number"};
    return row;
}

Result<std::string> Periods::statement(std::string_view number, const std::string& party) const {
    auto held = row(number, party);
    if (!held) return held.error();
    return std::move(held->document);
}

Result<std::string> Periods::lines(std::string_view number, std::string_view after_text, std::string_view limit_text,
                                   const std::string& party) const {
    const auto after = after_text.empty() ? std::optional<std::uint64_t>(0) : number_of(after_text);
    if (!after || *after > std::uint64_t{1} << 62) return invalid("query:after", "expected a line's number");
    const auto limit = limit_of(limit_text, limits::statement_page_lines_max);
    if (!limit) return limit.error();
    const auto held = row(number, party);
    if (!held) return held.error();
    const auto lines = parts_.billing->statement_lines(held->number, *after, *limit);
    if (!lines) return lines.error();
    std::string out;
    for (const auto& line : *lines) out += line + "\n";
    return out;
}

Result<std::vector<merkle::Hash>> Periods::proof_hashes(std::uint64_t number, std::uint64_t index, std::uint64_t size) const {
    const merkle::Sha256 sha = [this](Bytes data) { return parts_.crypto->sha256(data); };
    const merkle::Path path = merkle::inclusion_path(index, size);
    // Subtrees smaller than what is stored are of the leaf's own block of lines, or of the last one.
    std::map<merkle::NodeId, merkle::Hash> known;
    for (const std::uint64_t block : std::set<std::uint64_t>{index / kBlock, (size - 1) / kBlock}) {
        const auto lines = parts_.billing->statement_lines(number, block * kBlock, kBlock);
        if (!lines) return lines.error();
        if (lines->size() != std::min(kBlock, size - block * kBlock)) return Error{Errc::corrupt, "the statement lacks lines", {}};
        std::vector<merkle::Node> level;
        for (std::uint64_t i = 0; i < lines->size(); ++i)
            level.push_back({{0, block * kBlock + i}, merkle::leaf_hash(sha, as_bytes((*lines)[static_cast<std::size_t>(i)]))});
        while (!level.empty()) {
            std::vector<merkle::Node> above;
            for (std::size_t i = 0; i < level.size(); ++i) {
                known.emplace(level[i].id, level[i].hash);
                if (i % 2 == 1)
                    above.push_back({{level[i].id.level + 1, level[i].id.index / 2}, merkle::node_hash(sha, level[i - 1].hash, level[i].hash)});
            }
            level = std::move(above);
        }
    }
    std::vector<merkle::NodeId> stored;
    for (const auto& ids : path)
        for (const auto& id : ids)
            if (known.count(id) == 0) stored.push_back(id);
    const auto hashes = parts_.billing->statement_nodes(number, stored);
    if (!hashes) return hashes.error();
    for (std::size_t i = 0; i < stored.size(); ++i) known.emplace(stored[i], (*hashes)[i]);
    std::vector<merkle::Hash> out;
    for (const auto& ids : path) {
        std::vector<merkle::Hash> parts;
        for (const auto& id : ids) parts.push_back(known.at(id));
        out.push_back(merkle::fold(sha, parts));
    }
    return out;
}

Result<std::string> Periods::proof(std::string_view number, std::string_view which, const std::string& party) const {
    const auto held = row(number, party);
    if (!held) return held.error();
    const json document = json::parse(held->document, nullptr, false);
    const auto size = document.is_object() ? document.value("lines", std::uint64_t{0}) : 0;
    const auto line = number_of(which);
    if (!line || *line == 0 || *line > size) return invalid("query:line", "expected 1 to " + std::to_string(size));
    const auto hashes = proof_hashes(held->number, *line - 1, size);
    if (!hashes) return hashes.error();
    const auto text = parts_.billing->statement_lines(held->number, *line - 1, 1);
    if (!text) return text.error();
    if (text->empty()) return Error{Errc::corrupt, "the statement lacks lines", {}};
    json list = json::array();
    for (const auto& hash : *hashes) list.push_back(hex(hash));
    return canonical(
        {{"kind", "licet/receipt/1"}, {"statement", document}, {"line", json::parse(text->front(), nullptr, false)}, {"proof", std::move(list)}});
}

json Periods::key() const {
    const auto key = parts_.signer->public_key();
    return {{"algorithm", "Ed25519"}, {"publicKey", base64url(key)}, {"keyId", statement_key_id(*parts_.crypto, key)}};
}

}  // namespace licet::app
