// Reads the strings in which consent platforms and browsers state a person's choices: IAB TCF v2, IAB GPP (with its sections for the EU, USPrivacy
// and the United States' national one), Global Privacy Control. Strict: what is cut off, of another version, or says what it may not is refused.
// Pure; used by consent evidence (server/app/evidence.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace licet::app {

// The core segment of a TC string; of vendors only that the segment is whole.
struct TcString {
    UtcMillis created{}, updated{};
    unsigned cmp = 0, cmp_version = 0, vendor_list = 0, policy_version = 0;
    std::string language, publisher_country;
    bool service_specific = false;
    std::vector<unsigned> consents, legitimate_interests;  // numbers of purposes, 1..24
    std::vector<unsigned> vendor_consents;
};
[[nodiscard]] Result<TcString> read_tc_string(std::string_view text);

// Choices under the laws of the United States. Opting out is an objection; not opting out is no consent.
struct UsChoices {
    bool sale_opt_out = false, sharing_opt_out = false, targeted_advertising_opt_out = false;
};
struct GppString {
    std::vector<unsigned> sections;  // ids, as the header lists them
    std::optional<TcString> tcf_eu;  // section 2
    std::optional<UsChoices> us;     // sections 6 and 7 together
};
// Errors also for a string none of whose sections is known here.
[[nodiscard]] Result<GppString> read_gpp_string(std::string_view text);

}  // namespace licet::app
