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
