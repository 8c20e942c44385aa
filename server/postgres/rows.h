// Reading result rows: arrays, JSON, bytes. Private to this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "base/ids.h"
#include "metering/interval_set.h"

namespace licet::postgres {

[[nodiscard]] std::vector<std::string> text_array(const pqxx::field& field);
// A PostgreSQL array literal of the items.
[[nodiscard]] std::string array_literal(const std::vector<std::string>& items);
[[nodiscard]] nlohmann::json json_of(const pqxx::field& field);
// bytea as "\x..." text.
[[nodiscard]] std::string bytea_literal(const SubjectKey& subject);
[[nodiscard]] SubjectKey subject_of(const pqxx::field& field);
// "{[1,5),[7,9)}" <-> ranges.
[[nodiscard]] metering::IntervalSet multirange_of(std::string_view text);
[[nodiscard]] std::string multirange_literal(const metering::IntervalSet& set);

}  // namespace licet::postgres
