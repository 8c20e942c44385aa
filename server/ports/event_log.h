// The event log: durable, ordered, deduplicated storage of accepted events per product partition. Embedded default: server/rocksdb; distributed:
// Kafka (server/kafka, later). The contract tests in tests/contract run against every implementation.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace licet::ports {

struct LogPosition {
    ProductNo product;
    Partition partition;
    auto operator<=>(const LogPosition&) const = default;
};

struct AppendItem {
    EventIdentity identity;  // digest of (product, source, id)
    std::string record;      // event::encode_record
};

struct AppendOutcome {
    bool duplicate = false;  // an event of this identity is already in the log (or earlier in the same batch); `offset` is that one's
    Offset offset = 0;
};

struct LogEntry {
    Offset offset = 0;
    UtcMillis appended_at{};  // set by the log when it accepts; never decreases within a partition
    std::string_view record;  // valid as long as the batch
};

// Immutable; shared by all shards.
struct LogBatch {
    LogPosition position;
    std::vector<LogEntry> entries;     // dense offsets
    Offset next = 0;                   // where to read on: last offset + 1, or where the read stopped
    std::vector<std::string> storage;  // owns the records' bytes
};

struct LogBounds {
    Offset begin = 0;  // first offset kept
    Offset end = 0;    // next offset to be assigned
    StreamEpoch stream_epoch;
};

class EventLog {
  public:
    using AppendDone = std::function<void(Result<std::vector<AppendOutcome>>)>;
    using Appended = std::function<void(std::shared_ptr<const LogBatch>)>;
    virtual ~EventLog() = default;

    // Queues a batch for group commit; any thread, does not block. `done` runs once on the writer thread after the batch is durable (fsync) or
    // failed; on failure nothing of the batch was accepted. Errors: overloaded when the queue is full, log_full when the store refuses (then nothing
    // is queued).
    [[nodiscard]] virtual Status append(LogPosition position, std::vector<AppendItem> items, AppendDone done) = 0;

    // Reads from `from`, at most the given limits but at least one entry if there is any. Blocks on disk: never call on a shard thread.
    // Errors: gone when `from` is below begin, corrupt.
    [[nodiscard]] virtual Result<std::shared_ptr<const LogBatch>> read(LogPosition position, Offset from, std::size_t max_events,
                                                                       std::size_t max_bytes) = 0;

    // Bounds of a partition; {0,0} with its stream epoch for one never written. Any thread, no disk access.
    [[nodiscard]] virtual LogBounds bounds(LogPosition position) = 0;

    // Every event there will ever be with an appended_at before this can be read by now (bounds taken afterwards tell where they end), unless the
    // wall clock is set back. Any thread, no disk access.
    [[nodiscard]] virtual UtcMillis settled() = 0;

    // First offset whose appended_at >= `at`; end when none. Blocks on disk.
    [[nodiscard]] virtual Result<Offset> seek(LogPosition position, UtcMillis at) = 0;

    // Offset of an event by its identity. Blocks on disk.
    [[nodiscard]] virtual Result<Offset> find(LogPosition position, const EventIdentity& identity) = 0;

    // Called on the writer thread after each durable group, one batch per partition, in order, before the appends' `done`. Set once, before the first
    // append.
    virtual void on_appended(Appended listener) = 0;

    // Stops accepting, finishes what is queued, closes. Idempotent.
    virtual void close() = 0;
};

}  // namespace licet::ports
