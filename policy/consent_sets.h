// Sets of purposes, each kept once and counted: millions of data subjects consent to the same few. Private to policy/consent_*. One writer; readers
// without locks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <unordered_set>

#include "policy/slot_pool.h"
#include "policy/vocabulary.h"

namespace licet::policy {

class ConsentSets {
  public:
    static constexpr std::uint32_t empty = 0;  // the set of nothing, always there

    ConsentSets() : ids_(16, Hash{this}, Equal{this}) { (void)intern({}); }

    // Any thread.
    [[nodiscard]] PurposeSet read(std::uint32_t id) const noexcept {
        PurposeSet::Words words;
        const Entry& entry = entries_[id];
        for (std::size_t w = 0; w < words.size(); ++w) words[w] = entry.words[w].load(std::memory_order_acquire);
        return PurposeSet::of(words);
    }
    // The writer. The set's number, to be given back once for each time it was taken; `empty` when there are as many as there can be: then nothing is
    // consented to.
    [[nodiscard]] std::uint32_t intern(const PurposeSet& set) {
        auto at = ids_.find(set);
        if (at == ids_.end()) {
            const auto id = entries_.take();
            if (id == entries_.none) return empty;
            for (std::size_t w = 0; w < PurposeSet::word_count; ++w) entries_[id].words[w].store(set.words()[w], std::memory_order_release);
            entries_[id].uses = 0;
            at = ids_.insert(id).first;
        }
        ++entries_[*at].uses;
        return *at;
    }
    void give_back(std::uint32_t id) {
        if (id == empty || --entries_[id].uses != 0) return;
        ids_.erase(id);
        entries_.give_back(id);
    }
    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

  private:
    struct Entry {
        std::array<std::atomic<std::uint64_t>, PurposeSet::word_count> words{};
        std::uint32_t uses = 0;
    };
    struct Hash {
        using is_transparent = void;
        const ConsentSets* sets;
        std::size_t operator()(const PurposeSet& set) const noexcept {
            std::uint64_t h = 0;
            for (const auto word : set.words()) h = (h ^ word ^ (h >> 29)) * 0x9e3779b97f4a7c15u;
            return h ^ (h >> 32);
        }
        std::size_t operator()(std::uint32_t id) const noexcept { return (*this)(sets->read(id)); }
    };
    struct Equal {
        using is_transparent = void;
        const ConsentSets* sets;
        bool operator()(std::uint32_t a, std::uint32_t b) const noexcept { return a == b; }
        bool operator()(const PurposeSet& a, std::uint32_t b) const noexcept { return a == sets->read(b); }
        bool operator()(std::uint32_t a, const PurposeSet& b) const noexcept { return sets->read(a) == b; }
    };

    SlotPool<Entry, 12, 8192> entries_;
    std::unordered_set<std::uint32_t, Hash, Equal> ids_;
};

}  // namespace licet::policy
