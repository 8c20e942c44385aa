// Dates, e-mail and IP addresses made less exact: pure functions on text, which they refuse when it is not wholly what they expect. Used by the
// transforms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/transform.h"

namespace licet::policy {

// All: true and `out` set, or false.

// `text`: "YYYY-MM-DD" or an RFC 3339 date-time, of which only the date changes. False also past the years 0001-9999 and for leap seconds.
[[nodiscard]] bool shift_date(std::string_view text, std::int64_t days, std::string& out);
// An integer as text, by the text's own offset. Days of the week from Monday, 1; weeks as ISO 8601 counts them. An hour needs a time.
[[nodiscard]] bool time_part(std::string_view text, TimePart part, std::string& out);
// "*@example.org", or "*@*.org".
[[nodiscard]] bool generalise_email(std::string_view text, bool keep_domain, std::string& out);
// The address with all bits past the prefix zero: IPv4 dotted, IPv6 as RFC 5952 writes it. False also for quads with leading zeros: octal or not?
[[nodiscard]] bool generalise_ip(std::string_view text, int ipv4_prefix, int ipv6_prefix, std::string& out);

}  // namespace licet::policy
