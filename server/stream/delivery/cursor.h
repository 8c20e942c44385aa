// Cursors: positions in a product's stream as opaque, authenticated text (AES-256-SIV, docs/wire-formats.md). Equal positions give equal cursors, and
// nothing can be read from them: not the offset, not how much was withheld. Used by delivery, and by explain through main.
#pragma once

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
};

inline constexpr std::size_t kCursorBytes = 4 + 2 + 4 + 8;
inline constexpr std::size_t kCursorText = ((kCursorBytes + 16) * 4 + 2) / 3;

// Writes kCursorText characters. False when sealing fails: the event must be withheld.
[[nodiscard]] bool seal_cursor(ports::Siv& siv, const CursorPosition& position, char* out) noexcept;
// Errors: invalid_cursor.
[[nodiscard]] Result<CursorPosition> open_cursor(ports::Siv& siv, std::string_view text);

}  // namespace licet::stream
