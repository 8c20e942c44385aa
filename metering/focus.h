// FOCUS 1.4 (FinOps Open Cost and Usage Specification): the columns of the three datasets that are written, with their levels and formats, and which
// of them are written in which order. Own columns begin with "x_". Used by exports and held against the published model by the conformance tests.
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace licet::metering {

enum class FocusDataset : std::uint8_t { cost_and_usage, invoice_detail, billing_period };
enum class FocusLevel : std::uint8_t { mandatory, conditional, recommended };
enum class FocusFormat : std::uint8_t { text, decimal, decimal_not_negative, date_time, currency, unit, allowed, json, key_value };
enum class FocusNulls : std::uint8_t { no, yes };

struct FocusColumn {
    std::string_view name;
    FocusLevel level;
    FocusFormat format;
    FocusNulls nulls;
};

// Every column of the dataset.
[[nodiscard]] std::span<const FocusColumn> focus_columns(FocusDataset dataset) noexcept;
// The header of the file: each is one of the above or begins with "x_"; every mandatory one is among them.
[[nodiscard]] std::span<const std::string_view> focus_written(FocusDataset dataset) noexcept;

}  // namespace licet::metering
