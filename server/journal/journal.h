// ports::UsageJournal and ports::UsageBacklog over segment files. Built by server/main; one per node.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "metering/journal_format.h"
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
};

class Journal : public ports::UsageJournal, public ports::UsageBacklog {};

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
