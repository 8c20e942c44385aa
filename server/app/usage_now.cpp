#include "server/app/usage_now.h"

#include <functional>
#include <vector>

#include "base/usage_limits.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr int kReadsMax = 3;
constexpr std::int64_t kDayMs = 86'400'000;

template <class Record>
UsagePending::Of of(const Record& r) {
    return {r.contract, r.product, r.at.value / kDayMs};
}

}  // namespace

class CountedJournal final : public ports::UsageJournal {
  public:
    CountedJournal(std::shared_ptr<ports::UsageJournal> journal, std::shared_ptr<Guarded<UsagePending::State>> state)
        : journal_(std::move(journal)), state_(std::move(state)) {}

    // Counted before it is accepted: it may be flushed the moment it is.
    Status append(std::vector<ports::UsageRecord> records, Durable durable) override {
        UsagePending::Counts counts;
        for (const auto& r : records) {
            if (r.kind != ports::UsageKind::delivered) continue;
            auto& count = counts[of(r)];
            count.events += r.events;
            count.bytes += r.bytes;
        }
        if (!counts.empty()) count(counts, true);
        auto accepted = journal_->append(std::move(records), std::move(durable));
        if (!accepted && !counts.empty()) count(counts, false);
        return accepted;
    }
    std::shared_ptr<ports::UnappendedUsage> writer() override { return journal_->writer(); }
    void close() override { journal_->close(); }

  private:
    void count(const UsagePending::Counts& counts, bool more) {
        state_->with([&](UsagePending::State& state) {
            for (const auto& [key, part] : counts) {
                auto& all = state.counts[key];
                all.events += more ? part.events : -part.events;
                all.bytes += more ? part.bytes : -part.bytes;
            }
        });
    }
    const std::shared_ptr<ports::UsageJournal> journal_;
    const std::shared_ptr<Guarded<UsagePending::State>> state_;
};

// Taken and flushed by one thread, batch after batch.
class CountedBacklog final : public ports::UsageBacklog {
  public:
    CountedBacklog(std::shared_ptr<ports::UsageBacklog> backlog, std::shared_ptr<Guarded<UsagePending::State>> state)
        : backlog_(std::move(backlog)), state_(std::move(state)) {}

    std::uint64_t boot() const noexcept override { return backlog_->boot(); }
    std::vector<metering::JournalRecord> take(std::size_t most, int wait_ms) override {
        auto records = backlog_->take(most, wait_ms);
        taken_.clear();
        for (const auto& r : records)
            if (r.kind == metering::RecordKind::delivered && r.boot == backlog_->boot()) taken_.push_back(r);
        return records;
    }
    void flushed(std::uint64_t boot, std::uint64_t sequence) override {
        state_->with([&](UsagePending::State& state) {
            ++state.flushes;
            for (const auto& r : taken_) {
                if (r.boot > boot || (r.boot == boot && r.sequence > sequence)) continue;
                const auto at = state.counts.find(of(r));
                if (at == state.counts.end()) continue;
                at->second.events -= r.events;
                at->second.bytes -= r.bytes;
                if (at->second == ports::UsageCount{}) state.counts.erase(at);
            }
        });
        taken_.clear();
        backlog_->flushed(boot, sequence);
    }

  private:
    const std::shared_ptr<ports::UsageBacklog> backlog_;
    const std::shared_ptr<Guarded<UsagePending::State>> state_;
    std::vector<metering::JournalRecord> taken_;
};

std::shared_ptr<ports::UsageJournal> UsagePending::counted(std::shared_ptr<ports::UsageJournal> journal) {
    return std::make_shared<CountedJournal>(std::move(journal), state_);
}
std::shared_ptr<ports::UsageBacklog> UsagePending::counted(std::shared_ptr<ports::UsageBacklog> backlog) {
    return std::make_shared<CountedBacklog>(std::move(backlog), state_);
}

UsagePending::Read UsagePending::read() const {
    return state_->with([](const State& state) { return Read{state.counts, state.flushes}; });
}

Result<json> usage_now(const Snapshot& snapshot, const std::string& party, const std::string& period, const UsagePending& pending, Quotas& quotas,
                       const std::function<Result<json>()>& report) {
    // What limits the contracts is heard of while the ledger is read.
    std::vector<std::pair<const ports::Contract*, std::shared_ptr<QuotaPurse>>> limited;
    for (const auto* contract : snapshot.all_contracts())
        if (contract->party == party && contract->quota.limits())
            if (auto purse = quotas.purse(*contract)) limited.emplace_back(contract, std::move(purse));
    // Nothing is missed and nothing shown twice that was flushed in between, or it is read again.
    auto before = pending.read();
    auto out = report();
    for (int reads = 1; out && reads < kReadsMax; ++reads) {
        auto after = pending.read();
        if (after.flushes == before.flushes) break;
        before = std::move(after);
        out = report();
    }
    if (!out) return out;
    json lines = json::array(), states = json::array();
    for (const auto& [key, count] : before.counts) {
        const auto& [contract_no, product_no, on] = key;
        const auto* contract = snapshot.contract(contract_no);
        const auto* product = snapshot.product(product_no);
        const auto day = format_rfc3339({on * kDayMs}).substr(0, 10);
        if (contract == nullptr || product == nullptr || contract->party != party || count == ports::UsageCount{} || !day.starts_with(period))
            continue;
        lines.push_back(
            {{"contract", contract->name}, {"product", product->product.name}, {"day", day}, {"events", count.events}, {"bytes", count.bytes}});
    }
    std::vector<std::shared_ptr<QuotaPurse>> purses;
    for (const auto& [contract, purse] : limited) purses.push_back(purse);
    quotas.await(purses, limits::usage_quotas_wait_ms);
    for (const auto& [contract, purse] : limited)
        for (auto& state : purse->states()) {
            state["contract"] = contract->name;
            states.push_back(std::move(state));
        }
    (*out)["pending"] = std::move(lines);
    (*out)["quotas"] = std::move(states);
    return out;
}

}  // namespace licet::app
