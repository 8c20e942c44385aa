// Exact money: decimals of up to 38 digits with 14 after the point (numeric(38,14)), prices times quantities, rounding once per line, half away from
// zero, to the currency's exponent (ISO 4217). Used by usage reports and contract validation. Pure; no floats anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet::metering {

struct FlatPrice;

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
    [[nodiscard]] bool negative() const noexcept { return units_ < 0; }

    Decimal& operator+=(Decimal other) noexcept {
        units_ += other.units_;
        return *this;
    }
    bool operator==(const Decimal&) const = default;

    // price * count; nullopt on overflow of 38 digits.
    [[nodiscard]] std::optional<Decimal> times(std::uint64_t count) const noexcept;

  private:
    friend std::optional<Decimal> rate(const FlatPrice& price, std::uint64_t events, std::uint64_t bytes) noexcept;
    __extension__ typedef __int128 Wide;
    explicit Decimal(Wide units) : units_(units) {}
    Wide units_ = 0;
};

// Digits after the point of an ISO 4217 currency; nullopt for an unknown code.
[[nodiscard]] std::optional<int> currency_exponent(std::string_view code) noexcept;

struct FlatPrice {
    std::string currency;
    Decimal per_event;
    Decimal per_mb;  // per 1,000,000 bytes
};
// The exact amount of one line, rounded once to the currency's exponent; nullopt for an unknown currency or on overflow (past 10^18 of the currency).
[[nodiscard]] std::optional<Decimal> rate(const FlatPrice& price, std::uint64_t events, std::uint64_t bytes) noexcept;

}  // namespace licet::metering
