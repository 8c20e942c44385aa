#include "base/large_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace licet {
namespace {

constexpr std::size_t kHugePageBytes = 2 * 1024 * 1024;

}  // namespace

void* take_large(std::size_t bytes) {
    const std::size_t alignment = bytes >= kHugePageBytes ? kHugePageBytes : 64;
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    void* const memory = std::aligned_alloc(alignment, whole);
    if (memory == nullptr) throw std::bad_alloc();
    // A wish: without it, or when there are none, it is ordinary memory.
    if (alignment == kHugePageBytes) (void)::madvise(memory, whole, MADV_HUGEPAGE);
    return memory;
}

void give_back_large(void* memory) noexcept { std::free(memory); }

}  // namespace licet
