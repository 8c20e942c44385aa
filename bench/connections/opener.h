// Opens many connections to one server from a process of its own (a process may have so many descriptors and no more) and keeps them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "bench/support/crowd.h"

namespace licet::bench {

struct OpenOrder {
    enum class Kind : std::uint32_t {
        open,       // `count` more, `in_flight` of them at once; `rate` per second, or 0: as fast as they go
        event,      // publish one event to the node and wait until every connection has it
        close_all,  // waits for nothing
    } kind{};
    Service service{};
    std::uint16_t port = 0, tls_port = 0;
    std::uint32_t contracts = 1, count = 0, in_flight = 64;
    double rate = 0;
};

struct OpenOutcome {
    std::uint64_t open = 0, lost = 0;  // lost: the server ended them, now or before
    std::int64_t ns = 0;
    double p50_us = 0, p99_us = 0, max_us = 0;  // from connect() (or when it was due) to the end of the greeting
    double cpu_seconds = 0;
};

class Opener {
  public:
    Opener(int core, const std::string& secret);  // forks
    ~Opener();
    Opener(const Opener&) = delete;
    void tell(const OpenOrder& order);
    [[nodiscard]] OpenOutcome wait();
    [[nodiscard]] OpenOutcome run(const OpenOrder& order) {
        tell(order);
        return wait();
    }

  private:
    int link_ = -1;
    pid_t child_ = -1;
};

}  // namespace licet::bench
