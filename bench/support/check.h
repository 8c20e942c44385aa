// What a subscriber got, looked at byte by byte: every consented event once, in the order of its batch, nothing else, and no address in clear.
#pragma once

#include <cstdint>
#include <string_view>

namespace licet::bench {

// `frames`: WebSocket frames of `frame_bytes` each, of the consented ones among `batches` batches of `batch_events` events from event `first` on. The
// batches may come in any order (they are published over several connections), each whole. Dies when anything differs. Returns the bytes of the data
// members: what is billed. Not `governed`: all events, as they were published.
std::uint64_t check_frames(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t batches, std::uint64_t batch_events,
                           bool governed);

}  // namespace licet::bench
