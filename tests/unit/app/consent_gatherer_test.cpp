// Rows in any order come back by subject, whole.
#include "server/app/consent_gatherer.h"

#include <map>
#include <random>

#include "tests/unit/app/fakes.h"

using namespace licet;

TEST_CASE("consents gathered: every subject once, with exactly what was said of her, whatever the order") {
    std::mt19937_64 random(7);
    const auto some = [&](std::uint64_t n) { return random() % n; };
    std::map<SubjectKey, std::vector<app::HeldConsent>> expected;
    std::vector<std::pair<SubjectKey, app::HeldConsent>> rows;
    for (int i = 0; i < 30'000; ++i) {
        SubjectKey subject;
        subject.bytes[0] = static_cast<std::uint8_t>(some(3));  // more than a block of one part
        subject.bytes[9] = static_cast<std::uint8_t>(some(200));
        subject.bytes[15] = static_cast<std::uint8_t>(some(20));
        app::HeldConsent held{
            {static_cast<std::uint16_t>(some(100))},  some(2) == 0, {static_cast<std::int64_t>(random())}, {random(), some(UINT32_MAX)}, std::nullopt,
            static_cast<policy::RecipientNo>(some(5))};
        if (some(2) == 0) held.withdrawn = {1 + random() / 2, some(UINT32_MAX)};
        expected[subject].push_back(held);
        rows.emplace_back(subject, held);
    }
    std::shuffle(rows.begin(), rows.end(), random);
    app::ConsentGatherer gathered;
    for (const auto& [subject, held] : rows) gathered.add(subject, held);
    const auto as_key = [](const app::HeldConsent& h) {
        return std::tuple(h.purpose, h.valid, h.valid_until.value, h.given, h.withdrawn, h.recipient);
    };
    const auto sorted = [&](std::span<const app::HeldConsent> all) {
        std::vector<app::HeldConsent> out(all.begin(), all.end());
        std::sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return as_key(a) < as_key(b); });
        return out;
    };
    std::size_t subjects = 0;
    gathered.take([&](const SubjectKey& subject, std::span<const app::HeldConsent> held) {
        ++subjects;
        const auto a = sorted(held), b = sorted(expected.at(subject));
        REQUIRE(std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) { return as_key(x) == as_key(y); }));
    });
    CHECK(subjects == expected.size());
    gathered.take([](const SubjectKey&, std::span<const app::HeldConsent>) { FAIL("nothing is left"); });
}
