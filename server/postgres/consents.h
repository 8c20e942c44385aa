// Rows of consents: what holds of each subject, purpose and recipient. Private to this folder.
#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "server/ports/catalog.h"

namespace licet::postgres {

[[nodiscard]] std::vector<ports::ConsentRow> consents_of(pqxx::work& t, const SubjectKey& subject);
[[nodiscard]] std::vector<ports::ConsentRow> consents_after(pqxx::work& t, std::uint64_t revision);

[[nodiscard]] std::vector<ports::ConsentRecipient> read_recipients(pqxx::work& t);
// Throws Refused: conflict.
[[nodiscard]] std::vector<std::uint16_t> number_recipients(pqxx::work& t, const std::vector<std::string>& names);

// Moves the regional epoch and the revision, and writes the rows at it, in the order given; of theirs, revision and position are assigned here. The
// caller has taken the audit's lock.
[[nodiscard]] ports::Changed write_consents(pqxx::work& t, const std::vector<ports::ConsentRow>& rows);

}  // namespace licet::postgres
