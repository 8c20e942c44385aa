// Cursors: positions in a product's stream as opaque, authenticated text (AES-256-SIV, docs/wire-formats.md). Nothing can be read from them: not the
// offset, not how much was withheld. Those of events are shared by all who are delivered them: equal positions give equal cursors. Those of pages and
// of last words are of one reader alone, and say from where on it received everything. Used by delivery, and by explain through main.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "server/ports/crypto.h"

namespace licet::stream {

struct CursorPosition {
    ProductNo product;
    Partition partition;
    StreamEpoch stream_epoch;
    Offset next = 0;  // the first offset not yet received
    // Of one reader's cursor: all that `contract` was to receive of [since, next) was sent to it. Of an event's only that event was, for sure, and
    // what its stream was sent before.
    std::optional<Offset> since = {};
    ContractNo contract = {};
};

inline constexpr std::size_t kCursorBytes = 4 + 2 + 4 + 8;
inline constexpr std::size_t kCursorText = ((kCursorBytes + 16) * 4 + 2) / 3;

inline constexpr std::size_t kReaderCursorBytes = kCursorBytes + 8 + 4;
inline constexpr std::size_t kReaderCursorText = ((kReaderCursorBytes + 16) * 4 + 2) / 3;

// An event's cursor, whatever `since` says: writes kCursorText characters. False when sealing fails: the event must be withheld.
[[nodiscard]] bool seal_cursor(ports::Siv& siv, const CursorPosition& position, char* out) noexcept;
// One reader's: `since` and `contract` are said. Empty when sealing fails.
[[nodiscard]] std::string seal_reader_cursor(ports::Siv& siv, const CursorPosition& position);
// Errors: invalid_cursor.
[[nodiscard]] Result<CursorPosition> open_cursor(ports::Siv& siv, std::string_view text);

}  // namespace licet::stream
