// How often this program allocated: to hold the engine to its word that a warm decision allocates nothing.
#pragma once

#include <cstddef>

namespace licet::testing {

[[nodiscard]] std::size_t allocations() noexcept;

}  // namespace licet::testing
