// Numbered slots that never move, for one writer and readers without locks: what ConsentIndex keeps its pages, sets and ends in. A slot given back is
// handed out again; a reader that may hold its number still reads valid memory, and finds out from what led it there that it read too late.
// Private to policy/consent_*.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "base/large_memory.h"

namespace licet::policy {

// `T` is built once, when its chunk is first needed, and then only assigned through its atomics.
template <class T, unsigned chunk_bits, unsigned chunks_max>
class SlotPool {
  public:
    static constexpr std::uint32_t chunk_slots = 1u << chunk_bits;
    static constexpr std::uint32_t none = UINT32_MAX;
    SlotPool() : chunks_(std::make_unique<std::atomic<T*>[]>(chunks_max)) {}
    ~SlotPool() {
        for (std::uint32_t id = 0; id < used_; ++id) (*this)[id].~T();
        for (std::uint32_t c = 0; c < chunks_max; ++c) std::free(chunks_[c].load(std::memory_order_relaxed));
    }
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    // Any thread, for a number that take() gave.
    [[nodiscard]] T& operator[](std::uint32_t id) const noexcept {
        return chunks_[id >> chunk_bits].load(std::memory_order_acquire)[id & (chunk_slots - 1)];
    }
    // The writer. none: as many are in use as there can be.
    [[nodiscard]] std::uint32_t take() {
        if (!free_.empty()) {
            const auto id = free_.back();
            free_.pop_back();
            return id;
        }
        if ((used_ & (chunk_slots - 1)) == 0) {
            if (used_ >> chunk_bits == chunks_max) return none;
            chunks_[used_ >> chunk_bits].store(static_cast<T*>(take_large(sizeof(T) * chunk_slots)), std::memory_order_release);
        }
        new (&(*this)[used_]) T();
        return used_++;
    }
    void give_back(std::uint32_t id) { free_.push_back(id); }
    [[nodiscard]] std::size_t in_use() const noexcept { return used_ - free_.size(); }

  private:
    std::unique_ptr<std::atomic<T*>[]> chunks_;
    std::uint32_t used_ = 0;
    std::vector<std::uint32_t> free_;
};

}  // namespace licet::policy
