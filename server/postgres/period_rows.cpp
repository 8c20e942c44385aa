#include "server/postgres/period_rows.h"

#include <nlohmann/json.hpp>

#include "server/postgres/pool.h"

namespace licet::postgres {
namespace {

using nlohmann::json;
using ports::NodeProgress;

// The first day of the first month usage is booked into; empty: none was cut.
std::string open_from(pqxx::work& t) {
    const auto rows = t.exec("SELECT (max(period) + interval '1 month')::date FROM billing_cuts");
    return rows[0][0].is_null() ? std::string() : rows[0][0].as<std::string>();
}

Error still_open(std::string detail, const json& gaps, const json& earlier) {
    Error error(Errc::period_open, std::move(detail), {});
    error.members = json{{"gaps", gaps}, {"earlier", earlier}}.dump();
    return error;
}

}  // namespace

std::string day_text(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

Month month_of(std::string_view period) {
    const auto month = metering::parse_month(period);
    if (!month) throw Refused{{Errc::invalid_parameter, "expected YYYY-MM", "path:period"}};
    return *month;
}

std::vector<NodeProgress> read_nodes(pqxx::work& t) {
    std::vector<NodeProgress> out;
    for (const auto& r : t.exec("SELECT n.node, n.boot, coalesce(w.sequence, 0), n.state, n.flushed_until, n.heard_at FROM usage_nodes n LEFT JOIN "
                                "usage_watermark w USING (node, boot) ORDER BY 1"))
        out.push_back({r[0].as<std::string>(),
                       r[1].as<std::uint64_t>(),
                       r[2].as<std::uint64_t>(),
                       r[3].as<std::string>(),
                       {r[4].as<std::int64_t>()},
                       {r[5].as<std::int64_t>()}});
    return out;
}

std::optional<ports::PeriodCut> read_closing(pqxx::work& t) {
    const auto rows = t.exec(
        "SELECT to_char(c.period, 'YYYY-MM'), c.cut_at, c.cut_by, (SELECT terms FROM billing_terms s WHERE s.period = c.period ORDER BY revision "
        "DESC "
        "LIMIT 1) FROM billing_cuts c WHERE NOT EXISTS (SELECT 1 FROM billing_periods p WHERE p.period = c.period)");
    if (rows.empty()) return std::nullopt;
    const auto& r = rows[0];
    return ports::PeriodCut{r[0].as<std::string>(), {r[1].as<std::int64_t>()}, r[2].as<std::string>(), r[3].as<std::string>("")};
}

void refuse_unless_open(pqxx::work& t, const Month& month) {
    const auto open = open_from(t);
    if (day_text(month.from) < open) throw Refused{{Errc::period_closed, "the period is closed: open ones begin with " + open.substr(0, 7), {}}};
}

// Nodes that may still bring deliveries of the period, and months before it.
void refuse_unless_over(pqxx::work& t, const Month& month) {
    if (t.exec("SELECT licet_utc_ms()")[0][0].as<std::int64_t>() < month.to.value)
        throw Refused{still_open("the period is not over by the database's clock", json::array(), json::array())};
    json gaps = json::array(), earlier = json::array();
    std::string detail;
    for (const auto& node : read_nodes(t)) {
        if (node.state != "running" || node.flushed_until >= month.to) continue;
        gaps.push_back({{"node", node.node},
                        {"boot", node.boot},
                        {"sequence", node.sequence},
                        {"flushedUntil", node.flushed_until.value == 0 ? json() : json(format_rfc3339(node.flushed_until))}});
        if (gaps.size() == 1) detail = "node " + node.node + " has not brought all it delivered before " + format_rfc3339(month.to);
    }
    if (gaps.size() > 1) detail += ", and " + std::to_string(gaps.size() - 1) + " more nodes have not";
    if (const auto closing = read_closing(t)) earlier.push_back(closing->period);
    const auto open = open_from(t);
    for (const auto& r :
         t.exec_params("SELECT to_char(period, 'YYYY-MM') FROM usage_months WHERE period < $1 AND ($2 = '' OR period >= $2::date) ORDER BY 1",
                       day_text(month.from), open))
        earlier.push_back(r[0].as<std::string>());
    if (earlier.empty() && !open.empty() && open < day_text(month.from)) earlier.push_back(open.substr(0, 7));
    if (!earlier.empty()) detail += (detail.empty() ? "" : "; ") + earlier.front().get<std::string>() + " is to be closed first";
    if (!gaps.empty() || !earlier.empty()) throw Refused{still_open(std::move(detail), gaps, earlier)};
}

void insert_cut(pqxx::work& t, const ports::PeriodCut& cut) {
    const Month month = month_of(cut.period);
    t.exec_params("INSERT INTO billing_cuts VALUES ($1, $2, $3)", day_text(month.from), cut.at.value, cut.by);
    t.exec_params(
        "INSERT INTO billing_suspense SELECT $1::date, contract, product, sum(offsets) FROM usage_suspense_offsets WHERE period = $1::date GROUP BY "
        "2, 3",
        day_text(month.from));
    insert_terms(t, month, cut.terms);
}

void insert_terms(pqxx::work& t, const Month& month, const std::string& terms) {
    t.exec_params("INSERT INTO billing_terms SELECT $1::date, coalesce(max(revision), 0) + 1, $2::text FROM billing_terms WHERE period = $1::date",
                  day_text(month.from), terms);
}

}  // namespace licet::postgres
