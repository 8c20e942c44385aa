// Flushing usage into PostgreSQL beside COPY of as many rows. Used by the metering benchmark.
#pragma once

#include <cstdint>
#include <string>

namespace licet::bench {

struct FlushRates {
    double records_per_s = 0, rows_per_s = 0, copy_rows_per_s = 0;
};
// `dsn`: a migrated database without usage. `touching`: consecutive records of a meter that become one row. Dies when the ledger refuses, or holds
// anything else in the end.
[[nodiscard]] FlushRates flush_beside_copy(const std::string& dsn, std::uint64_t records, std::uint64_t touching);

}  // namespace licet::bench
