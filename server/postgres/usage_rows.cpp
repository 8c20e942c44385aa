#include "server/postgres/usage_rows.h"

#include "base/time.h"

namespace licet::postgres {
namespace {

std::string day(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

std::string array_of(const std::vector<ContractNo>& contracts) {
    std::string out = "{";
    for (const auto c : contracts) out += (out.size() > 1 ? "," : "") + std::to_string(c.value);
    return out + "}";
}

}  // namespace

std::vector<ports::UsageTotal> usage_totals(pqxx::work& t, UtcMillis from, UtcMillis to, UtcMillis booked_before,
                                            const std::vector<ContractNo>& contracts) {
    std::vector<ports::UsageTotal> out;
    for (const auto& r : t.exec_params(
             "SELECT contract, product, day, region, CASE view WHEN 0 THEN '' ELSE lpad(to_hex(view), 16, '0') END, sum(events), sum(bytes), "
             "sum(minutes), sum(replayed_events), sum(replayed_bytes) FROM usage_lines WHERE day >= $1 AND day < $2 AND period < $3 AND "
             "($4::int[] = '{}' OR contract = ANY($4::int[])) GROUP BY contract, product, day, region, view "
             "ORDER BY contract, product, day, region, view",
             day(from), day(to), day(booked_before), array_of(contracts))) {
        ports::UsageTotal total;
        total.contract = {r[0].as<std::uint32_t>()};
        total.product = {r[1].as<std::uint32_t>()};
        total.day = r[2].as<std::string>();
        total.region = r[3].as<std::string>();
        total.view = r[4].as<std::string>();
        total.events = r[5].as<std::uint64_t>();
        total.bytes = r[6].as<std::uint64_t>();
        total.minutes = r[7].as<std::uint64_t>();
        total.replayed_events = r[8].as<std::uint64_t>();
        total.replayed_bytes = r[9].as<std::uint64_t>();
        out.push_back(std::move(total));
    }
    return out;
}

std::vector<ports::UsageBalance> usage_balance(pqxx::work& t, UtcMillis from, UtcMillis to, const std::vector<ContractNo>& contracts) {
    std::vector<ports::UsageBalance> out;
    for (const auto& r : t.exec_params(
             "SELECT contract, product, coalesce(de, 0), coalesce(db, 0), coalesce(be, 0), coalesce(bb, 0), coalesce(ue, 0), coalesce(ub, 0), "
             "coalesce(offsets, 0) FROM "
             "(SELECT contract, product, sum(delivered_events) de, sum(delivered_bytes) db, sum(billed_events) be, sum(billed_bytes) bb, "
             "sum(unbilled_events) ue, sum(unbilled_bytes) ub FROM usage_balance WHERE period >= $1 AND period < $2 "
             "AND ($3::int[] = '{}' OR contract = ANY($3::int[])) GROUP BY 1, 2) books "
             "FULL JOIN (SELECT contract, product, sum(offsets) offsets FROM "
             // Of a month that is cut it stays what it was.
             "(SELECT contract, product, period, offsets FROM usage_suspense_offsets WHERE period NOT IN (SELECT period FROM billing_cuts) "
             "UNION ALL SELECT contract, product, period, offsets FROM billing_suspense) suspense "
             "WHERE period >= $1 AND period < $2 AND ($3::int[] = '{}' OR contract = ANY($3::int[])) GROUP BY 1, 2) open "
             "USING (contract, product) ORDER BY 1, 2",
             day(from), day(to), array_of(contracts))) {
        const auto count = [&](int at) { return ports::UsageCount{r[at].as<std::uint64_t>(), r[at + 1].as<std::uint64_t>()}; };
        out.push_back({{r[0].as<std::uint32_t>()}, {r[1].as<std::uint32_t>()}, count(2), count(4), count(6), r[8].as<std::uint64_t>()});
    }
    return out;
}

}  // namespace licet::postgres
