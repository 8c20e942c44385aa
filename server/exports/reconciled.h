// What the lines of an account come to, beside its books. Private to exports/.
#pragma once

#include "server/ports/accounts.h"

namespace licet::exports {

struct Reconciled {
    ports::UsageCount billed;  // by the lines of usage, late usage and paid replays among them
    metering::Decimal sum;     // of all lines
    void line(const ports::AccountLine& line);
    [[nodiscard]] static bool books_balance(const ports::Account& account);
    // Whether they say what the books and the total say.
    [[nodiscard]] bool lines_agree(const ports::Account& account) const;
};

}  // namespace licet::exports
