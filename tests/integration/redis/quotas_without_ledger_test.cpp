// Quotas over a real Redis while PostgreSQL takes connections and never says anything.
#include <random>
#include <vector>

#include "base/usage_limits.h"
#include "server/app/quotas.h"
#include "server/main/system_clock.h"
#include "server/postgres/catalog.h"
#include "server/postgres/quota_ledger.h"
#include "server/redis/quotas.h"
#include "tests/integration/redis/server.h"
#include "tests/support/no_metrics.h"

using namespace licet;
using namespace licet::testing;

namespace {

// The kernel completes the handshake; nobody reads what comes.
class BlackHole {
  public:
    BlackHole() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
        REQUIRE(listen(listener_, 64) == 0);
        getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port = ntohs(at.sin_port);
    }
    ~BlackHole() { close(listener_); }
    std::uint16_t port = 0;

  private:
    const int listener_;
};

ports::Contract contract(std::uint32_t no, std::uint64_t limit, std::uint64_t events_per_second) {
    ports::Contract out;
    out.no = {no};
    if (limit > 0) out.quota.quotas = {{metering::QuotaMetric::events, metering::QuotaPeriod::month, metering::QuotaKind::hard, limit}};
    out.quota.events_per_second = events_per_second;
    return out;
}

}  // namespace

TEST_CASE("quotas: a rate goes on while PostgreSQL says nothing, beside contracts that wait for its word and are not delivered") {
    const RedisServer server;
    const BlackHole hole;
    const auto clock = std::make_shared<SystemClock>();
    app::Quotas quotas({"n1",
                        1,
                        redis::make_quota_leases({"127.0.0.1", server.port, "eu", "n1/1", 5000}),
                        postgres::make_quota_ledger(postgres::make_pool("host=127.0.0.1 user=nobody dbname=none port=" + std::to_string(hole.port))),
                        clock,
                        std::make_shared<NoMetrics>(),
                        {}});
    quotas.start();
    std::vector<std::shared_ptr<app::QuotaPurse>> unheard;
    for (std::uint32_t no = 100; no < 140; ++no) unheard.push_back(quotas.purse(contract(no, 1000, 0)));
    constexpr std::uint64_t kRate = 200;
    const auto purse = quotas.purse(contract(1, 0, kRate));
    const ports::UsageOf of{{1}, {2}, {0}, {1}};
    const auto began = std::chrono::steady_clock::now();
    Offset next = 0;
    while (next < 3 * kRate) {
        // Of its first connection PostgreSQL has not even said that it failed.
        REQUIRE(std::chrono::steady_clock::now() - began < std::chrono::seconds(60));
        const app::QuotaPurse::Item one[] = {{next, 10, true}};
        if (purse->draw(of, one, clock->utc_now(), clock->monotonic_ns()).items == 1) {
            purse->wrote(of, one, {{next, next + 1}});
            ++next;
        } else {
            quotas.hurry();
            std::this_thread::yield();
        }
    }
    for (const auto& other : unheard) {
        const app::QuotaPurse::Item one[] = {{0, 10, true}};
        CHECK_FALSE(other->known());
        CHECK(other->draw(of, one, clock->utc_now(), clock->monotonic_ns()).items == 0);
    }
    quotas.stop();
}
