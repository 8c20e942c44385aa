// The layouts, each in a file of its own. Private to exports/.
#pragma once

#include <memory>

#include "server/exports/layout.h"

namespace licet::exports {

[[nodiscard]] std::unique_ptr<Layout> lines_layout(const Wanted& wanted);
[[nodiscard]] std::unique_ptr<Layout> focus_layout(const Wanted& wanted, const Issuer& issuer, UtcMillis now);
[[nodiscard]] std::unique_ptr<Layout> invoice_layout(const Wanted& wanted, const Issuer& issuer, UtcMillis now);
[[nodiscard]] std::unique_ptr<Layout> reconciliation_layout(const Wanted& wanted, UtcMillis now);

// Who bills an account: as its statement says, or, where that says nothing, as configured now.
[[nodiscard]] inline const ports::Issuer& issuer_of(const ports::Account& account, const Issuer& configured) {
    return account.invoicing ? account.invoicing->issuer : configured;
}
// The number of a closed account's statement as an invoice's: unique over the regions.
[[nodiscard]] std::string invoice_number(const ports::Account& account, const Issuer& issuer);

}  // namespace licet::exports
