#include "server/xlsx/workbook.h"

#include <xlsxwriter.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>

namespace licet::xlsx {
namespace {

using ports::Cell;

constexpr std::size_t kTextMaxBytes = 32'000;  // of 32,767 characters
constexpr std::size_t kDigitsMax = 4;          // after the point, of any currency

Error full_disk() { return {Errc::unavailable, "the workbook cannot be written: no room, or the disk fails", {}}; }

// The bytes of one character at `at` if XML can carry it, else 0 (RFC 3629; XML 1.0, section 2.2).
std::size_t xml_character(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
    const std::size_t size = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
    if (size == 0 || at + size > text.size()) return 0;
    unsigned long code = first & (size == 2 ? 0x1fu : size == 3 ? 0x0fu : 0x07u);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0u) != 0x80u) return 0;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    const unsigned long least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code == 0xfffe || code == 0xffff) return 0;
    return size;
}

// As a cell can hold it.
void sanitise(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t at = 0; at < text.size();) {
        if (out.size() > kTextMaxBytes) {
            out += "\xe2\x80\xa6";
            return;
        }
        const std::size_t size = xml_character(text, at);
        if (size == 0)
            out += "\xef\xbf\xbd";
        else
            out.append(text, at, size);
        at += size == 0 ? 1 : size;
    }
}

class Book final : public ports::Workbook {
  public:
    Book(lxw_workbook* book, std::string directory) : book_(book), directory_(std::move(directory)) {
        bold_ = workbook_add_format(book_);
        format_set_bold(bold_);
        format_set_bottom(bold_, LXW_BORDER_THIN);
        date_ = workbook_add_format(book_);
        format_set_num_format(date_, "yyyy-mm-dd");
        constexpr std::array<const char*, kDigitsMax + 1> kFormats{"#,##0", "#,##0.0", "#,##0.00", "#,##0.000", "#,##0.0000"};
        for (std::size_t i = 0; i < kFormats.size(); ++i) {
            numbers_[i] = workbook_add_format(book_);
            format_set_num_format(numbers_[i], kFormats[i]);
        }
    }
    ~Book() override {
        if (book_ != nullptr) lxw_workbook_free(book_);
    }
    Book(const Book&) = delete;
    Book& operator=(const Book&) = delete;

