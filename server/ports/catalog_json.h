// Catalog entries as JSON: the form the API shows and the catalog stores. Used by server/app and server/postgres.
#pragma once

#include <nlohmann/json.hpp>

#include "server/ports/catalog.h"

namespace licet::ports {

[[nodiscard]] nlohmann::json to_json(const Region& region);
[[nodiscard]] nlohmann::json to_json(const Product& product);  // with the current mapping
[[nodiscard]] nlohmann::json to_json(const Party& party);
[[nodiscard]] nlohmann::json to_json(const Contract& contract);
[[nodiscard]] nlohmann::json to_json(const Licence& licence);
[[nodiscard]] nlohmann::json to_json(const Client& client);  // without secret hash and salt
[[nodiscard]] nlohmann::json to_json(const PolicyRow& policy);

[[nodiscard]] std::string_view contract_state_name(ContractState state) noexcept;
[[nodiscard]] std::optional<ContractState> parse_contract_state(std::string_view name) noexcept;
[[nodiscard]] std::string_view lag_then_name(LagLimits::Then then) noexcept;
[[nodiscard]] std::optional<LagLimits::Then> parse_lag_then(std::string_view name) noexcept;

// Of stored, already checked documents: what is missing stays empty.
[[nodiscard]] Party party_from(const std::string& name, const nlohmann::json& body);
[[nodiscard]] Licence licence_from(const std::string& name, std::uint32_t version, const nlohmann::json& body);
[[nodiscard]] Contract contract_from(const std::string& name, const nlohmann::json& body);

}  // namespace licet::ports
