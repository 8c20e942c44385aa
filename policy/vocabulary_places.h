// Places: ISO 3166-1 alpha-2 codes (as in W3C DPV 2.3, extension LOC), membership of the European Economic Area by its dates of accession and
// leaving, and the adequacy decisions of the European Commission (GDPR Art. 45 and its predecessor) with dates and scope. Compiled from public facts;
// not legal advice. Included by vocabulary.cpp only.
#pragma once

#include <string_view>

// clang-format off: rows in columns
namespace licet::policy::tables {

inline constexpr std::string_view kCountries =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI "
    "CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ "
    "GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
    "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG "
    "PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK "
    "TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW ";

// Dates are half-open; empty `from`: always; empty `until`: still.
struct Membership {
    std::string_view country, from, until;
};
// Members of the European Economic Area by accession; the first ones count at any earlier time too, so that an old event of theirs is not taken for a
// foreign one. GB: until the end of the transition period. Then the territories with codes of their own in which Union law applies in full.
inline constexpr Membership kEea[] = {
    {"AT", "", ""},           {"BE", "", ""},           {"BG", "2007-01-01", ""}, {"CY", "2004-05-01", ""}, {"CZ", "2004-05-01", ""},
    {"DE", "", ""},           {"DK", "", ""},           {"EE", "2004-05-01", ""}, {"ES", "", ""},           {"FI", "", ""},
    {"FR", "", ""},           {"GB", "", "2021-01-01"}, {"GR", "", ""},           {"HR", "2013-07-01", ""}, {"HU", "2004-05-01", ""},
    {"IE", "", ""},           {"IS", "", ""},           {"IT", "", ""},           {"LI", "1995-05-01", ""}, {"LT", "2004-05-01", ""},
    {"LU", "", ""},           {"LV", "2004-05-01", ""}, {"MT", "2004-05-01", ""}, {"NL", "", ""},           {"NO", "", ""},
    {"PL", "2004-05-01", ""}, {"PT", "", ""},           {"RO", "2007-01-01", ""}, {"SE", "", ""},           {"SI", "2004-05-01", ""},
    {"SK", "2004-05-01", ""}, {"AX", "", ""},           {"GF", "", ""},           {"GI", "", "2021-01-01"}, {"GP", "", ""},
    {"MF", "", ""},           {"MQ", "", ""},           {"RE", "", ""},           {"YT", "2014-01-01", ""},
};

// From adoption, or until annulled or expired. `scheme`: what the recipient must hold for a decision that covers only a part of the country's
// recipients; empty: it covers all. The decision on the European Patent Organisation (2025) is not here: a recipient has a country.
struct Adequacy {
    std::string_view country, from, until, scheme, decision, scope;
};
inline constexpr Adequacy kAdequate[] = {
    {"AD", "2010-10-19", "", "", "2010/625/EU", "all recipients"},
    {"AR", "2003-06-30", "", "", "2003/490/EC", "all recipients"},
    {"BR", "2026-01-27", "", "", "of 2026-01-27", "all recipients"},
    {"CA", "2001-12-20", "", "ca-pipeda", "2002/2/EC", "commercial organisations subject to PIPEDA"},
    {"CH", "2000-07-26", "", "", "2000/518/EC", "all recipients"},
    {"FO", "2010-03-05", "", "", "2010/146/EU", "all recipients"},
    {"GB", "2021-06-28", "2031-12-27", "", "(EU) 2021/1772", "all recipients; renewed in 2025"},
    {"GG", "2003-11-21", "", "", "2003/821/EC", "all recipients"},
    {"IL", "2011-01-31", "", "", "2011/61/EU", "all recipients"},
    {"IM", "2004-04-28", "", "", "2004/411/EC", "all recipients"},
    {"JE", "2008-05-08", "", "", "2008/393/EC", "all recipients"},
    {"JP", "2019-01-23", "", "jp-appi", "(EU) 2019/419", "businesses under APPI and its supplementary rules"},
    {"KR", "2021-12-17", "", "kr-pipa", "(EU) 2022/254", "recipients subject to PIPA"},
    {"NZ", "2012-12-19", "", "", "2013/65/EU", "all recipients"},
    {"US", "2000-07-26", "2015-10-06", "us-safe-harbor", "2000/520/EC", "self-certified organisations; annulled (C-362/14)"},
    {"US", "2016-07-12", "2020-07-16", "eu-us-privacy-shield", "(EU) 2016/1250", "self-certified organisations; annulled (C-311/18)"},
    {"US", "2023-07-10", "", "eu-us-dpf", "(EU) 2023/1795", "organisations self-certified under the EU-US Data Privacy Framework"},
    {"UY", "2012-08-21", "", "", "2012/484/EU", "all recipients"},
};

}  // namespace licet::policy::tables
// clang-format on
