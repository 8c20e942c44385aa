// Strings of consent platforms and browsers: published examples, strings of our own making bit by bit, and everything cut off or bent.
#include <doctest/doctest.h>

#include "server/app/evidence.h"
#include "server/app/privacy_strings.h"

using namespace licet;
using namespace licet::app;

namespace {

// Writes what Bits reads: numbers most significant bit first, six bits to a character.
class Writer {
  public:
    Writer& number(std::uint64_t value, unsigned bits) {
        while (bits-- > 0) bits_ += (value >> bits & 1) != 0 ? '1' : '0';
        return *this;
    }
    Writer& letters(const char* two) { return number(static_cast<unsigned>(two[0] - 'A'), 6).number(static_cast<unsigned>(two[1] - 'A'), 6); }
    Writer& flags(unsigned count, std::initializer_list<unsigned> set) {
        for (unsigned i = 1; i <= count; ++i) number(std::find(set.begin(), set.end(), i) != set.end() ? 1 : 0, 1);
        return *this;
    }
    Writer& fibonacci(unsigned value) {
        std::vector<unsigned> terms{1, 2};
        while (terms.back() < value) terms.push_back(terms[terms.size() - 1] + terms[terms.size() - 2]);
        std::string code;
        for (std::size_t i = terms.size(); i-- > 0;) {
            const bool take = terms[i] <= value;
            if (take) value -= terms[i];
            if (take || !code.empty()) code.insert(code.begin(), take ? '1' : '0');
        }
        bits_ += code + '1';
        return *this;
    }
    // `bytes`: filled up to whole bytes first, as the published strings are.
    [[nodiscard]] std::string text(bool bytes = false) const {
        static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        std::string padded = bits_, out;
        while (bytes && padded.size() % 8 != 0) padded += '0';
        while (padded.size() % 6 != 0) padded += '0';
        for (std::size_t i = 0; i < padded.size(); i += 6) out += alphabet[std::stoul(padded.substr(i, 6), nullptr, 2)];
        return out;
    }

