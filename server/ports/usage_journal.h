// The usage journal: local, append-only, checksummed and hash-chained record of what may be sent (intent) and what was sent (delivered). No frame
// leaves before its intent is durable. Implemented in server/journal; the record format is metering/journal_format.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "metering/journal_format.h"

namespace licet::ports {

using UsageKind = metering::RecordKind;

struct UsageRecord {
    UsageKind kind{};
    ContractNo contract;
    ProductNo product;
    Partition partition;
    StreamEpoch stream_epoch;
    Offset from = 0;  // [from, to)
    Offset to = 0;
    std::uint64_t events = 0;  // delivered, replayed: events within the range that were delivered (withheld ones are not)
    std::uint64_t bytes = 0;   // delivered, replayed: their data bytes after redaction, before compression
    UtcMillis at{};
    metering::ViewDigest view{};  // delivered, replayed: the view it was made under
};

// What one writer has counted and not yet appended: the time of the oldest of it. Set before it waits, cleared after it was appended.
class UnappendedUsage {
  public:
    void since(UtcMillis at) noexcept { at_.store(at.value, std::memory_order_seq_cst); }
    void none() noexcept { at_.store(kNone, std::memory_order_seq_cst); }
    [[nodiscard]] bool any() const noexcept { return at_.load(std::memory_order_seq_cst) != kNone; }
    // `now` when there is none.
    [[nodiscard]] UtcMillis oldest(UtcMillis now) const noexcept { return {std::min(now.value, at_.load(std::memory_order_seq_cst))}; }

  private:
    static constexpr std::int64_t kNone = INT64_MAX;
    std::atomic<std::int64_t> at_{kNone};
};

class UsageJournal {
  public:
    using Durable = std::function<void(Status)>;
    virtual ~UsageJournal() = default;

    // For one writer: by it the journal knows of what is not appended yet, and does not call itself complete behind it.
    [[nodiscard]] virtual std::shared_ptr<UnappendedUsage> writer() = 0;

    // Queues records for group commit in order; any thread, does not block. `durable` (may be empty) runs on the journal thread once they are as
    // durable as configured (`fsync`: on disk; `os`: survives the process, not the machine). Errors: journal_full (queue or unflushed bytes at their
    // limit, or a disk error happened: then the node must stop delivering).
    [[nodiscard]] virtual Status append(std::vector<UsageRecord> records, Durable durable) = 0;

    virtual void close() = 0;
};

// The other end of the journal: what the ledger does not hold yet, in order. Used by app::UsageFlusher alone, from one thread.
class UsageBacklog {
  public:
    virtual ~UsageBacklog() = default;
    // This start of the node; records of lower boots are of starts that ended, by whatever cause.
    [[nodiscard]] virtual std::uint64_t boot() const noexcept = 0;
    // Up to `most` records that follow the last ones reported as flushed, oldest first; waits up to `wait_ms` for some. Empty: none came, or closed.
    [[nodiscard]] virtual std::vector<metering::JournalRecord> take(std::size_t most, int wait_ms) = 0;
    // The ledger holds everything up to this record; it is forgotten here.
    virtual void flushed(std::uint64_t boot, std::uint64_t sequence) = 0;
};

}  // namespace licet::ports
