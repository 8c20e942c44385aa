// ports::UsageJournal, ports::UsageBacklog and ports::UsageCompleteness over segment files. Built by server/main; one per node.
#pragma once

#include <memory>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "metering/journal_format.h"
#include "server/ports/metrics.h"
#include "server/ports/usage_completeness.h"
#include "server/ports/usage_journal.h"

namespace licet::journal {

enum class Durability : std::uint8_t {
    fsync,  // on disk
    os,     // survives the process, not the machine
};

struct Options {
    std::string directory;
    Durability durability = Durability::fsync;
    metering::Sha256Function sha256;
    std::shared_ptr<ports::Metrics> metrics = nullptr;  // null: none are kept
    std::size_t segment_max_bytes = limits::journal_segment_max_bytes;
};

class Journal : public ports::UsageJournal, public ports::UsageBacklog, public ports::UsageCompleteness {
  public:
    // A record could not be written or synced: nothing is accepted any more until the node starts anew. Any thread.
    [[nodiscard]] virtual bool broken() const noexcept = 0;
};

// Starts a new boot: reads back what earlier boots left unflushed, then accepts records. Errors: unavailable (directory, or another process holds
// it), corrupt (a damaged record with a whole one behind it).
[[nodiscard]] Result<std::shared_ptr<Journal>> open_journal(Options options);

struct Verified {
    std::uint64_t segments = 0, records = 0, boots = 0;
};
// Checks every segment offline: checksums, dense sequences, the hash chain within each boot. Errors: verification_failed naming file and record,
// not_found.
[[nodiscard]] Result<Verified> verify_journal(const std::string& directory, const metering::Sha256Function& sha256);

}  // namespace licet::journal
