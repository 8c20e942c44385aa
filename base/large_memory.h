// Memory for tables far larger than a processor's address cache covers: where it can, the system backs it with huge pages, which saves a lookup a
// part of what reading from memory costs. Used by policy's consent index. Thread-safe.
#pragma once

#include <cstddef>

namespace licet {

// Aligned to 64 bytes at least; not cleared. Throws std::bad_alloc.
[[nodiscard]] void* take_large(std::size_t bytes);
void give_back_large(void* memory) noexcept;

}  // namespace licet
