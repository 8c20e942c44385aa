// Sets up and ends the process-wide log behind server/ports/log.h. Called by server/main only; before configure(), lines are dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "server/ports/log.h"

namespace licet::log {

inline constexpr std::size_t kQueueMaxLines = 8192;  // past it the oldest line is overwritten and counted

// `file` empty: standard error. Errors: unavailable when the file cannot be opened.
[[nodiscard]] Status configure(Level level, const std::string& file);
// Lines lost to a full queue since configure().
[[nodiscard]] std::uint64_t lost_lines() noexcept;
// Writes out what is queued; later lines are dropped.
void close();

}  // namespace licet::log
