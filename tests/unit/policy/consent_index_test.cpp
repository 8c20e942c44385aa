#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>

#include "policy/consent_index.h"

namespace {

using namespace licet;
using policy::ConsentIndex;
using policy::ConsentStep;
using policy::PurposeSet;

constexpr UtcMillis kNow{1'000'000};

SubjectKey key(std::uint64_t n) {
    SubjectKey k;
    std::uint64_t a = n * 0x9e3779b97f4a7c15ull + 1, b = n;
    std::memcpy(k.bytes.data(), &a, 8);
    std::memcpy(k.bytes.data() + 8, &b, 8);
    return k;
}
PurposeSet words(std::uint64_t w) { return PurposeSet::of({w, w, w, w, w}); }

}  // namespace

TEST_CASE("consent index: nothing is known until it is set; a withdrawal clears") {
    ConsentIndex index;
    CHECK_FALSE(index.ready());
    CHECK(index.valid_purposes(key(1), kNow).empty());
    index.set(key(1), words(6));
    CHECK(index.valid_purposes(key(1), kNow) == words(6));
    CHECK(index.valid_purposes(key(2), kNow).empty());
    index.set(key(1), PurposeSet{});
    CHECK(index.valid_purposes(key(1), kNow).empty());
    CHECK(index.size() == 1);
    CHECK(index.distinct_sets() == 1);  // the empty one
    index.set_revision(9);
    CHECK(index.revision() == 9);
}

TEST_CASE("consent index: agrees with a map over growth, like keys and rewrites") {
    ConsentIndex index;
    std::unordered_map<std::uint64_t, std::uint64_t> model;
    std::mt19937_64 random(7);
    const auto like = [](std::uint64_t n) {  // many keys with the same low bits, and nothing in their upper half
        SubjectKey k;
        const std::uint64_t low = n << 40 | 5;
        std::memcpy(k.bytes.data(), &low, 8);
        return k;
    };
    for (int i = 0; i < 300'000; ++i) {
        const std::uint64_t n = random() % 90'000, w = random() % 5000;
        index.set(n % 50 == 0 ? like(n) : key(n), words(w));
        model[n] = w;
    }
    CHECK(index.size() == model.size());
    for (std::uint64_t n = 0; n < 90'000; ++n) {
        const auto at = model.find(n);
        REQUIRE(index.valid_purposes(n % 50 == 0 ? like(n) : key(n), kNow) == (at == model.end() ? PurposeSet{} : words(at->second)));
    }
    CHECK(index.distinct_sets() <= 5001);  // what nobody holds any more is not kept
}

TEST_CASE("consent index: what ends, ends at its moment for a reader, whoever does what") {
    ConsentIndex index;
    const ConsentStep steps[] = {{{100}, words(7)}, {{200}, words(3)}, {ConsentStep::forever, words(1)}};
    index.set_steps(key(1), steps);
    index.set_steps(key(2), {steps, 1});
    CHECK(index.valid_purposes(key(1), {99}) == words(7));
    CHECK(index.valid_purposes(key(1), {100}) == words(3));
    CHECK(index.valid_purposes(key(1), {199}) == words(3));
    CHECK(index.valid_purposes(key(1), {200}) == words(1));
    CHECK(index.valid_purposes(key(2), {99}) == words(7));
    CHECK(index.valid_purposes(key(2), {100}).empty());
    CHECK(index.next_end() == UtcMillis{100});
    CHECK(index.advance({99}).empty());
    CHECK(index.advance({100}).size() == 2);
    CHECK(index.next_end() == UtcMillis{200});
    // The clock is set back: what ended stays ended, also when it is said again.
    CHECK(index.valid_purposes(key(1), {50}) == words(3));
    index.set_steps(key(2), {steps, 1});
    CHECK(index.valid_purposes(key(2), {50}).empty());
    CHECK(index.advance({1000}) == std::vector{key(1)});
    CHECK(index.valid_purposes(key(1), {1000}) == words(1));
    CHECK_FALSE(index.next_end());
}

TEST_CASE("consent index: an end that was moved or taken away is not reported") {
    ConsentIndex index;
    const ConsentStep early{{100}, words(7)}, late{{300}, words(7)};
    index.set_steps(key(1), {&early, 1});
    index.set_steps(key(1), {&late, 1});  // renewed
    index.set_steps(key(2), {&early, 1});
    index.set(key(2), words(7));  // without an end
    index.set_steps(key(3), {&early, 1});
    index.set_steps(key(3), {&late, 1});
    index.set_steps(key(3), {&early, 1});  // and back
    index.set_steps(key(4), {&early, 1});
    index.set(key(4), PurposeSet{});
    CHECK(index.advance({200}) == std::vector{key(3)});
    CHECK(index.valid_purposes(key(1), {200}) == words(7));
    CHECK(index.valid_purposes(key(2), {200}) == words(7));
    CHECK(index.advance({300}) == std::vector{key(1)});
    // However often an end is moved, no more is remembered than is needed: the last one counts.
    for (std::int64_t i = 0; i < 10'000; ++i) {
        const ConsentStep step{{1000 + i}, words(7)};
        index.set_steps(key(5), {&step, 1});
    }
    CHECK(index.advance({10'998}).empty());
    CHECK(index.advance({10'999}) == std::vector{key(5)});
}

TEST_CASE("consent index: a reader never sees half of one set and half of another, nor an older one after a newer") {
    ConsentIndex index;
    std::atomic<bool> stop{false}, torn{false}, back{false}, lost{false};
    index.set(key(0), words(1));
    std::thread reader([&] {
        std::uint64_t last = 0;
        while (!stop.load(std::memory_order_relaxed)) {
            const auto set = index.valid_purposes(key(0), kNow);
            for (const auto w : set.words()) torn = torn || w != set.words()[0];
            back = back || set.words()[0] < last;
            lost = lost || set.empty();
            last = set.words()[0];
        }
    });
    for (std::uint64_t i = 2; i <= 200'000; ++i) {
        const ConsentStep step{{2'000'000}, words(i)};
        if (i % 2 == 0)
            index.set_steps(key(0), {&step, 1});
        else
            index.set(key(0), words(i));
        if (i % 20 == 0) index.set(key(i), words(i));  // grows meanwhile
    }
    stop = true;
    reader.join();
    CHECK_FALSE(torn.load());
    CHECK_FALSE(back.load());
    CHECK_FALSE(lost.load());
    CHECK(index.valid_purposes(key(0), kNow) == words(200'000));
}

TEST_CASE("consent index: entries that are read together are never seen half changed") {
    ConsentIndex index;
    std::atomic<bool> stop{false}, mixed{false};
    std::atomic<std::uint64_t> seen{0};
    std::thread reader([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            const auto before = index.related_changes();
            const auto a = index.valid_purposes(key(1), kNow), b = index.valid_purposes(key(2), kNow);
            if ((before & 1) != 0 || index.related_changes() != before) continue;
            mixed = mixed || !(a == b);
            ++seen;
        }
    });
    for (std::uint64_t i = 1; i <= 100'000 || seen.load() == 0; ++i) {
        const std::vector<ConsentStep> steps{{ConsentStep::forever, words(i)}};
        const ConsentIndex::Entry both[] = {{key(1), steps}, {key(2), steps}};
        index.set_related(both);
    }
    stop = true;
    reader.join();
    CHECK_FALSE(mixed.load());
}
