// The currencies a price may be in: those of ISO 4217 that are in use and have a minor unit, with its exponent. Used by prices and contract
// validation. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace licet::metering {

struct Currency {
    std::string_view code;
    int exponent;  // digits after the point
};

// All of them, by code.
[[nodiscard]] std::span<const Currency> currencies() noexcept;

// Digits after the point; nullopt for an unknown code, for currencies no longer in use, and for what has no minor unit (metals, XDR, XXX).
[[nodiscard]] std::optional<int> currency_exponent(std::string_view code) noexcept;

}  // namespace licet::metering