  private:
    std::string bits_;
};

std::string tc_string(std::initializer_list<unsigned> consents, unsigned version = 2) {
    return Writer()
        .number(version, 6)
        .number(17'000'000'000, 36)
        .number(17'000'000'001, 36)
        .number(300, 12)
        .number(7, 12)
        .number(1, 6)
        .letters("DE")
        .number(150, 12)
        .number(4, 6)
        .number(1, 1)
        .number(0, 1)
        .number(0, 12)
        .flags(24, consents)
        .flags(24, {2, 7})
        .number(0, 1)
        .letters("DE")
        .number(9, 16)
        .number(0, 1)
        .flags(9, {1, 9})
        .number(4, 16)
        .number(1, 1)
        .number(1, 12)
        .number(1, 1)
        .number(2, 16)
        .number(4, 16)
        .number(0, 12)
        .text();
}

std::string gpp_header(std::initializer_list<unsigned> sections) {
    Writer header;
    header.number(3, 6).number(1, 6).number(sections.size(), 12);
    unsigned before = 0;
    for (const unsigned id : sections) {
        header.number(0, 1).fibonacci(id - before);
        before = id;
    }
    return header.text(true);
}

std::string us_national(unsigned sale, unsigned sharing, unsigned targeted, unsigned version = 1) {
    Writer core;
    core.number(version, 6);
    for (int i = 0; i < 6; ++i) core.number(1, 2);
    core.number(sale, 2).number(sharing, 2).number(targeted, 2);
    for (unsigned i = version == 1 ? 12 + 2 + 4 : 16 + 3 + 4; i > 0; --i) core.number(0, 2);
    return core.text();
}

nlohmann::json evidence(const char* type, const std::string& value) { return {{"type", type}, {"value", value}}; }

}  // namespace

TEST_CASE("TC strings: a published one, with its vendors as ranges and the segment of disclosed vendors") {
    const auto tc = read_tc_string(
        "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA."
        "IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw");
    REQUIRE_MESSAGE(tc.ok(), (tc.ok() ? "" : tc.error().detail));
    CHECK(tc->created.value == 1'582'243'059'300);
    CHECK(tc->updated.value == 1'582'243'059'300);
    CHECK(tc->cmp == 27);
    CHECK(tc->cmp_version == 0);
    CHECK(tc->language == "EN");
    CHECK(tc->vendor_list == 15);
    CHECK(tc->policy_version == 2);
    CHECK(tc->publisher_country == "AA");
    CHECK_FALSE(tc->service_specific);
    CHECK(tc->consents == std::vector<unsigned>{1, 2, 3});
    CHECK(tc->vendor_consents == std::vector<unsigned>{2, 6, 8});
}

TEST_CASE("TC strings: what was written is read, cut off anywhere it is refused") {
    const auto text = tc_string({1, 3, 4, 10, 24});
    const auto tc = read_tc_string(text);
    REQUIRE_MESSAGE(tc.ok(), (tc.ok() ? "" : tc.error().detail));
    CHECK(tc->created.value == 1'700'000'000'000);
    CHECK(tc->language == "DE");
    CHECK(tc->service_specific);
    CHECK(tc->consents == std::vector<unsigned>{1, 3, 4, 10, 24});
    CHECK(tc->legitimate_interests == std::vector<unsigned>{2, 7});
    CHECK(tc->vendor_consents == std::vector<unsigned>{1, 9});
    for (std::size_t length = 0; length < text.size(); ++length) CHECK_FALSE(read_tc_string(text.substr(0, length)).ok());
    CHECK_FALSE(read_tc_string(text + "B").ok());  // something after the end
    CHECK(read_tc_string(text + "A").ok());        // padding
    CHECK_FALSE(read_tc_string(tc_string({1}, 1)).ok());
    CHECK_FALSE(read_tc_string(tc_string({1}, 3)).ok());
    CHECK_FALSE(read_tc_string(text + ".").ok());
    CHECK_FALSE(read_tc_string(text + ".AAAA").ok());  // a segment of type 0
    auto bent = text;
    bent[20] = '=';
    CHECK(read_tc_string(bent).error().detail.find("21") != std::string::npos);
}

TEST_CASE("GPP strings: published headers, sections by their ids, unknown ones passed over") {
    CHECK(gpp_header({2}) == "DBABMA");
    CHECK(gpp_header({2, 6}) == "DBACNYA");
    const auto both = read_gpp_string("DBACNYA~CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~1YNN");
    REQUIRE_MESSAGE(both.ok(), (both.ok() ? "" : both.error().detail));
    CHECK(both->sections == std::vector<unsigned>{2, 6});
    REQUIRE(both->tcf_eu.has_value());
    CHECK(both->tcf_eu->cmp == 880);
    CHECK(both->tcf_eu->consents.empty());
    REQUIRE(both->us.has_value());
    CHECK_FALSE(both->us->sale_opt_out);
    CHECK(read_gpp_string(gpp_header({6}) + "~1YYN")->us->sale_opt_out);
    CHECK(read_gpp_string(gpp_header({5, 6}) + "~whatever~1YYN").ok());
    CHECK_FALSE(read_gpp_string(gpp_header({5}) + "~whatever").ok());
    CHECK_FALSE(read_gpp_string(gpp_header({6}) + "~2YYN").ok());
    CHECK_FALSE(read_gpp_string(gpp_header({6})).ok());
    CHECK_FALSE(read_gpp_string(gpp_header({6}) + "~1YYN~1YYN").ok());
    CHECK_FALSE(read_gpp_string("DBA~1YYN").ok());
    CHECK_FALSE(read_gpp_string("").ok());
    for (const unsigned version : {1u, 2u}) {
        const auto us = read_gpp_string(gpp_header({7}) + "~" + us_national(2, 1, 0, version));
        REQUIRE_MESSAGE(us.ok(), (us.ok() ? "" : us.error().detail));
        CHECK_FALSE(us->us->sale_opt_out);
        CHECK(us->us->sharing_opt_out);
        CHECK_FALSE(us->us->targeted_advertising_opt_out);
    }
    // Published ones, of either length.
    for (const char* section : {"BAAAAAAAAQA.QA", "BAAAAAAAAABA.QA", "CAAAAAABEQA.QA"}) CHECK(read_gpp_string(std::string("DBABLA~") + section).ok());
    CHECK_FALSE(read_gpp_string(gpp_header({7}) + "~" + us_national(3, 1, 0)).ok());
    CHECK_FALSE(read_gpp_string(gpp_header({7}) + "~" + us_national(1, 1, 0).substr(0, 5)).ok());
    const auto signalled = read_gpp_string(gpp_header({7}) + "~" + us_national(2, 2, 2) + "." + Writer().number(1, 2).number(1, 1).text());
    REQUIRE(signalled.ok());
    CHECK(signalled->us->sale_opt_out);
    CHECK(signalled->us->targeted_advertising_opt_out);
}

TEST_CASE("evidence: what it says in DPV's purposes, and what it does not") {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto& v = *vocabulary;
    using Names = std::vector<std::string>;
    const auto tcf = read_evidence(evidence("tcf", tc_string({1, 2, 3, 4, 5, 8, 9})), "/evidence");
    REQUIRE(tcf.ok());
    CHECK(tcf->consented == Names{"dpv:PersonalisedAdvertising", "dpv:ServiceUsageAnalytics"});
    CHECK(tcf->refused == Names{"dpv:ProvidePersonalisedRecommendations", "dpv:ImproveExistingProductsAndServices"});
    CHECK(bears(tcf->consented, *v.purpose("dpv:TargetedAdvertising"), v));  // below what it consents to
    CHECK_FALSE(bears(tcf->consented, *v.purpose("dpv:Advertising"), v));
    for (const auto* list : {&tcf->consented, &tcf->refused})
        for (const auto& name : *list) CHECK(v.purpose(name).has_value());
    const auto gpc = read_evidence(evidence("gpc", "1"), "/evidence");
    REQUIRE(gpc.ok());
    CHECK(gpc->consented.empty());
    CHECK(gpc->refused == Names{"dpv:SellDataToThirdParties", "dpv:TargetedAdvertising"});
    const auto us = read_evidence(evidence("gpp", gpp_header({7}) + "~" + us_national(2, 2, 2)), "/evidence");
    REQUIRE(us.ok());
    CHECK(us->consented.empty());  // not opting out is no consent
    CHECK(us->refused.empty());
    // Consent in one section gives nothing back that another refuses.
    const auto both = read_evidence(evidence("gpp", gpp_header({2, 7}) + "~" + tc_string({3, 4}) + "~" + us_national(2, 2, 1)), "/evidence");
    REQUIRE(both.ok());
    CHECK_FALSE(bears(both->consented, *v.purpose("dpv:TargetedAdvertising"), v));
    CHECK(std::find(both->refused.begin(), both->refused.end(), "dpv:TargetedAdvertising") != both->refused.end());
    CHECK_FALSE(read_evidence(evidence("reference", "https://consents.example/1"), "/evidence")->decides);
    CHECK(read_evidence(evidence("gpc", "0"), "/evidence").error().pointer == "/evidence/value");
    CHECK(read_evidence(evidence("tcf", "COvF"), "/evidence").error().pointer == "/evidence/value");
    CHECK(read_evidence(evidence("gpp", "x"), "/0/evidence").error().pointer == "/0/evidence/value");
    CHECK(read_evidence(evidence("oath", "x"), "/evidence").error().pointer == "/evidence/type");
    CHECK(read_evidence({{"type", "gpc"}, {"value", "1"}, {"more", 1}}, "/evidence").error().pointer == "/evidence/more");
}
