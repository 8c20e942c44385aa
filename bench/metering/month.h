// A month of a billion delivered events, closed and exported. Used by the metering benchmark.
#pragma once

#include <cstdint>
#include <string>

namespace licet::bench {

struct Month {
    double close_s = 0, export_s = 0, peak_mib = 0;
    std::uint64_t lines = 0, bytes = 0;  // of the export
    bool agrees = false;                 // the export's events are the ledger's
};
// `lines`: of usage in all, contract by product by day. Writes into `directory`. Dies when anything is refused.
[[nodiscard]] Month month_of(const std::string& dsn, const std::string& directory, std::uint64_t lines);

}  // namespace licet::bench
