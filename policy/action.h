// ODRL's actions and what each is included in. Rules name actions; a contract asks for one: to stream a product's events. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace licet::policy {

struct ActionId {
    std::uint8_t value{};
    auto operator<=>(const ActionId&) const = default;
};

// "use", without a prefix. nullopt: not an ODRL action.
[[nodiscard]] std::optional<ActionId> find_action(std::string_view name) noexcept;
[[nodiscard]] std::string_view action_name(ActionId action) noexcept;
// Whether `part` is `whole`, or included in it (transitive).
[[nodiscard]] bool included_in(ActionId part, ActionId whole) noexcept;
// What delivery under a contract is.
[[nodiscard]] ActionId delivery_action() noexcept;

}  // namespace licet::policy
