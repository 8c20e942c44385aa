#include <doctest/doctest.h>

#include "policy/vocabulary.h"

namespace {

using namespace licet;
using policy::Ternary;

const auto vocabulary = policy::builtin_vocabulary();
policy::PurposeId purpose(const char* term) { return vocabulary->purpose(term).value(); }
UtcMillis day(const char* text) { return parse_date(text).value(); }

}  // namespace

TEST_CASE("purposes: a hierarchy without cycles, with several parents") {
    CHECK(vocabulary->at_or_below(purpose("dpv:ResearchAndDevelopment")).has(purpose("dpv:AcademicResearch")));
    CHECK(vocabulary->at_or_above(purpose("dpv:PersonalisedAdvertising")).has(purpose("dpv:Advertising")));
    CHECK(vocabulary->at_or_above(purpose("dpv:PersonalisedAdvertising")).has(purpose("dpv:Personalisation")));
    CHECK_FALSE(vocabulary->at_or_below(purpose("dpv:AcademicResearch")).has(purpose("dpv:ResearchAndDevelopment")));
    CHECK_FALSE(vocabulary->purpose("AcademicResearch").has_value());
    CHECK_FALSE(vocabulary->purpose("dpv:").has_value());
    CHECK_FALSE(vocabulary->purpose("dpv:academicresearch").has_value());

    // Above and below are inverse to each other, and nobody else is both.
    std::size_t known = 0;
    for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p) {
        if (p == 123) break;
        ++known;
        CHECK(vocabulary->purpose(vocabulary->purpose_name({p})) == policy::PurposeId{p});
        for (std::uint16_t q = 0; q < 123; ++q) {
            CHECK(vocabulary->at_or_below({p}).has({q}) == vocabulary->at_or_above({q}).has({p}));
            if (p != q) CHECK_FALSE((vocabulary->at_or_below({p}).has({q}) && vocabulary->at_or_above({p}).has({q})));
        }
    }
    CHECK(known == 123);
}

TEST_CASE("commercial: what the vocabulary says, and unknown where it does not") {
    CHECK(vocabulary->commercial(purpose("dpv:CommercialPurpose")) == Ternary::yes);
    CHECK(vocabulary->commercial(purpose("dpv:TargetedAdvertising")) == Ternary::yes);
    CHECK(vocabulary->commercial(purpose("dpv:NonCommercialResearch")) == Ternary::no);
    CHECK(vocabulary->commercial(purpose("dpv:ServiceOptimisation")) == Ternary::unknown);
    CHECK(vocabulary->commercial(purpose("dpv:Purpose")) == Ternary::unknown);
}

TEST_CASE("licences: permits, requires, prohibits") {
    const auto has = [](std::uint16_t mask, policy::Act act) { return (mask & static_cast<std::uint16_t>(act)) != 0; };
    const auto* nc = vocabulary->licence("CC-BY-NC-4.0");
    REQUIRE(nc != nullptr);
    CHECK(has(nc->prohibits, policy::Act::commercial_use));
    CHECK(has(nc->permits, policy::Act::derivative_works));
    const auto* nd = vocabulary->licence("CC-BY-ND-4.0");
    REQUIRE(nd != nullptr);
    CHECK_FALSE(has(nd->permits, policy::Act::derivative_works));
    CHECK_FALSE(has(nd->prohibits, policy::Act::commercial_use));
    CHECK(has(vocabulary->licence("CC-BY-SA-4.0")->requires_, policy::Act::share_alike));
    CHECK(vocabulary->licence("cc0-1.0") == nullptr);
    CHECK(vocabulary->licence("") == nullptr);
}

TEST_CASE("places: membership and adequacy by date") {
    CHECK(vocabulary->in_eea("DE", day("2026-01-01")) == Ternary::yes);
    CHECK(vocabulary->in_eea("DE-BE", day("2026-01-01")) == Ternary::yes);
    CHECK(vocabulary->in_eea("CH", day("2026-01-01")) == Ternary::no);
    CHECK(vocabulary->in_eea("DEU", day("2026-01-01")) == Ternary::unknown);
    CHECK(vocabulary->in_eea("de", day("2026-01-01")) == Ternary::unknown);
    CHECK(vocabulary->in_eea("", day("2026-01-01")) == Ternary::unknown);
    CHECK(vocabulary->in_eea("GB", day("2020-12-31")) == Ternary::yes);
    CHECK(vocabulary->in_eea("GB", day("2021-01-01")) == Ternary::no);
    CHECK(vocabulary->in_eea("FR", UtcMillis{0}) == Ternary::yes);
    int members = 0;
    for (char a = 'A'; a <= 'Z'; ++a)
        for (char b = 'A'; b <= 'Z'; ++b) members += vocabulary->in_eea(std::string{a, b}, day("2026-01-01")) == Ternary::yes;
    CHECK(members == 30 + 7);  // states, and territories with codes of their own

    CHECK(vocabulary->adequate("JP", day("2026-01-01"), "jp-appi") == Ternary::yes);
    CHECK(vocabulary->adequate("JP", day("2026-01-01"), "") == Ternary::no);
    CHECK(vocabulary->adequate("US", day("2018-01-01"), "eu-us-privacy-shield") == Ternary::yes);
    CHECK(vocabulary->adequate("US", day("2020-07-16"), "eu-us-privacy-shield") == Ternary::no);
    CHECK(vocabulary->adequate("XX", day("2026-01-01"), "") == Ternary::unknown);
}

TEST_CASE("eras: within one, every answer about places is the same") {
    for (std::int64_t t = day("1970-01-01").value; t < day("2035-01-01").value; t += 86'400'000) {
        const UtcMillis a{t - 1}, b{t};
        if (vocabulary->era(a) != vocabulary->era(b)) continue;
        for (const char* place : {"GB", "HR", "RE", "YT", "LI", "FR"}) REQUIRE(vocabulary->in_eea(place, a) == vocabulary->in_eea(place, b));
        for (const char* scheme : {"", "eu-us-dpf", "eu-us-privacy-shield", "us-safe-harbor"})
            for (const char* place : {"US", "GB", "NZ", "BR"})
                REQUIRE(vocabulary->adequate(place, a, scheme) == vocabulary->adequate(place, b, scheme));
    }
    CHECK(vocabulary->era(day("2020-12-31")) != vocabulary->era(day("2021-01-01")));
}

TEST_CASE("transfer tools and categories") {
    CHECK(vocabulary->is_transfer_tool("eu-gdpr:A46-2-c"));
    CHECK_FALSE(vocabulary->is_transfer_tool("eu-gdpr:A49-1-a"));
    CHECK(vocabulary->is_category("pd:IPAddress"));
    CHECK_FALSE(vocabulary->is_category("IPAddress"));
    CHECK_FALSE(vocabulary->is_category("pd:"));
}
