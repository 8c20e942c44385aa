// Named limits of the log's cache and of catching up, with their units: apart from base/limits.h, which everything includes. docs/limits.md explains
// what happens when each is hit.
#pragma once

#include <cstddef>

namespace licet::limits {

inline constexpr std::size_t catch_up_kept_max_bytes = 32 * 1024 * 1024;    // of what was decided for streams that are behind; per shard
inline constexpr std::size_t catch_up_shared_slice_max_bytes = 64 * 1024;   // of frames, decided at once for all who come there
inline constexpr int first_lease_wait_ms = 2'000;                           // of who comes before the node has delivered at all
inline constexpr std::size_t live_undecided_max_bytes = 16 * 1024 * 1024;   // of new events, per view and shard
inline constexpr std::size_t event_log_cache_max_bytes = 64 * 1024 * 1024;  // per node; of events, and of what says where they are

}  // namespace licet::limits
