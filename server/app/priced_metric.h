// What a contract's prices of a month count, for reports that have one quantity per line. Used by drafts and statements. Pure.
#pragma once

#include "metering/month.h"
#include "server/ports/catalog.h"

namespace licet::app {

// Of the prices in force in the month, charges that cost nothing aside. Where several things are counted the first of events, megabytes, minutes;
// events where nothing is.
[[nodiscard]] metering::Metric priced_metric(const ports::Contract& contract, metering::Month month);

}  // namespace licet::app
