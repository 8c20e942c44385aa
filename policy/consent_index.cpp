#include "policy/consent_index.h"

namespace licet::policy {

// Open addressing; a slot's key is written once, before its state is published. The set is guarded by a sequence number per slot (even: stable), so
// that a reader never sees half of one set and half of another.
struct ConsentIndex::Table {
    struct Slot {
        std::atomic<std::uint32_t> sequence{0};  // 0: free
        SubjectKey key;
        std::array<std::atomic<std::uint64_t>, PurposeSet::word_count> words{};
    };
    explicit Table(std::size_t capacity) : slots(capacity), mask(capacity - 1) {}

    Slot* find(const SubjectKey& key) noexcept {
        for (std::size_t i = key.low64() & mask;; i = (i + 1) & mask) {
            Slot& slot = slots[i];
            if (slot.sequence.load(std::memory_order_acquire) == 0) return nullptr;
            if (slot.key == key) return &slot;
        }
    }
    void put(const SubjectKey& key, const PurposeSet& purposes) noexcept {
        std::size_t i = key.low64() & mask;
        while (slots[i].sequence.load(std::memory_order_relaxed) != 0 && slots[i].key != key) i = (i + 1) & mask;
        Slot& slot = slots[i];
        const auto before = slot.sequence.load(std::memory_order_relaxed);
        if (before == 0) {
            slot.key = key;
            for (std::size_t w = 0; w < PurposeSet::word_count; ++w) slot.words[w].store(purposes.words()[w], std::memory_order_relaxed);
            slot.sequence.store(2, std::memory_order_release);
            used.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        slot.sequence.store(before + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        for (std::size_t w = 0; w < PurposeSet::word_count; ++w) slot.words[w].store(purposes.words()[w], std::memory_order_relaxed);
        const auto after = before + 2;
        slot.sequence.store(after == 0 ? 2 : after, std::memory_order_release);
    }

    std::vector<Slot> slots;
    const std::size_t mask;
    std::atomic<std::size_t> used{0};
};

namespace {

std::size_t power_of_two(std::size_t at_least) {
    std::size_t n = 1024;
    while (n < at_least) n *= 2;
    return n;
}

}  // namespace

ConsentIndex::ConsentIndex(std::size_t expected_records) : table_(nullptr) {
    tables_.push_back(std::make_unique<Table>(power_of_two(expected_records * 2)));
    table_.store(tables_.back().get(), std::memory_order_release);
}
ConsentIndex::~ConsentIndex() = default;

PurposeSet ConsentIndex::valid_purposes(const SubjectKey& subject) const noexcept {
    Table* const table = table_.load(std::memory_order_acquire);
    Table::Slot* slot = table->find(subject);
    if (slot == nullptr) return {};
    for (;;) {
        const auto before = slot->sequence.load(std::memory_order_acquire);
        PurposeSet::Words words;
        for (std::size_t w = 0; w < PurposeSet::word_count; ++w) words[w] = slot->words[w].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        if ((before & 1) == 0 && slot->sequence.load(std::memory_order_relaxed) == before) return PurposeSet::of(words);
    }
}

void ConsentIndex::set(const SubjectKey& subject, const PurposeSet& purposes) {
    Table* const table = tables_.back().get();
    if ((table->used.load(std::memory_order_relaxed) + 1) * 2 > table->slots.size() && table->find(subject) == nullptr) {
        auto larger = std::make_unique<Table>(table->slots.size() * 2);
        for (auto& slot : table->slots) {
            if (slot.sequence.load(std::memory_order_relaxed) == 0) continue;
            PurposeSet::Words words;
            for (std::size_t w = 0; w < PurposeSet::word_count; ++w) words[w] = slot.words[w].load(std::memory_order_relaxed);
            larger->put(slot.key, PurposeSet::of(words));
        }
        larger->put(subject, purposes);
        tables_.push_back(std::move(larger));
        table_.store(tables_.back().get(), std::memory_order_release);
        return;
    }
    table->put(subject, purposes);
}

std::size_t ConsentIndex::size() const noexcept { return table_.load(std::memory_order_acquire)->used.load(std::memory_order_relaxed); }

}  // namespace licet::policy
