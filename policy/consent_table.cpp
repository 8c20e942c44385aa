#include "policy/consent_table.h"

namespace licet::policy {

ConsentTable::ConsentTable() {
    auto first = std::make_unique<Directory>(1);
    for (std::uint64_t half = 0; half < 2; ++half) first->entries[half].store(new_page(1), std::memory_order_relaxed);
    directories_.push_back(std::move(first));
    directory_.store(directories_.back().get(), std::memory_order_release);
}

std::uint32_t ConsentTable::new_page(unsigned depth) {
    const std::uint32_t number = pages_.take();
    if (number == pages_.none) return number;
    if (number >= states_.size()) {
        states_.resize(number + 1);
    } else {
        for (auto& bucket : pages_[number].buckets) {
            bucket.sequence.store(0, std::memory_order_release);
            for (auto& value : bucket.values) value.store(kFree, std::memory_order_release);
        }
    }
    states_[number] = {static_cast<std::uint8_t>(depth), 0};
    return number;
}

// The page has room.
void ConsentTable::fill(Page& page, const Words& key, std::uint32_t value) {
    for (std::size_t at = home(key.hash());; at = (at + 1) & (kBuckets - 1)) {
        Bucket& bucket = page.buckets[at];
        for (std::size_t s = 0; s < kSlots; ++s) {
            if (bucket.values[s].load(std::memory_order_relaxed) != kFree) continue;
            bucket.keys[s][0].store(key.low, std::memory_order_release);
            bucket.keys[s][1].store(key.high, std::memory_order_release);
            bucket.values[s].store(value, std::memory_order_release);
            return;
        }
        bucket.sequence.store(bucket.sequence.load(std::memory_order_relaxed) | kSpilled, std::memory_order_release);
    }
}

ConsentTable::Put ConsentTable::put(const SubjectKey& key, std::uint32_t value) {
    const Words words(key);
    const std::uint64_t hash = words.hash();
    std::uint32_t number = page_of(directories_.back()->of(hash).load(std::memory_order_relaxed));
    std::size_t at = home(hash);
    for (std::size_t passed = 0; passed < kBuckets; ++passed, at = (at + 1) & (kBuckets - 1)) {
        Bucket& bucket = pages_[number].buckets[at];
        const auto before = bucket.sequence.load(std::memory_order_relaxed);
        for (std::size_t s = 0; s < kSlots; ++s) {
            const auto old = bucket.values[s].load(std::memory_order_relaxed);
            if (old == kFree || !holds(bucket, s, words)) continue;
            bucket.values[s].store(value, std::memory_order_release);
            bucket.sequence.store(before + kStep, std::memory_order_release);
            return {true, old};
        }
        if ((before & kSpilled) == 0) break;
    }
    while (states_[number].keys >= kPageMax) {
        if (!split(hash)) return {false, std::nullopt};
        number = page_of(directories_.back()->of(hash).load(std::memory_order_relaxed));
    }
    fill(pages_[number], words, value);
    ++states_[number].keys;
    size_.fetch_add(1, std::memory_order_relaxed);
    return {true, std::nullopt};
}

// The hash's page becomes two, built aside and published whole; the page itself is used again by a later split.
bool ConsentTable::split(std::uint64_t hash) {
    const std::uint32_t old = page_of(directories_.back()->of(hash).load(std::memory_order_relaxed));
    const unsigned depth = states_[old].depth;
    if (depth == directories_.back()->depth) {
        if (depth == kDepthMax) return false;
        const Directory& now = *directories_.back();
        auto larger = std::make_unique<Directory>(depth + 1);
        for (std::size_t i = 0; i < std::size_t{1} << (depth + 1); ++i)
            larger->entries[i].store(now.entries[i / 2].load(std::memory_order_relaxed), std::memory_order_relaxed);
        directories_.push_back(std::move(larger));
        directory_.store(directories_.back().get(), std::memory_order_release);
    }
    const std::uint32_t halves[] = {new_page(depth + 1), new_page(depth + 1)};
    if (halves[0] == pages_.none || halves[1] == pages_.none) {
        for (const auto half : halves)
            if (half != pages_.none) pages_.give_back(half);
        return false;
    }
    for (const auto& bucket : pages_[old].buckets) {
        for (std::size_t s = 0; s < kSlots; ++s) {
            const auto value = bucket.values[s].load(std::memory_order_relaxed);
            if (value == kFree) continue;
            const Words key(bucket.keys[s][0].load(std::memory_order_relaxed), bucket.keys[s][1].load(std::memory_order_relaxed));
            const auto half = halves[key.hash() >> (63 - depth) & 1];
            fill(pages_[half], key, value);
            ++states_[half].keys;
        }
    }
    const Directory& directory = *directories_.back();
    const std::size_t covers = std::size_t{1} << (directory.depth - depth), first = (hash >> (64 - depth)) * covers;
    for (std::size_t i = first; i < first + covers; ++i) {
        const auto generation = (directory.entries[i].load(std::memory_order_relaxed) >> 32) + 1;
        directory.entries[i].store(generation << 32 | halves[(i - first) * 2 / covers], std::memory_order_release);
    }
    pages_.give_back(old);
    return true;
}

}  // namespace licet::policy
