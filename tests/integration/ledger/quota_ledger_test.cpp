// What the ledger says of a contract's quotas: by start of each node, billed and not, within the span, and whether the start is over.
#include "server/postgres/quota_ledger.h"

#include <algorithm>

#include "tests/integration/ledger/fixture.h"

using namespace licet;
using namespace licet::testing;

namespace {

std::map<std::string, ports::QuotaPart> by_start(const Result<std::vector<ports::QuotaPart>>& parts) {
    REQUIRE(parts.ok());
    std::map<std::string, ports::QuotaPart> out;
    for (const auto& part : *parts) out[part.who()] = part;
    return out;
}

}  // namespace

TEST_CASE("quotas: the ledger tells what each start delivered for a contract in a span") {
    using metering::QuotaMetric;
    using metering::QuotaPeriod;
    const Books b;
    const auto quotas = postgres::make_quota_ledger(postgres::make_pool(b.database.serving_dsn()));
    const auto month = metering::quota_span(QuotaPeriod::month, {kNoon}), day = metering::quota_span(QuotaPeriod::day, {kNoon});
    CHECK(by_start(quotas->delivered(kOf.contract, month)).empty());

    constexpr std::int64_t kDay = 86'400'000;
    UsageOf other = kOf;
    other.product = {9};
    UsageOf stranger = kOf;
    stranger.contract = {77};
    Script one, two(4);
    b.flush(
        one.delivered(0, 100).delivered(0, 10, other, kNoon + kDay).delivered(0, 1000, stranger).delivered(100, 120, kOf, kNoon - 30 * kDay).take(),
        "n1");
    b.flush(two.delivered(50, 60).delivered(200, 230).take(), "n2");
    b.flush(two.add(UsageKind::replayed, 200, 205).take(), "n2");

    auto parts = by_start(quotas->delivered(kOf.contract, month));
    REQUIRE(parts.size() == 2);
    CHECK(parts["n1/1"].billed(QuotaMetric::events) == 110);
    CHECK(parts["n1/1"].billed(QuotaMetric::bytes) == bytes_of(0, 100) + bytes_of(0, 10));
    CHECK(parts["n1/1"].unbilled(QuotaMetric::events) == 0);
    // What was paid again counts, what another node was first with does not.
    CHECK(parts["n2/4"].billed(QuotaMetric::events) == 35);
    CHECK(parts["n2/4"].billed(QuotaMetric::bytes) == bytes_of(200, 230) + bytes_of(200, 205));
    CHECK(parts["n2/4"].unbilled(QuotaMetric::events) == 10);
    CHECK(parts["n2/4"].unbilled(QuotaMetric::bytes) == bytes_of(50, 60));
    CHECK_FALSE(parts["n1/1"].ended);
    CHECK_FALSE(parts["n2/4"].ended);
    CHECK(by_start(quotas->delivered(kOf.contract, day))["n1/1"].billed_events == 100);

    // One start alone; and it has ended when a later one is there.
    b.settle(2);
    parts = by_start(quotas->delivered(kOf.contract, month, "n1", 1));
    REQUIRE(parts.size() == 1);
    CHECK(parts["n1/1"].ended);
    CHECK(by_start(quotas->delivered(kOf.contract, month, "n1", 2)).empty());
    CHECK_FALSE(by_start(quotas->delivered(kOf.contract, month))["n2/4"].ended);
}

TEST_CASE("quotas: the sums by start are those of the rows, however often a flush is sent, and nobody who serves writes them") {
    // Rows less sums, of either side that the other has not.
    constexpr const char* kDifferences =
        "SELECT count(*) FROM (SELECT contract, day, node, boot, sum(e) e, sum(b) b, sum(ue) ue, sum(ub) ub FROM "
        "(SELECT contract, day, node, boot, events e, bytes b, 0 ue, 0 ub FROM usage_billed UNION ALL "
        "SELECT contract, day, node, boot, events, bytes, 0, 0 FROM usage_replayed UNION ALL "
        "SELECT contract, day, node, boot, 0, 0, events, bytes FROM usage_unbilled) r GROUP BY 1, 2, 3, 4) r "
        "FULL JOIN usage_by_start s USING (contract, day, node, boot) WHERE "
        "(r.e, r.b, r.ue, r.ub) IS DISTINCT FROM (s.billed_events, s.billed_bytes, s.unbilled_events, s.unbilled_bytes)";
    const Books b;
    constexpr std::int64_t kDay = 86'400'000;
    Script one, two(3);
    const auto first = one.delivered(0, 100).delivered(300, 310, kOf, kNoon + kDay).add(UsageKind::replayed, 0, 50).take();
    for (int i = 0; i < 3; ++i) b.flush(first, "n1");
    b.flush(two.delivered(50, 150).delivered(400, 500).take(), "n2");
    b.flush(one.delivered(100, 120).take(), "n1");
    CHECK(b.database.value(kDifferences) == "0");
    CHECK(b.database.value("SELECT count(*) FROM usage_by_start") == "3");
    CHECK(b.database.value("SELECT billed_events FROM usage_by_start WHERE node = 'n1' AND day = '2026-11-21'") == "170");
    CHECK(b.database.value("SELECT unbilled_events FROM usage_by_start WHERE node = 'n2'") == "100");
    pqxx::connection serving(b.database.serving_dsn());
    for (const auto* sql :
         {"UPDATE usage_by_start SET billed_events = 0", "DELETE FROM usage_by_start", "INSERT INTO usage_by_start SELECT 1, now(), 'n', 1"}) {
        pqxx::work t(serving);
        CHECK_THROWS_AS(t.exec(sql), pqxx::insufficient_privilege);
    }
    // A table of the session's own does not stand in for it.
    {
        pqxx::connection owner(b.database.dsn);
        pqxx::nontransaction t(owner);
        t.exec("CREATE TEMP TABLE usage_by_start (LIKE public.usage_by_start)");
        t.exec(
            "INSERT INTO usage_billed (contract, product, partition, stream_epoch, range, events, bytes, day, region, node, boot, sequence) "
            "VALUES (1, 2, 0, 4, '[900,905)', 5, 5, '2026-11-21', 'eu', 'n1', 1, 99)");
    }
    CHECK(b.database.value("SELECT billed_events FROM public.usage_by_start WHERE node = 'n1' AND day = '2026-11-21'") == "175");
}
