// Licences an organisation defined itself, from the catalog's words to the engine's. Used by the admin use cases (check) and by snapshots (read).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/vocabulary.h"
#include "server/ports/catalog.h"

namespace licet::app {

// Whether an act may stand in `permits` and `prohibits` (uses), or in `requires` (the others).
enum class ActList : bool { uses, duties };
// Errors: invalid_document at /<member>/<index> for a word that is no such act, or is there twice.
[[nodiscard]] Result<policy::Acts> acts_from(std::span<const std::string> names, ActList list, std::string_view member);

// Errors as above, and where one act is both permitted and prohibited.
[[nodiscard]] Result<policy::OwnLicence> own_licence(const ports::Licence& licence);

// Lower case, as SPDX spells what follows LicenseRef-: 1-64 characters of a-z 0-9 . - starting with a letter or digit.
[[nodiscard]] bool valid_licence_name(std::string_view name);

}  // namespace licet::app
