// Exact money: decimals of up to 38 digits with 14 after the point (numeric(38,14)), prices times quantities, rounding once per line, half away from zero, to the
// currency's exponent (ISO 4217). Used by usage reports and contract validation. Pure; no floats anywhere.
#pragma once

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
    [[nodiscard]] bool negative() const noexcept { return units_ < 0; }

    Decimal& operator+=(Decimal other) noexcept {
        units_ += other.units_;
        return *this;
    }
    bool operator==(const Decimal&) const = default;

    // price * count; nullopt on overflow of 38 digits.
    [[nodiscard]] std::optional<Decimal> times(std::uint64_t count) const noexcept;
    // price per million * count, exact as long as the price has at most 8 decimals (checked when prices are written).
    [[nodiscard]] std::optional<Decimal> per_million(std::uint64_t count) const noexcept;

  private:
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
// The amount of one line, rounded once; nullopt on overflow.
[[nodiscard]] std::optional<Decimal> rate(const FlatPrice& price, std::uint64_t events, std::uint64_t bytes) noexcept;

}  // namespace licet::metering
