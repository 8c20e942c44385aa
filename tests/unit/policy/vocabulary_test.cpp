#include <doctest/doctest.h>

#include "policy/vocabulary.h"

namespace {

using namespace licet;
using policy::Ternary;

const auto vocabulary = policy::builtin_vocabulary();
policy::PurposeId purpose(const char* term) { return vocabulary->purpose(term).value(); }
constexpr std::uint16_t kPurposes = 284;  // 122 of DPV, 43 finance, 91 health, 26 EHDS, 2 AI preferences
UtcMillis day(const char* text) { return parse_date(text).value(); }

}  // namespace

TEST_CASE("purposes: a hierarchy without cycles, with several parents") {
    CHECK(vocabulary->at_or_below(purpose("dpv:ResearchAndDevelopment")).has(purpose("dpv:AcademicResearch")));
    CHECK(vocabulary->at_or_above(purpose("dpv:PersonalisedAdvertising")).has(purpose("dpv:Advertising")));
    CHECK(vocabulary->at_or_above(purpose("dpv:PersonalisedAdvertising")).has(purpose("dpv:Personalisation")));
    CHECK_FALSE(vocabulary->at_or_below(purpose("dpv:AcademicResearch")).has(purpose("dpv:ResearchAndDevelopment")));
    CHECK(vocabulary->at_or_above(purpose("eu-ehds:PublicPolicyMaking")).has(purpose("dpv:PublicBenefit")));
    CHECK(vocabulary->at_or_above(purpose("aipref:search")).has(purpose("dpv:ServiceProvision")));
    CHECK(vocabulary->purpose("https://w3id.org/dpv/sector/health#AccessManagement") == vocabulary->purpose("sector-health:AccessManagement"));
    CHECK_FALSE(vocabulary->purpose("https://w3id.org/dpv#sector-health:AccessManagement").has_value());
    CHECK_FALSE(vocabulary->purpose("dpv:Sector").has_value());
    CHECK_FALSE(vocabulary->purpose("AcademicResearch").has_value());
    CHECK_FALSE(vocabulary->purpose("dpv:").has_value());
    CHECK_FALSE(vocabulary->purpose("dpv:academicresearch").has_value());

    // Above and below are inverse to each other, and nobody else is both.
    std::size_t known = 0;
    for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p) {
        if (p == kPurposes) break;
        ++known;
        CHECK(vocabulary->purpose(vocabulary->purpose_name({p})) == policy::PurposeId{p});
        for (std::uint16_t q = 0; q < kPurposes; ++q) {
            CHECK(vocabulary->at_or_below({p}).has({q}) == vocabulary->at_or_above({q}).has({p}));
            if (p != q) CHECK_FALSE((vocabulary->at_or_below({p}).has({q}) && vocabulary->at_or_above({p}).has({q})));
        }
    }
    CHECK(known == kPurposes);
}

TEST_CASE("commercial: what the vocabulary says, and unknown where it does not") {
    CHECK(vocabulary->commercial(purpose("dpv:CommercialPurpose")) == Ternary::yes);
    CHECK(vocabulary->commercial(purpose("dpv:TargetedAdvertising")) == Ternary::yes);
    CHECK(vocabulary->commercial(purpose("dpv:NonCommercialResearch")) == Ternary::no);
    CHECK(vocabulary->commercial(purpose("dpv:ServiceOptimisation")) == Ternary::unknown);
    CHECK(vocabulary->commercial(purpose("dpv:Purpose")) == Ternary::unknown);
}

