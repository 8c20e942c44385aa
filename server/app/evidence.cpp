#include "server/app/evidence.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "server/app/fields.h"
#include "server/app/privacy_strings.h"

namespace licet::app {
namespace {

using nlohmann::json;

// A purpose of DPV, and the TCF purposes all of which it takes. What TCF asks and no DPV purpose says without saying more (1 storing on a device, 2
// and 7 advertising without profiles, 11 content without profiles) is in none.
struct TcfPurpose {
    const char* purpose;
    std::array<unsigned, 2> needs;  // 0: one is enough
};
constexpr TcfPurpose kTcf[] = {
    {"dpv:PersonalisedAdvertising", {3, 4}},
    {"dpv:ProvidePersonalisedRecommendations", {5, 6}},
    {"dpv:ServiceUsageAnalytics", {8, 9}},
    {"dpv:ImproveExistingProductsAndServices", {10, 0}},
};
constexpr const char *kSale = "dpv:SellDataToThirdParties", *kTargeted = "dpv:TargetedAdvertising", *kAboveTargeted = "dpv:PersonalisedAdvertising";

void take(const TcString& tc, Evidence& into) {
    const auto says = [&](unsigned purpose) {
        return purpose == 0 || std::find(tc.consents.begin(), tc.consents.end(), purpose) != tc.consents.end();
    };
    for (const auto& row : kTcf) (says(row.needs[0]) && says(row.needs[1]) ? into.consented : into.refused).emplace_back(row.purpose);
    into.stored["purposes"] = tc.consents;
    into.stored["cmp"] = tc.cmp;
    into.stored["vendorList"] = tc.vendor_list;
    into.stored["updated"] = format_rfc3339(tc.updated);
}

void take(const UsChoices& us, Evidence& into) {
    if (us.sale_opt_out) into.refused.emplace_back(kSale);
    if (us.sharing_opt_out || us.targeted_advertising_opt_out) {
        into.refused.emplace_back(kTargeted);
        std::erase(into.consented, kAboveTargeted);  // consent to it would give back what is refused
    }
    into.stored["optedOut"] = {{"sale", us.sale_opt_out}, {"sharing", us.sharing_opt_out}, {"targetedAdvertising", us.targeted_advertising_opt_out}};
}

std::optional<Error> read_value(const std::string& type, const std::string& value, Evidence& into) {
    if (type == "gpc") {
        if (value != "1") return Error{Errc::invalid_document, "expected \"1\", the value of Sec-GPC; anything else states nothing", {}};
        into.refused = {kSale, kTargeted};
    } else if (type == "tcf") {
        auto tc = read_tc_string(value);
        if (!tc) return tc.error();
        take(*tc, into);
    } else if (type == "gpp") {
        auto gpp = read_gpp_string(value);
        if (!gpp) return gpp.error();
        into.stored["sections"] = gpp->sections;
        if (gpp->tcf_eu) take(*gpp->tcf_eu, into);
        if (gpp->us) take(*gpp->us, into);
    }
    into.decides = type != "reference";
    return std::nullopt;
}

}  // namespace

Result<Evidence> read_evidence(const json& document, const std::string& at) {
    Fields fields(document, at);
    const auto type = fields.text("type", 16);
    const auto value = fields.text("value", limits::consent_evidence_max_bytes);
    if (fields.ok() && type != "tcf" && type != "gpp" && type != "gpc" && type != "reference")
        fields.fail("type", "expected tcf, gpp, gpc or reference");
    Evidence out;
    out.stored = {{"type", type}, {"value", value}};
    if (fields.ok())
        if (auto error = read_value(type, value, out)) fields.fail("value", error->detail);
    if (auto error = fields.finish()) return *error;
    return out;
}

bool bears(const std::vector<std::string>& said, policy::PurposeId purpose, const policy::Vocabulary& vocabulary) {
    return std::any_of(said.begin(), said.end(), [&](const std::string& term) {
        const auto id = vocabulary.purpose(term);
        return id && vocabulary.at_or_below(*id).has(purpose);
    });
}

}  // namespace licet::app
