// What the records of one flush come to, decided in memory against what is billed already and written set by set: few statements, however many
// meters. Used by the ledger within its transaction. Private to this folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

#include "server/ports/usage_ledger.h"

namespace licet::postgres {

// Until commit nobody else bills these meters or puts them in suspense: either must see the other's work.
void lock_meters(pqxx::work& t, const std::vector<ports::UsageOf>& meters);
// Of a row of usage_unbilled `u`: it may still change.
inline constexpr const char* kOfAnOpenMonth = "u.period > coalesce((SELECT max(c.period) FROM billing_cuts c), '-infinity')";

class UsageBatch {
  public:
    UsageBatch(std::string node, std::string region) : node_(std::move(node)), region_(std::move(region)) {}

    void add(const metering::JournalRecord& record);
    // Once all are added; before it, what is told of the billed ranges of these meters may be made anew from what is billed.
    void rebuild_covered(pqxx::work& t);
    void write(pqxx::work& t);
    // After write: records were held against billed ranges that are not. Nothing of it may be committed.
    [[nodiscard]] bool covered_is_wrong() const noexcept { return covered_is_wrong_; }
    // After write: the records of which a part was billed already, and another part by nobody.
    [[nodiscard]] std::vector<ports::UnbilledRecord> refused() const;

  private:
    // Adjacent delivered records of one meter, view, day and boot: one row, unless part of it turns out to be billed already.
    struct Run {
        metering::JournalRecord whole;
        std::vector<metering::JournalRecord> records;
    };
    struct Intents {
        metering::IntervalSet added, removed, begun;
    };
    struct Acks {
        metering::IntervalSet ranges;
        UtcMillis at;
    };
    // Of a minute the first view counts.
    using Minutes = std::map<std::tuple<ContractNo, ProductNo, std::int64_t>, metering::ViewDigest>;

    void add_delivered(const metering::JournalRecord& record);
    [[nodiscard]] std::vector<ports::UsageOf> meters() const;
    void check_covered(pqxx::work& t);
    void bill_recounted(pqxx::work& t);
    void write_unbilled(pqxx::work& t) const;
    [[nodiscard]] std::vector<metering::IntervalSet> billed_before(pqxx::work& t) const;
    void decide(const std::vector<metering::IntervalSet>& before);
    void note_minute(const metering::JournalRecord& record);
    void bill(const metering::JournalRecord& record);
    void leave_unbilled(const metering::JournalRecord& record, const metering::IntervalSet& overlap);
    void write_rows(pqxx::work& t, const char* table, const std::vector<metering::JournalRecord>& rows) const;
    void settle_ranges(pqxx::work& t) const;
    void write_counts(pqxx::work& t) const;
    void write_minutes(pqxx::work& t) const;
    void write_intents(pqxx::work& t) const;
    void write_acks(pqxx::work& t) const;

    const std::string node_, region_;
    std::map<ports::UsageOf, std::vector<Run>> delivered_;
    std::vector<metering::JournalRecord> replayed_, recounted_;
    std::map<std::pair<std::uint64_t, ports::UsageOf>, Intents> intents_;
    std::map<ports::UsageOf, Acks> acks_;
    std::map<std::tuple<ports::UsageOf, std::string, metering::ViewDigest>, ports::UsageCount> counts_;
    Minutes minutes_;
    // Decided:
    std::vector<metering::JournalRecord> billed_;
    std::vector<ports::UnbilledRecord> unbilled_;
    std::map<ports::UsageOf, metering::IntervalSet> billed_ranges_, overlapped_;
    bool covered_is_wrong_ = false;
};

}  // namespace licet::postgres
