// The workbook: the cells as the file has them, and what happens when sheets are full.
#include "server/exports/workbook.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "server/xlsx/workbook.h"
#include "tests/support/fake_accounts.h"
#include "tests/support/small_xml.h"
#include "tests/support/zip_reader.h"

using namespace licet;
using namespace licet::exports;
using licet::testing::FakeAccounts;
using licet::testing::read_xml;
using licet::testing::Xml;
using ports::Cell;
namespace fs = std::filesystem;

namespace {

struct Directory {
    Directory() {
        std::string pattern = (fs::temp_directory_path() / "licet-book-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Directory() { fs::remove_all(path); }
    std::string path;
};

std::map<std::string, std::string> files_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    const auto files = licet::testing::read_zip(std::string(std::istreambuf_iterator<char>(in), {}));
    REQUIRE(files);
    return *files;
}

std::string unescaped(std::string text) {
    for (const auto& [from, to] : std::map<std::string, std::string>{{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}})
        for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) text.replace(at, from.size(), to);
    for (auto at = text.find("&amp;"); at != std::string::npos; at = text.find("&amp;", at + 1)) text.replace(at, 5, "&");
    return text;
}

// Remembers rows; its sheets of lines pretend to be nearly full.
class SmallBook final : public ports::Workbook {
  public:
    Result<std::size_t> add_sheet(const std::string& name, const std::vector<ports::SheetColumn>&) override {
        names.push_back(name);
        filled.push_back(1);
        return names.size() - 1;
    }
    Status row(std::size_t sheet, std::span<const Cell> cells) override {
        if (rows(sheet) == kRowsMax) return Error{Errc::invalid_parameter, "full", {}};
        ++filled[sheet];
        std::vector<std::string> kept;
        for (const auto& cell : cells) kept.emplace_back(cell.text);
        written.push_back({names[sheet], std::move(kept)});
        return success();
    }
    std::uint32_t rows(std::size_t sheet) const override { return filled[sheet] + (names[sheet].starts_with("Lines") ? kRowsMax - 1'001 : 0); }
    Status close() override { return success(); }
    std::vector<std::string> names;
    std::vector<std::uint32_t> filled;
    std::vector<std::pair<std::string, std::vector<std::string>>> written;
};

}  // namespace

TEST_CASE("cells are what they are: no text becomes a number, a date or a formula") {
    const Directory directory;
    const std::string path = directory.path + "/a.xlsx";
    auto book = xlsx::make_workbook(path);
    REQUIRE(book);
    const auto sheet = (*book)->add_sheet("Lines", {{"A", 10}, {"B", 10}});
    REQUIRE(sheet);
    const Cell first[] = {Cell::of("=1+1"), Cell::of("1e10"), Cell::number("-12.50", 2), Cell::date("2026-11-21"), Cell::of("")};
    const Cell second[] = {Cell::number("1234567890123456.78", 2), Cell::formula("=SUM(C2:C2)", "-12.5", 2), Cell::number("18446744073709551615")};
    REQUIRE((*book)->row(*sheet, first));
    REQUIRE((*book)->row(*sheet, second));
    CHECK((*book)->rows(*sheet) == 3);
    REQUIRE((*book)->close());
    const auto files = files_of(path);
    const auto xml = read_xml(files.at("xl/worksheets/sheet1.xml"));
    REQUIRE(xml);
    const Xml* data = xml->child("sheetData");
    REQUIRE(data != nullptr);
    REQUIRE(data->children.size() == 3);
    const auto& a = data->children[1].children;
    const auto& b = data->children[2].children;
    REQUIRE(a.size() == 4);
    CHECK(a[0].attributes.at("t") == "inlineStr");
    CHECK(a[0].at("is/t") == "=1+1");
    CHECK(a[1].attributes.at("t") == "inlineStr");
    CHECK(a[1].at("is/t") == "1e10");
    CHECK_FALSE(a[2].attributes.contains("t"));
    CHECK(a[2].at("v") == "-12.5");
    CHECK(a[3].at("v") == "46347");  // days since 1899-12-30
    REQUIRE(b.size() == 3);
    CHECK(b[0].at("is/t") == "1234567890123456.78");  // a double would have lost the cents
    CHECK(b[1].at("f") == "SUM(C2:C2)");
    CHECK(b[1].at("v") == "-12.5");
    CHECK(b[2].at("is/t") == "18446744073709551615");
    CHECK(xml->child("autoFilter") != nullptr);
    CHECK(files.at("xl/worksheets/sheet1.xml").find("state=\"frozen\"") != std::string::npos);
    CHECK(std::distance(fs::directory_iterator(directory.path), fs::directory_iterator()) == 1);
}

TEST_CASE("whatever a text holds, the workbook is well-formed and says it") {
    std::vector<std::string> strings{"plain",        "\xff\xfe broken", "\xed\xa0\x80",           "a\x01z",
                                     "\xef\xbf\xbf", "<&>\"'",          std::string(40'000, 'x'), "_x0041_"};
    if (const char* file = std::getenv("LICET_BLNS"))
        for (const auto& text : nlohmann::json::parse(std::ifstream(file))) strings.push_back(text.get<std::string>());
    const Directory directory;
    const std::string path = directory.path + "/a.xlsx";
    auto book = xlsx::make_workbook(path);
    REQUIRE(book);
    const auto sheet = (*book)->add_sheet("Lines", {{"A", 10}});
    REQUIRE(sheet);
    for (const auto& text : strings) {
        const Cell cells[] = {Cell::of(text)};
        REQUIRE((*book)->row(*sheet, cells));
    }
    REQUIRE((*book)->close());
    const auto text = files_of(path).at("xl/worksheets/sheet1.xml");
    for (const char c : text) CHECK((static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' || c == '\r'));
    const auto xml = read_xml(text);
    REQUIRE(xml);
    const auto& rows = xml->child("sheetData")->children;
    const auto cell = [&](std::size_t i) { return unescaped(rows[i + 1].at("c/is/t")); };
    CHECK(cell(0) == "plain");
    CHECK(cell(1) == "\xef\xbf\xbd\xef\xbf\xbd broken");
    CHECK(cell(5) == "<&>\"'");
    CHECK(cell(6).size() < 32'767);
}

TEST_CASE("a workbook that is given up leaves nothing") {
    const Directory directory;
    {
        auto book = xlsx::make_workbook(directory.path + "/a.xlsx");
        REQUIRE(book);
        const auto sheet = (*book)->add_sheet("Lines", {{"A", 10}});
        const Cell cells[] = {Cell::of("a")};
        REQUIRE((*book)->row(*sheet, cells));
    }
    CHECK(fs::is_empty(directory.path));
    auto nowhere = xlsx::make_workbook(directory.path + "/none/a.xlsx");
    CHECK((!nowhere || !(*nowhere)->add_sheet("Lines", {{"A", 10}})));
}

TEST_CASE("lines go on in another sheet when one is full, and totals are over all of them") {
    FakeAccounts::Contract c;
    c.lines = 3'500;
    FakeAccounts accounts({c});
    const auto wanted = parse_wanted("lines", "xlsx", "2026-11", "", "");
    REQUIRE(wanted);
    SmallBook book;
    WorkbookLayout layout(book, *parse_rfc3339("2026-11-21T12:00:00Z"));
    REQUIRE(run(
        accounts, *wanted, layout, [](std::string_view) { return success(); }, [](const Progress&, const Place*) { return success(); }));
    CHECK(book.names == std::vector<std::string>{"Summary", "Lines", "Usage by day", "Corrections", "Reconciliation", "Signature", "Lines 2",
                                                 "Lines 3", "Lines 4"});
    std::map<std::string, int> rows;
    for (const auto& [sheet, cells] : book.written) ++rows[sheet];
    CHECK(rows["Lines"] == 1'000);
    CHECK(rows["Lines 2"] == 1'000);
    CHECK(rows["Lines 3"] == 1'000);
    CHECK(rows["Lines 4"] == 500);
    CHECK(rows["Corrections"] == 3);
    bool found = false;
    for (const auto& [sheet, cells] : book.written) {
        if (sheet != "Summary" || !cells[0].starts_with("Total of lines")) continue;
        found = true;
        for (const char* name : {"'Lines'!", "'Lines 2'!", "'Lines 3'!", "'Lines 4'!"}) CHECK(cells[11].find(name) != std::string::npos);
    }
    CHECK(found);
}

TEST_CASE("what has more digits than a spreadsheet's number is written as it is, and so is what would be reckoned from it") {
    const auto amount = [](const char* text) { return *metering::Decimal::parse(text); };
    const auto account = [&](const char* contract, const char* currency, const char* total) {
        ports::Account a;
        a.contract = contract;
        a.currency = currency;
        a.exponent = 2;
        a.total = amount(total);
        return a;
    };
    const std::vector<ports::Account> accounts{account("acme", "EUR", "12345678901234.56"), account("beta", "USD", "1234567890123.45"),
                                               account("wide", "JPY", "1.00")};
    const std::map<std::string, std::vector<const char*>> lines{
        {"acme", {"0.60", "12345678901233.96"}}, {"beta", {"0.60", "1234567890122.85"}}, {"wide", {"12345678901234.56", "-12345678901233.56"}}};
    SmallBook book;
    WorkbookLayout layout(book, *parse_rfc3339("2026-11-21T12:00:00Z"));
    std::string out;
    REQUIRE(layout.begin(accounts, out));
    for (const auto& a : accounts) {
        for (const char* text : lines.at(a.contract)) {
            ports::AccountLine line;
            line.kind = ports::LineKind::minimum;
            line.contract = a.contract;
            line.currency = a.currency;
            line.amount = amount(text);
            REQUIRE(layout.line(a, line, out));
        }
        REQUIRE(layout.account_end(a, out));
    }
    REQUIRE(layout.end(out));
    std::map<std::string, std::vector<std::string>> summary;
    for (const auto& [sheet, cells] : book.written)
        if (sheet == "Summary") summary[cells[0]] = cells;
    const auto formula = [](const std::string& cell) { return cell.starts_with("=ROUND("); };
    CHECK(summary["acme"][11] == "12345678901234.56");
    CHECK(summary["acme"][12] == "0.00");
    CHECK(summary["Total of lines, EUR"][10] == "12345678901234.56");
    CHECK(summary["Total of lines, EUR"][11] == "12345678901234.56");
    CHECK(formula(summary["beta"][11]));
    CHECK(formula(summary["beta"][12]));
    CHECK(formula(summary["Total of lines, USD"][10]));
    CHECK(formula(summary["Total of lines, USD"][11]));
    // The sum is short, but not what it is the sum of.
    CHECK(summary["wide"][11] == "1.00");
    CHECK(summary["Total of lines, JPY"][11] == "1.00");
}
