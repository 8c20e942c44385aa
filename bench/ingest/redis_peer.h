// A redis-server of this run alone, beside which ingest is measured: appendonly with fsync before every answer, on a private loopback port, its data
// in the benchmark's own directory, on the core the maker says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/support/program.h"

namespace licet::bench {

class RedisPeer {
  public:
    RedisPeer(const std::string& directory, int core);  // dies when it does not start

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string version() const;
    [[nodiscard]] double cpu_seconds() const { return program_.cpu_seconds(); }

  private:
    const std::uint16_t port_;
    Program program_;
};

// Requests and how many lines answer them: XADD of each document, one after the other, or all in one transaction.
struct RedisRequest {
    std::string bytes;
    std::size_t answer_lines = 0;
};
[[nodiscard]] RedisRequest pipelined_xadd(const std::vector<std::string>& documents);
[[nodiscard]] RedisRequest transaction_xadd(const std::vector<std::string>& documents);

}  // namespace licet::bench
