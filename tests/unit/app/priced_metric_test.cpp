// Which quantity of a line is the priced one.
#include "server/app/priced_metric.h"

#include <doctest/doctest.h>

using namespace licet;
using metering::Metric;

namespace {

metering::Decimal decimal(const char* text) { return *metering::Decimal::parse(text); }

ports::Contract priced(std::vector<metering::DatedPrice> prices) {
    ports::Contract out;
    out.prices = std::move(prices);
    return out;
}

metering::Price flat(const char* per_event, const char* per_mb) { return metering::flat_price("EUR", decimal(per_event), decimal(per_mb)); }

metering::Price packages(Metric metric) {
    return {"EUR", {{metric, metering::ChargeModel::package, {}, {}, decimal("10"), decimal("1")}}, {}, {}, {}};
}

Metric of(const ports::Contract& contract, const char* month) { return app::priced_metric(contract, *metering::parse_month(month)); }

}  // namespace

TEST_CASE("what the prices in force in the month count; of several things the first, and what costs nothing is not counted") {
    CHECK(of(priced({{"", flat("0.1", "0")}}), "2026-11") == Metric::events);
    CHECK(of(priced({{"", flat("0", "0.1")}}), "2026-11") == Metric::megabytes);
    CHECK(of(priced({{"", flat("0.1", "0.1")}}), "2026-11") == Metric::events);
    CHECK(of(priced({{"", flat("0", "0")}}), "2026-11") == Metric::events);
    CHECK(of(priced({{"", packages(Metric::minutes)}}), "2026-11") == Metric::minutes);
    CHECK(of(priced({}), "2026-11") == Metric::events);
    const auto changed = priced({{"", flat("0.1", "0")}, {"2026-11-01", flat("0", "0.1")}, {"2026-12-15", packages(Metric::minutes)}});
    CHECK(of(changed, "2026-10") == Metric::events);
    CHECK(of(changed, "2026-11") == Metric::megabytes);
    CHECK(of(changed, "2026-12") == Metric::megabytes);  // both
    CHECK(of(changed, "2027-01") == Metric::minutes);
}
