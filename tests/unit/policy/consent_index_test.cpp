#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>

#include "policy/consent_index.h"

namespace {

using namespace licet;
using policy::ConsentIndex;
using policy::PurposeSet;

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
    ConsentIndex index(1);
    CHECK_FALSE(index.ready());
    CHECK(index.valid_purposes(key(1)).empty());
    index.set(key(1), words(6));
    CHECK(index.valid_purposes(key(1)) == words(6));
    CHECK(index.valid_purposes(key(2)).empty());
    index.set(key(1), {});
    CHECK(index.valid_purposes(key(1)).empty());
    CHECK(index.size() == 1);
    index.set_revision(9);
    CHECK(index.revision() == 9);
}

TEST_CASE("consent index: agrees with a map over growth, colliding keys and rewrites") {
    ConsentIndex index(1);
    std::unordered_map<std::uint64_t, std::uint64_t> model;
    std::mt19937_64 random(7);
    const auto colliding = [](std::uint64_t n) {  // many keys with the same low bits
        SubjectKey k;
        const std::uint64_t low = n << 40 | 5;
        std::memcpy(k.bytes.data(), &low, 8);
        return k;
    };
    for (int i = 0; i < 30'000; ++i) {
        const std::uint64_t n = random() % 9000, w = random();
        index.set(n % 50 == 0 ? colliding(n) : key(n), words(w));
        model[n] = w;
    }
    CHECK(index.size() == model.size());
    for (std::uint64_t n = 0; n < 9000; ++n) {
        const auto at = model.find(n);
        REQUIRE(index.valid_purposes(n % 50 == 0 ? colliding(n) : key(n)) == (at == model.end() ? PurposeSet{} : words(at->second)));
    }
}

TEST_CASE("consent index: a reader never sees half of one set and half of another, nor an older one after a newer") {
    ConsentIndex index(1);
    std::atomic<bool> stop{false}, torn{false}, back{false};
    std::thread reader([&] {
        std::uint64_t last = 0;
        while (!stop.load(std::memory_order_relaxed)) {
            const auto set = index.valid_purposes(key(0));
            for (const auto w : set.words()) torn = torn || w != set.words()[0];
            back = back || set.words()[0] < last;
            last = set.words()[0];
        }
    });
    for (std::uint64_t i = 1; i <= 200'000; ++i) {
        index.set(key(0), words(i));
        if (i % 20 == 0) index.set(key(i), words(i));  // grows meanwhile
    }
    stop = true;
    reader.join();
    CHECK_FALSE(torn.load());
    CHECK_FALSE(back.load());
    CHECK(index.valid_purposes(key(0)) == words(200'000));
}
