// An export of the audit log taken to its end. For tests.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "server/app/audit.h"

namespace licet::testing {

inline std::string read_export(const app::Audit& audit, const std::string& after = {}) {
    const auto under_way = audit.begin_export(after);
    REQUIRE(under_way.ok());
    std::string out;
    for (;;) {
        const auto piece = (*under_way)->next();
        REQUIRE(piece.ok());
        if (piece->empty()) return out;
        out += *piece;
    }
}

}  // namespace licet::testing
