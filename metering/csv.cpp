#include "metering/csv.h"

#include <charconv>

namespace licet::metering {
namespace {

constexpr std::string_view kFormulaStarts = "=+-@\t\r\n";
// The same in full width, which some programs read as such: U+FF1D U+FF0B U+FF0D U+FF20.
constexpr std::string_view kWideStarts[] = {"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

bool looks_like_formula(std::string_view cell) {
    const auto at = cell.find_first_not_of('\'');
    if (at == std::string_view::npos) return false;
    cell.remove_prefix(at);
    for (const auto start : kWideStarts)
        if (cell.starts_with(start)) return true;
    return kFormulaStarts.find(cell.front()) != std::string_view::npos;
}

void append_quoted(std::string& out, std::string_view lead, std::string_view cell) {
    out += '"';
    out += lead;
    for (const char c : cell) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

}  // namespace

void CsvRow::separate() {
    if (!first_) out_ += ',';
    first_ = false;
}

CsvRow& CsvRow::text(std::string_view cell) {
    separate();
    const std::string_view lead = looks_like_formula(cell) ? "'" : "";
    if (cell.find_first_of(",\"\r\n") != std::string_view::npos)
        append_quoted(out_, lead, cell);
    else
        out_.append(lead).append(cell);
    return *this;
}

CsvRow& CsvRow::raw(std::string_view cell) {
    separate();
    if (cell.find_first_of(",\"\r\n") != std::string_view::npos)
        append_quoted(out_, {}, cell);
    else
        out_ += cell;
    return *this;
}

CsvRow& CsvRow::number(std::uint64_t value) {
    separate();
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out_.append(digits, static_cast<std::size_t>(end - digits));
    return *this;
}

void CsvRow::end() {
    // A record of one empty cell would be an empty line, which readers pass over.
    out_ += "\r\n";
    first_ = true;
}

}  // namespace licet::metering
