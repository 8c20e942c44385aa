// Exact money: decimals of up to 38 digits with 14 after the point (numeric(38,14)), rounded half away from zero. Used by prices, accounts, reports
// and contract validation. Pure; no floats anywhere.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet::metering {

// A decimal as an integer count of 1e-14.
class Decimal {
  public:
    static constexpr int kScale = 14;
    Decimal() = default;
    // "12", "0.0005"; no sign but '-', no exponent, at most 14 decimals and 24 integer digits. nullopt otherwise.
    [[nodiscard]] static std::optional<Decimal> parse(std::string_view text) noexcept;
    [[nodiscard]] static Decimal of(std::int64_t whole) noexcept;

    // Half away from zero to `digits` after the point.
    [[nodiscard]] Decimal rounded(int digits) const noexcept;
    // With exactly `digits` after the point; the value must have no more.
    [[nodiscard]] std::string text(int digits) const;
    // With as many digits after the point as it has.
    [[nodiscard]] std::string shortest() const;
    // The count of 1e-14, as an integer's text without leading zeros.
    [[nodiscard]] std::string units() const;
    [[nodiscard]] bool negative() const noexcept { return units_ < 0; }

    // nullopt past 38 digits.
    [[nodiscard]] std::optional<Decimal> plus(Decimal other) const noexcept;
    // Of amounts that are rated: each is below 10^18 of its currency, so a million of them fit.
    Decimal& operator+=(Decimal other) noexcept {
        units_ += other.units_;
        return *this;
    }
    bool operator==(const Decimal&) const = default;
    auto operator<=>(const Decimal&) const = default;

  private:
    __extension__ typedef __int128 Wide;
    explicit Decimal(Wide units) : units_(units) {}
    Wide units_ = 0;
};

}  // namespace licet::metering
