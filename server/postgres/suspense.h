// What ended starts of a node left undecided: their open intents become suspense, with the time and the beginnings of streams that settling needs.
// Used by the ledger and by billing within their transactions. Private to this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <pqxx/pqxx>
#include <string>

#include "server/ports/usage_ledger.h"

namespace licet::postgres {

inline constexpr const char* kUsageOf = "contract = $1 AND product = $2 AND partition = $3 AND stream_epoch = $4";
[[nodiscard]] metering::IntervalSet billed_ranges(pqxx::work& t, const ports::UsageOf& of);
// One multirange or none.
[[nodiscard]] metering::IntervalSet read_ranges(const pqxx::result& rows);

// The intents of the node's starts below `below_boot` that were neither delivered nor taken back become suspense, no further than `log_end` says. Of
// a log that `log_end` knows, suspense of whatever origin behind its end goes. Before the node's next start is claimed. Returns the offsets that were
// added.
std::uint64_t suspend_intents(pqxx::work& t, const std::string& node, std::uint64_t below_boot,
                              const std::function<Offset(const ports::UsageOf&, Offset)>& log_end);

}  // namespace licet::postgres
