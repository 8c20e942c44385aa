// A bounded RE2 pattern with its rewrite text. The only place that includes RE2. Used by the regexReplace transform. Pure; immutable, any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace licet::policy {

class Regex {
  public:
    virtual ~Regex() = default;
    // Replaces every match in `text` (UTF-8). False: the result would be longer than limits::event_max_bytes, or memory ran out. `out` is
    // overwritten.
    [[nodiscard]] virtual bool replace(std::string_view text, std::string& out) const = 0;
};

// Errors, invalid_document with pointer "/licet:pattern" or "/licet:replacement": not RE2 syntax, larger than limits::policy_regex_*, matches the
// empty text; a rewrite text with groups the pattern lacks.
[[nodiscard]] Result<std::shared_ptr<const Regex>> make_regex(const std::string& pattern, const std::string& rewrite);

}  // namespace licet::policy
