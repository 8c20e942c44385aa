#include "server/postgres/quota_ledger.h"

#include "server/postgres/pool.h"

namespace licet::postgres {
namespace {

// A start has ended when a later one of its node is known: that one brought its journal into the ledger before it was.
constexpr const char* kDelivered =
    "SELECT node, boot, sum(billed_events), sum(billed_bytes), sum(unbilled_events), sum(unbilled_bytes), "
    "EXISTS (SELECT 1 FROM usage_watermark w WHERE w.node = parts.node AND w.boot > parts.boot) FROM usage_by_start parts "
    "WHERE contract = $1 AND day >= $2::date AND day < $3::date AND ($4 = '' OR (node = $4 AND boot = $5)) GROUP BY node, boot";

class PgQuotaLedger final : public ports::QuotaLedger {
  public:
    explicit PgQuotaLedger(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

    Result<std::vector<ports::QuotaPart>> delivered(ContractNo contract, const metering::QuotaSpan& span, const std::string& node,
                                                    std::uint64_t boot) override {
        return pool_->transact("quota delivered", [&](pqxx::work& t) {
            std::vector<ports::QuotaPart> out;
            for (const auto& row : t.exec_params(kDelivered, contract.value, format_rfc3339(span.from).substr(0, 10),
                                                 format_rfc3339(span.until).substr(0, 10), node, boot))
                out.push_back({row[0].as<std::string>(), row[1].as<std::uint64_t>(), row[2].as<std::uint64_t>(), row[3].as<std::uint64_t>(),
                               row[4].as<std::uint64_t>(), row[5].as<std::uint64_t>(), row[6].as<bool>()});
            return out;
        });
    }

  private:
    const std::shared_ptr<Pool> pool_;
};

}  // namespace

std::shared_ptr<ports::QuotaLedger> make_quota_ledger(std::shared_ptr<Pool> pool) { return std::make_shared<PgQuotaLedger>(std::move(pool)); }

}  // namespace licet::postgres
