// SubjectKey -> 32 bits, for one writer and any number of readers without locks: the outer half of ConsentIndex. Extendible hashing: a directory of
// pages of 4 KiB, each of 64 buckets of one cache line; a page that is full is split alone, so that growth never stops anyone nor needs twice the
// memory. A lookup costs the directory (small, stays in cache) and as a rule one line.
//
// How readers stay right without ever waiting for the writer: a slot's key is written once, before its value; each bucket counts the changes of its
// values, and each directory entry the replacements of its page. A reader takes what it found only if neither moved meanwhile. All it reads are
// atomics, stored with release and loaded with acquire, so that to read something newer is to see the number that says so.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "policy/slot_pool.h"

namespace licet::policy {

class ConsentTable {
  public:
    ConsentTable();

    // `read(value)` of the key's value, none without one; run again when the writer interfered, so that the last run saw the table, and whatever the
    // value stands for, unchanged from before to after. Any thread.
    template <class Read>
    [[nodiscard]] auto read(const SubjectKey& key, Read&& read) const noexcept -> std::optional<decltype(read(std::uint32_t{}))>;

    // The writer. `put` returns the value replaced, or none; false in `stored` when there is no room: more keys than limits allow share a hash.
    struct Put {
        bool stored;
        std::optional<std::uint32_t> before;
    };
    Put put(const SubjectKey& key, std::uint32_t value);
    [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::uint32_t kFree = UINT32_MAX;
    static constexpr std::size_t kSlots = 3, kBuckets = 64, kPageMax = kSlots * kBuckets * 85 / 100;
    static constexpr unsigned kDepthMax = 26;
    static constexpr std::uint32_t kSpilled = 1, kStep = 2;  // kSpilled: a key whose search passed here is further on

    struct alignas(64) Bucket {
        std::atomic<std::uint32_t> sequence{0};  // changes * kStep | kSpilled
        std::array<std::atomic<std::uint32_t>, kSlots> values{kFree, kFree, kFree};
        std::array<std::array<std::atomic<std::uint64_t>, 2>, kSlots> keys{};
    };
    static_assert(sizeof(Bucket) == 64);
    struct Page {
        std::array<Bucket, kBuckets> buckets;
    };
    struct Directory {
        explicit Directory(unsigned d) : depth(d), entries(std::make_unique<std::atomic<std::uint64_t>[]>(std::size_t{1} << d)) {}
        // A page covers the hashes that begin with its bits. depth >= 1.
        [[nodiscard]] std::atomic<std::uint64_t>& of(std::uint64_t hash) const noexcept { return entries[hash >> (64 - depth)]; }
        const unsigned depth;
        const std::unique_ptr<std::atomic<std::uint64_t>[]> entries;  // generation << 32 | page number
    };
    struct PageState {  // the writer's
        std::uint8_t depth;
        std::uint8_t keys;
    };
    struct Words {
        std::uint64_t low, high;
        explicit Words(const SubjectKey& key) noexcept {
            std::memcpy(&low, key.bytes.data(), 8);
            std::memcpy(&high, key.bytes.data() + 8, 8);
        }
        Words(std::uint64_t l, std::uint64_t h) noexcept : low(l), high(h) {}
        [[nodiscard]] std::uint64_t hash() const noexcept {  // keys are digests, but nothing here relies on it
            std::uint64_t h = low * 0xd6e8feb86659fd93u + std::rotl(high * 0xa0761d6478bd642fu, 32);
            h = (h ^ (h >> 32)) * 0x94d049bb133111ebu;
            return h ^ (h >> 29);
        }
    };
    static bool holds(const Bucket& bucket, std::size_t slot, const Words& key) noexcept {
        return ((bucket.keys[slot][0].load(std::memory_order_acquire) ^ key.low) |
                (bucket.keys[slot][1].load(std::memory_order_acquire) ^ key.high)) == 0;
    }
    static std::size_t home(std::uint64_t hash) noexcept { return hash & (kBuckets - 1); }
    static std::uint32_t page_of(std::uint64_t entry) noexcept { return static_cast<std::uint32_t>(entry); }

    [[nodiscard]] std::uint32_t new_page(unsigned depth);
    static void fill(Page& page, const Words& key, std::uint32_t value);
    [[nodiscard]] bool split(std::uint64_t hash);

    SlotPool<Page, 9, 8192> pages_;
    std::vector<PageState> states_;
    std::vector<std::unique_ptr<Directory>> directories_;  // outgrown ones stay for readers; together smaller than the last one, which is in use
    std::atomic<const Directory*> directory_;
    std::atomic<std::size_t> size_{0};
};

template <class Read>
auto ConsentTable::read(const SubjectKey& key, Read&& read) const noexcept -> std::optional<decltype(read(std::uint32_t{}))> {
    const Words words(key);
    const std::uint64_t hash = words.hash();
    for (;;) {
        const Directory* const directory = directory_.load(std::memory_order_acquire);
        const auto& entry = directory->of(hash);
        const std::uint64_t seen = entry.load(std::memory_order_acquire);
        const Page& page = pages_[page_of(seen)];
        std::optional<decltype(read(std::uint32_t{}))> out;
        std::size_t at = home(hash);
        for (std::size_t passed = 0; passed < kBuckets;) {
            const Bucket& bucket = page.buckets[at];
            const auto before = bucket.sequence.load(std::memory_order_acquire);
            // No branch on what the line holds: the next lookup can then begin while this one waits for memory.
            std::uint32_t value = kFree;
            for (std::size_t s = 0; s < kSlots; ++s) {
                const bool here = holds(bucket, s, words);
                value &= bucket.values[s].load(std::memory_order_acquire) | (static_cast<std::uint32_t>(here) - 1);
            }
            if (value != kFree) {
                out = read(value);
                if (bucket.sequence.load(std::memory_order_acquire) == before) break;
                out.reset();
                // The page may have been taken for something else meanwhile: then it is looked up anew.
                if (directory_.load(std::memory_order_acquire) != directory || entry.load(std::memory_order_acquire) != seen) break;
                continue;
            }
            if ((before & kSpilled) == 0) break;
            at = (at + 1) & (kBuckets - 1);
            ++passed;
        }
        if (directory_.load(std::memory_order_acquire) == directory && entry.load(std::memory_order_acquire) == seen) return out;
    }
}

}  // namespace licet::policy
