// Cutting and closing as rows: how far nodes are, what is open, what stands in the way. Used by billing; private to this folder.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "metering/month.h"
#include "server/ports/billing.h"

namespace licet::postgres {

using metering::Month;

[[nodiscard]] std::string day_text(UtcMillis at);       // YYYY-MM-DD
[[nodiscard]] Month month_of(std::string_view period);  // throws Refused (invalid_parameter)
[[nodiscard]] std::vector<ports::NodeProgress> read_nodes(pqxx::work& transaction);
[[nodiscard]] std::optional<ports::PeriodCut> read_closing(pqxx::work& transaction);
// Throw Refused: period_closed; period_open with what stands in the way of cutting.
void refuse_unless_open(pqxx::work& transaction, const Month& month);
void refuse_unless_over(pqxx::work& transaction, const Month& month);
// With what was in suspense. Whoever books must be locked out.
void insert_cut(pqxx::work& transaction, const ports::PeriodCut& cut);
void insert_terms(pqxx::work& transaction, const Month& month, const std::string& terms);

}  // namespace licet::postgres
