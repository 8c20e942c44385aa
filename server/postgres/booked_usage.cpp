#include "server/postgres/booked_usage.h"

#include "base/usage_limits.h"
#include "server/postgres/period_rows.h"
#include "server/postgres/statement_rows.h"
#include "server/postgres/usage_rows.h"

namespace licet::postgres {
namespace {

using ports::UsagePart;

template <class No>
std::string array_of(const std::vector<No>& numbers) {
    std::string out = "{";
    for (const auto n : numbers) out += (out.size() > 1 ? "," : "") + std::to_string(n.value);
    return out + "}";
}

// Of numbers and dates only: a cursor takes no parameters.
std::string parts_query(const ports::PartsWanted& wanted) {
    const Month charged = month_of(wanted.charge_period), period = month_of(wanted.period);
    std::string months;
    for (Month month = charged; month.from <= period.from; month = month_of(day_text(month.to).substr(0, 7)))
        months += (months.empty() ? "" : ",") + day_text(month.from);
    const std::string before = "period < '" + day_text(period.from) + "'";
    const std::string where = " WHERE contract = " + std::to_string(wanted.contract.value) + " AND period = ANY('{" + months +
                              "}'::date[]) AND day >= '" + day_text(charged.from) + "' AND day < '" + day_text(charged.to) + "'";
    const auto sum = [&](const std::string& of) { return ", sum(" + of + "), coalesce(sum(" + of + ") FILTER (WHERE " + before + "), 0)"; };
    return "SELECT g.* FROM (SELECT product, day, region, CASE view WHEN 0 THEN '' ELSE lpad(to_hex(view), 16, '0') END AS view, bool_or(" + before +
           ")" + sum("events") + sum("bytes") + sum("minutes") + sum("replayed_events") + sum("replayed_bytes") +
           " FROM (SELECT product, day, region, view, period, events, bytes, 0 AS minutes, 0 AS replayed_events, 0 AS replayed_bytes FROM "
           "usage_billed" +
           where + " UNION ALL SELECT product, day, region, view, period, 0, 0, 1, 0, 0 FROM usage_minutes" + where +
           " UNION ALL SELECT product, day, region, view, period, 0, 0, 0, events, bytes FROM usage_replayed" + where +
           ") entries GROUP BY product, day, region, entries.view) g LEFT JOIN unnest('" + array_of(wanted.products) +
           "'::int[]) WITH ORDINALITY known(no, rank) ON known.no = g.product "
           "ORDER BY g.day, known.rank NULLS FIRST, g.region COLLATE \"C\", g.view COLLATE \"C\"";
}

UsagePart part_of(const pqxx::row& r) {
    const auto number = [&](int at) { return r[at].as<std::uint64_t>(); };
    UsagePart out;
    out.product = {r[0].as<std::uint32_t>()};
    out.day = r[1].as<std::string>();
    out.region = r[2].as<std::string>();
    out.view = r[3].as<std::string>();
    out.was_earlier = r[4].as<bool>();
    out.all = {{number(5), number(7)}, {number(11), number(13)}, number(9)};
    out.earlier = {{number(6), number(8)}, {number(12), number(14)}, number(10)};
    return out;
}

// Few parts are kept; many stay with the database, which sorts them once and goes over them as often as it is asked.
class Parts final : public ports::UsageParts {
  public:
    Parts(pqxx::work& t, const std::string& cursor, const std::string& query) : t_(t), cursor_(cursor) {
        t_.exec("DECLARE " + cursor_ + " SCROLL CURSOR FOR " + query);
        const auto first = fetch();
        if (first.size() < limits::usage_parts_page_rows) {
            for (const auto& row : first) held_.push_back(part_of(row));
            close();
        }
    }
    ~Parts() override { close(); }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    Status each(const std::function<Status(const UsagePart&)>& take) override {
        for (const auto& part : held_)
            if (auto taken = take(part); !taken) return taken;
        if (cursor_.empty()) return success();
        t_.exec("MOVE ABSOLUTE 0 IN " + cursor_);
        for (;;) {
            const auto rows = fetch();
            for (const auto& row : rows)
                if (auto taken = take(part_of(row)); !taken) return taken;
            if (rows.size() < limits::usage_parts_page_rows) return success();
        }
    }