TEST_CASE("licences: permits, requires, prohibits") {
    using policy::has;
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

TEST_CASE("training and search: what a licence's TrainAI and Search mean") {
    CHECK(vocabulary->training(purpose("aipref:train-ai")) == Ternary::yes);
    CHECK(vocabulary->training(purpose("eu-ehds:TrainTestAndEvaluateAISystemsAlgorithms")) == Ternary::yes);
    CHECK(vocabulary->training(purpose("dpv:Purpose")) == Ternary::unknown);
    CHECK(vocabulary->training(purpose("dpv:ResearchAndDevelopment")) == Ternary::no);
    CHECK(vocabulary->searching(purpose("aipref:search")) == Ternary::yes);
    CHECK(vocabulary->searching(purpose("dpv:SearchFunctionalities")) == Ternary::unknown);
    CHECK(vocabulary->searching(purpose("dpv:Marketing")) == Ternary::no);
}

TEST_CASE("own licences: laid over the tables, and only under their names") {
    const auto acts = policy::Act::reproduction | policy::Act::distribution;
    const auto own = policy::with_licences(vocabulary, {{"house", acts, 0, static_cast<policy::Acts>(policy::Act::ai_training)}}, 7);
    REQUIRE(own->licence("LicenseRef-house") != nullptr);
    CHECK(own->licence("LicenseRef-house")->id == "LicenseRef-house");
    CHECK(own->licence("LicenseRef-house")->permits == acts);
    CHECK(policy::has(own->licence("LicenseRef-house")->prohibits, policy::Act::ai_training));
    CHECK(own->licence("house") == nullptr);
    CHECK(own->licence("LicenseRef-other") == nullptr);
    CHECK(own->licence("CC0-1.0") != nullptr);
    CHECK(vocabulary->licence("LicenseRef-house") == nullptr);
    CHECK(own->licence_revision() == 7);
    CHECK(vocabulary->licence_revision() == 0);
    CHECK(own->version() != vocabulary->version());
    CHECK(own->purpose("aipref:train-ai") == vocabulary->purpose("aipref:train-ai"));
}

TEST_CASE("acts have names, both ways") {
    for (const char* name : {"Reproduction", "Distribution", "DerivativeWorks", "CommercialUse", "Sharing", "Notice", "Attribution", "ShareAlike",
                             "SourceCode", "Copyleft", "LesserCopyleft", "StateChanges", "TrainAI", "Search"}) {
        REQUIRE(policy::parse_act(name).has_value());
        CHECK(policy::act_name(*policy::parse_act(name)) == name);
        CHECK(policy::act_names(static_cast<policy::Acts>(*policy::parse_act(name))) == std::vector<std::string_view>{name});
    }
    CHECK_FALSE(policy::parse_act("reproduction").has_value());
    CHECK_FALSE(policy::parse_act("").has_value());
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

TEST_CASE("legal bases and consent status") {
    CHECK(vocabulary->is_legal_basis("eu-gdpr:A6-1-f"));
    CHECK(vocabulary->is_legal_basis("dpv:LegitimateInterest"));
    CHECK_FALSE(vocabulary->is_legal_basis("A6-1-f"));
    CHECK_FALSE(vocabulary->is_legal_basis(""));
    CHECK(vocabulary->consent_valid("dpv:ConsentGiven") == Ternary::yes);
    CHECK(vocabulary->consent_valid("dpv:RenewedConsentGiven") == Ternary::yes);
    CHECK(vocabulary->consent_valid("dpv:ConsentWithdrawn") == Ternary::no);
    CHECK(vocabulary->consent_valid("dpv:ConsentUnknown") == Ternary::no);
    CHECK(vocabulary->consent_valid("dpv:ConsentStatus") == Ternary::unknown);
    CHECK(vocabulary->consent_valid("given") == Ternary::unknown);
}

TEST_CASE("adequacy: the decision that answers, and its scope") {
    CHECK(vocabulary->adequacy_decision("US", day("2026-01-01"), "eu-us-dpf") == "(EU) 2023/1795");
    CHECK(vocabulary->adequacy_decision("US", day("2026-01-01"), "eu-us-privacy-shield").empty());
    CHECK(vocabulary->adequacy_decision("CA-QC", day("2026-01-01"), "ca-pipeda") == "2002/2/EC");
    CHECK(vocabulary->adequacy_decision("CA", day("2026-01-01"), "").empty());
    CHECK(vocabulary->adequacy_decision("NZ", day("2012-12-18"), "").empty());
    CHECK(vocabulary->is_adequacy_scheme("kr-pipa"));
    CHECK_FALSE(vocabulary->is_adequacy_scheme(""));
    CHECK_FALSE(vocabulary->is_adequacy_scheme("iso-27001"));
}

TEST_CASE("transfer tools and categories") {
    CHECK(vocabulary->is_transfer_tool("eu-gdpr:A46-2-c"));
    CHECK_FALSE(vocabulary->is_transfer_tool("eu-gdpr:A49-1-a"));
    CHECK(vocabulary->is_category("pd:IPAddress"));
    CHECK_FALSE(vocabulary->is_category("IPAddress"));
    CHECK_FALSE(vocabulary->is_category("pd:"));
}
