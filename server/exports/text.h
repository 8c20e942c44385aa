// Small pieces of text the layouts share. Pure.
#pragma once

#include <string>
#include <string_view>

#include "server/ports/accounts.h"

namespace licet::exports {

// A JSON string with its quotes; what is no UTF-8 is replaced.
[[nodiscard]] std::string json_text(std::string_view text);
// For element content and attribute values in double quotes; what XML and HTML cannot carry is replaced.
[[nodiscard]] std::string html_text(std::string_view text);
// "2026-11-01T00:00:00Z"
[[nodiscard]] std::string date_time(UtcMillis at);
// "2026-11-01"
[[nodiscard]] std::string date(UtcMillis at);
// An account's head as a JSON object: everything but its lines.
[[nodiscard]] std::string account_json(const ports::Account& account);

}  // namespace licet::exports
