// The usage journal: local, append-only, checksummed and hash-chained record of what may be sent (intent) and what was sent (delivered). No frame leaves
// before its intent is durable. Implemented in server/journal; the record format is metering/journal_format.h.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace licet::ports {

enum class UsageKind : std::uint8_t { intent = 1, delivered = 2, acked = 3, aborted = 4 };

struct UsageRecord {
    UsageKind kind{};
    ContractNo contract;
    ProductNo product;
    Partition partition;
    StreamEpoch stream_epoch;
    Offset from = 0;           // [from, to)
    Offset to = 0;
    std::uint64_t events = 0;  // delivered: events within the range that were delivered (withheld ones are not)
    std::uint64_t bytes = 0;   // delivered: their data bytes after redaction, before compression
    UtcMillis at{};
};

class UsageJournal {
  public:
    using Durable = std::function<void(Status)>;
    virtual ~UsageJournal() = default;

    // Queues records for group commit in order; any thread, does not block. `durable` (may be empty) runs on the journal thread once they are as durable
    // as configured (`fsync`: on disk; `os`: survives the process, not the machine). Errors: journal_full (queue or unflushed bytes at their limit, or a disk
    // error happened: then the node must stop delivering).
    [[nodiscard]] virtual Status append(std::vector<UsageRecord> records, Durable durable) = 0;

    virtual void close() = 0;
};

}  // namespace licet::ports