  private:
    pqxx::result fetch() { return t_.exec("FETCH FORWARD " + std::to_string(limits::usage_parts_page_rows) + " FROM " + cursor_); }
    void close() noexcept {
        try {
            if (!cursor_.empty()) t_.exec("CLOSE " + cursor_);
        } catch (const std::exception&) {  // the transaction failed, and the cursor went with it
        }
        cursor_.clear();
    }

    pqxx::work& t_;
    std::string cursor_;  // empty: all are held
    std::vector<UsagePart> held_;
};

constexpr const char* kOfPeriod = " WHERE period = $1 AND ($2::int[] = '{}' OR contract = ANY($2::int[]))";

std::string of_each_table(const std::string& columns, const std::string& where) {
    std::string out;
    for (const char* table : {"usage_billed", "usage_minutes", "usage_replayed"})
        out += (out.empty() ? "SELECT " : " UNION SELECT ") + columns + " FROM " + table + where;
    return out + " ORDER BY 1";
}

}  // namespace

Result<std::unique_ptr<ports::UsageParts>> Booked::parts(const ports::PartsWanted& wanted) {
    return std::unique_ptr<ports::UsageParts>(std::make_unique<Parts>(t_, "usage_parts_" + std::to_string(++cursors_), parts_query(wanted)));
}

Result<std::vector<ContractNo>> Booked::used(std::string_view period, const std::vector<ContractNo>& contracts) {
    std::vector<ContractNo> out;
    for (const auto& r : t_.exec_params(of_each_table("contract", kOfPeriod), day_text(month_of(period).from), array_of(contracts)))
        out.push_back({r[0].as<std::uint32_t>()});
    return out;
}

Result<std::vector<ports::BookedUsage::Late>> Booked::late(std::string_view period, const std::vector<ContractNo>& contracts) {
    std::vector<Late> out;
    const auto query = of_each_table("contract, to_char(day, 'YYYY-MM')", std::string(kOfPeriod) + " AND day < period");
    for (const auto& r : t_.exec_params(query, day_text(month_of(period).from), array_of(contracts)))
        out.push_back({{r[0].as<std::uint32_t>()}, r[1].as<std::string>()});
    return out;
}

Result<std::vector<ports::UsageBalance>> Booked::balance(std::string_view period, const std::vector<ContractNo>& contracts) {
    const Month month = month_of(period);
    return usage_balance(t_, month.from, month.to, contracts);
}

Status Booked::correction_lines(std::string_view period, std::string_view contract, const std::function<Status(const std::string&)>& take) {
    std::uint64_t number = 0, no = 0;
    for (;;) {
        const auto rows = t_.exec_params(
            "SELECT l.number, l.no, l.line FROM statements s JOIN statement_lines l USING (number) WHERE s.kind <> 'statement' AND s.period = $1 AND "
            "s.contract = $2 AND (l.number, l.no) > ($3::bigint, $4::bigint) ORDER BY l.number, l.no LIMIT $5",
            day_text(month_of(period).from), std::string(contract), number, no, limits::correction_lines_max);
        for (const auto& r : rows) {
            if (auto taken = take(r[2].as<std::string>()); !taken) return taken;
            number = r[0].as<std::uint64_t>();
            no = r[1].as<std::uint64_t>();
        }
        if (rows.size() < limits::correction_lines_max) return success();
    }
}

Result<std::optional<ports::StatementRow>> Booked::statement_of(std::string_view period, std::string_view contract) {
    return read_statement_of(t_, period, contract);
}

Result<std::vector<std::string>> Booked::statement_lines(std::uint64_t number, std::uint64_t after, std::size_t most) {
    return read_lines(t_, number, after, most);
}

}  // namespace licet::postgres