    Result<std::size_t> add_sheet(const std::string& name, const std::vector<ports::SheetColumn>& columns) override {
        auto* sheet = workbook_add_worksheet(book_, name.c_str());
        if (sheet == nullptr) return Error{Errc::unavailable, "the workbook has no room for the sheet " + name, {}};
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const auto column = static_cast<lxw_col_t>(i);
            worksheet_set_column(sheet, column, column, columns[i].width, nullptr);
            worksheet_write_string(sheet, 0, column, columns[i].title.c_str(), bold_);
        }
        worksheet_freeze_panes(sheet, 1, 0);
        sheets_.push_back({sheet, 1, columns.size()});
        return sheets_.size() - 1;
    }

    Status row(std::size_t number, std::span<const Cell> cells) override {
        auto& sheet = sheets_[number];
        if (sheet.rows >= kRowsMax) return Error{Errc::invalid_parameter, "a sheet has at most " + std::to_string(kRowsMax) + " rows", {}};
        for (std::size_t i = 0; i < cells.size(); ++i)
            if (!write(sheet.handle, sheet.rows, static_cast<lxw_col_t>(i), cells[i])) return full_disk();
        ++sheet.rows;
        return success();
    }

    std::uint32_t rows(std::size_t sheet) const override { return sheets_[sheet].rows; }

    Status close() override {
        std::uint64_t bytes = 0;
        for (auto& sheet : sheets_) {
            if (sheet.columns > 0) worksheet_autofilter(sheet.handle, 0, 0, sheet.rows - 1, static_cast<lxw_col_t>(sheet.columns - 1));
            std::FILE* rows = sheet.handle->optimize_tmpfile;
            if (rows == nullptr || std::fflush(rows) != 0 || std::ferror(rows) != 0) return full_disk();
            if (const long at = std::ftell(rows); at > 0) bytes += static_cast<std::uint64_t>(at);
        }
        // Each sheet is copied once more before it is compressed.
        std::error_code error;
        if (const auto space = std::filesystem::space(directory_, error); error || space.available < bytes + bytes / 2 + (1u << 20))
            return full_disk();
        const lxw_error failed = workbook_close(std::exchange(book_, nullptr));
        if (failed != LXW_NO_ERROR) return Error{Errc::unavailable, std::string("the workbook cannot be written: ") + lxw_strerror(failed), {}};
        return success();
    }

  private:
    struct Sheet {
        lxw_worksheet* handle;
        std::uint32_t rows;
        std::size_t columns;
    };

    bool write(lxw_worksheet* sheet, lxw_row_t row, lxw_col_t column, const Cell& cell) {
        switch (cell.kind) {
            case Cell::Kind::empty:
                return true;
            case Cell::Kind::text:
                sanitise(cell.text, text_);
                return worksheet_write_string(sheet, row, column, text_.c_str(), nullptr) == LXW_NO_ERROR;
            case Cell::Kind::number:
                return write_number(sheet, row, column, cell);
            case Cell::Kind::date:
                return write_date(sheet, row, column, cell);
            case Cell::Kind::formula:
                text_ = cell.text;
                return worksheet_write_formula_num(sheet, row, column, text_.c_str(), format_of(cell.digits), to_double(cell.value)) == LXW_NO_ERROR;
        }
        return false;
    }

    bool write_number(lxw_worksheet* sheet, lxw_row_t row, lxw_col_t column, const Cell& cell) {
        if (Cell::holds(cell.text)) return worksheet_write_number(sheet, row, column, to_double(cell.text), format_of(cell.digits)) == LXW_NO_ERROR;
        text_ = cell.text;
        return worksheet_write_string(sheet, row, column, text_.c_str(), nullptr) == LXW_NO_ERROR;
    }

    bool write_date(lxw_worksheet* sheet, lxw_row_t row, lxw_col_t column, const Cell& cell) {
        const auto at = parse_date(cell.text);
        if (!at || cell.text < "1900-03-01") {  // before, spreadsheets disagree
            text_ = cell.text;
            return worksheet_write_string(sheet, row, column, text_.c_str(), nullptr) == LXW_NO_ERROR;
        }
        lxw_datetime date{};
        date.year = std::stoi(std::string(cell.text.substr(0, 4)));
        date.month = std::stoi(std::string(cell.text.substr(5, 2)));
        date.day = std::stoi(std::string(cell.text.substr(8, 2)));
        return worksheet_write_datetime(sheet, row, column, &date, date_) == LXW_NO_ERROR;
    }

    static double to_double(std::string_view number) {
        double out = 0;
        std::from_chars(number.data(), number.data() + number.size(), out);
        return out;
    }
    [[nodiscard]] lxw_format* format_of(int digits) const { return numbers_[std::min(static_cast<std::size_t>(std::max(digits, 0)), kDigitsMax)]; }

    lxw_workbook* book_;
    const std::string directory_;
    lxw_format* bold_ = nullptr;
    lxw_format* date_ = nullptr;
    std::array<lxw_format*, kDigitsMax + 1> numbers_{};
    std::vector<Sheet> sheets_;
    std::string text_;
};

}  // namespace

Result<std::unique_ptr<ports::Workbook>> make_workbook(const std::string& path) {
    std::string directory = std::filesystem::path(path).parent_path().string();
    if (directory.empty()) directory = ".";
    std::error_code error;
    if (!std::filesystem::is_directory(directory, error)) return full_disk();
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    options.tmpdir = directory.data();
    auto* book = workbook_new_opt(path.c_str(), &options);
    if (book == nullptr) return full_disk();
    return std::unique_ptr<ports::Workbook>(std::make_unique<Book>(book, directory));
}

}  // namespace licet::xlsx
