// A spreadsheet file, written row by row in bounded memory: sheets with a header that stays in view and a filter, typed cells. Used by exports;
// implemented in server/xlsx. Calls block. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace licet::ports {

// What a cell refers to must live until row() returns.
struct Cell {
    // text: never taken for a formula. number: decimal text, written as a number while its 15 significant digits hold it, else as text, which a
    // formula cannot reckon with. formula: with the value it comes to, for programs that do not calculate.
    enum class Kind : std::uint8_t { empty, text, number, date, formula };
    Kind kind = Kind::empty;
    std::string_view text;   // of a text, a number, a formula ("=SUM(A1:A2)"); a date as YYYY-MM-DD
    std::string_view value;  // of a formula: decimal text
    int digits = 0;          // shown after the point

    static constexpr std::size_t kSignificantDigits = 15;
    [[nodiscard]] static constexpr bool holds(std::string_view number) noexcept {
        std::size_t digits = 0;
        for (const char c : number)
            if (c >= '0' && c <= '9' && (digits > 0 || c != '0')) ++digits;
        return digits <= kSignificantDigits;
    }
    [[nodiscard]] static Cell of(std::string_view text) { return {text.empty() ? Kind::empty : Kind::text, text, {}, 0}; }
    [[nodiscard]] static Cell number(std::string_view text, int digits = 0) { return {Kind::number, text, {}, digits}; }
    [[nodiscard]] static Cell date(std::string_view text) { return {text.empty() ? Kind::empty : Kind::date, text, {}, 0}; }
    [[nodiscard]] static Cell formula(std::string_view text, std::string_view value, int digits = 0) { return {Kind::formula, text, value, digits}; }
};

struct SheetColumn {
    std::string title;
    int width = 12;  // in characters
};

class Workbook {
  public:
    static constexpr std::uint32_t kRowsMax = 1'048'576;  // of a sheet, with its header
    virtual ~Workbook() = default;
    // A sheet behind those there are, with its header row; its number, from 0. Names are unique, of at most 31 characters. Errors: unavailable.
    [[nodiscard]] virtual Result<std::size_t> add_sheet(const std::string& name, const std::vector<SheetColumn>& columns) = 0;
    // The next row. Errors: invalid_parameter when the sheet is full, unavailable.
    [[nodiscard]] virtual Status row(std::size_t sheet, std::span<const Cell> cells) = 0;
    // Rows the sheet has, its header among them.
    [[nodiscard]] virtual std::uint32_t rows(std::size_t sheet) const = 0;
    // Writes the file; nothing may be added after. Without it there is none. Errors: unavailable (disk).
    [[nodiscard]] virtual Status close() = 0;
};

// A new file at this path, its temporary files beside it.
using MakeWorkbook = std::function<Result<std::unique_ptr<Workbook>>(const std::string& path)>;

}  // namespace licet::ports
