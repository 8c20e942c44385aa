// The usage journal's records as bytes (design section 7): fixed size, checksummed, each naming the digest of the one before. Written and read by
// server/journal, checked by `licet verify`. Pure: the SHA-256 is passed in. docs/metering.md has the table.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"

namespace licet::metering {

// intent: [from, to) may be sent from here on. delivered: it was handed to the operating system, `events` and `bytes` of it counted. acked: the
// partner said that it received what it was sent of it. aborted: what an earlier intent of this boot allows of it will not be sent. replayed:
// delivered again after it was billed, of a contract that pays for that. begun: a stream is about to begin at `from`, and what lies just below was
// not billed. recounted: what [from, to) alone comes to of a delivered record of which the ledger found another part billed; its time and view are
// those of that record.
enum class RecordKind : std::uint8_t { intent = 1, delivered = 2, acked = 3, aborted = 4, replayed = 5, begun = 6, recounted = 7 };

// Names the view a delivery was made under: the first 8 bytes of the SHA-256 of its key. 0: not noted (records of version 1).
struct ViewDigest {
    std::uint64_t value = 0;
    auto operator<=>(const ViewDigest&) const = default;
};

struct JournalRecord {
    std::uint64_t boot = 0;      // boot epoch of the node: counts its starts
    std::uint64_t sequence = 0;  // from 1 within a boot, dense
    RecordKind kind{};
    ContractNo contract;
    ProductNo product;
    Partition partition;
    StreamEpoch stream_epoch;
    Offset from = 0;  // [from, to)
    Offset to = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    UtcMillis at{};
    ViewDigest view{};  // of delivered, replayed and recounted
    bool operator==(const JournalRecord&) const = default;
};

using ChainHash = std::array<std::uint8_t, 32>;
using Sha256Function = std::function<ChainHash(std::string_view)>;

inline constexpr std::size_t kRecordBytes = 128;

// Appends kRecordBytes to `out`, in version 2: fields, the digest of the previous record, CRC-32C of all before it.
void append_record(const JournalRecord& record, const ChainHash& previous, std::string& out);

struct ReadRecord {
    JournalRecord record;
    ChainHash previous{};
};
// nullopt when the bytes are not one whole record of version 1 or 2 with a matching checksum.
[[nodiscard]] std::optional<ReadRecord> read_record(std::string_view bytes) noexcept;

}  // namespace licet::metering
