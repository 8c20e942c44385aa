// Segment files: names, reading back, durable small writes. Private to this folder.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "metering/journal_format.h"

namespace licet::journal {

struct SegmentName {
    std::uint64_t boot = 0, number = 0;
    auto operator<=>(const SegmentName&) const = default;
    [[nodiscard]] std::string file() const;
};
[[nodiscard]] std::vector<SegmentName> list_segments(const std::string& directory);  // ascending

struct SegmentRecords {
    std::vector<metering::ReadRecord> records;
    std::vector<metering::ChainHash> hashes;  // of each record's bytes
    bool torn = false;                        // ends in less than a whole, valid record
    std::size_t torn_bytes = 0;
};
[[nodiscard]] Result<SegmentRecords> read_segment(const std::string& directory, SegmentName name, const metering::Sha256Function& sha256);

// Replaces `file` by `content` so that after a crash it holds the old or the new content whole.
[[nodiscard]] Status replace_file(const std::string& directory, const std::string& file, const std::string& content);
[[nodiscard]] Status sync_directory(const std::string& directory);

}  // namespace licet::journal
