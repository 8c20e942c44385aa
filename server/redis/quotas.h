// ports::QuotaLeases over Redis, and for one node alone. Built by server/main.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "server/ports/quota_leases.h"

namespace licet::redis {

struct QuotaOptions {
    std::string host;
    std::uint16_t port = 6379;
    std::string region;
    std::string who;      // node/boot
    int lease_ms = 5000;  // that of the cluster: who holds something after a loss says so within it, or delivers nothing any more
};
[[nodiscard]] std::shared_ptr<ports::QuotaLeases> make_quota_leases(QuotaOptions options);

// In this process's memory: what is lost with it is made anew from the ledger.
[[nodiscard]] std::shared_ptr<ports::QuotaLeases> make_single_node_quota_leases(std::string who, std::shared_ptr<const Clock> clock);

}  // namespace licet::redis
