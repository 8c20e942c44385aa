#include "server/exports/workbook.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "server/exports/text.h"

namespace licet::exports {
namespace {

using ports::Cell;
using ports::SheetColumn;

const std::vector<SheetColumn>& line_columns() {
    static const std::vector<SheetColumn> columns{{"Contract", 20},      {"Party", 20}, {"Line", 8},     {"Kind", 11},    {"Product", 20},
                                                  {"Region", 10},        {"Day", 11},   {"View", 18},    {"Purpose", 24}, {"Jurisdiction", 12},
                                                  {"Events", 14},        {"Bytes", 16}, {"Minutes", 10}, {"Currency", 9}, {"Amount", 16},
                                                  {"Charge period", 13}, {"Reason", 30}};
    return columns;
}
constexpr std::string_view kCurrencyColumn = "N", kAmountColumn = "O";  // of a Lines sheet

// The texts of a row's cells while it is written.
class Row {
  public:
    Row() { cells_.reserve(20); }
    Row& text(std::string_view value) {
        cells_.push_back(Cell::of(value));
        return *this;
    }
    // One that would be gone before the row is written.
    Row& text(std::string&& value) {
        kept_[used_] = std::move(value);
        return text(std::string_view(kept_[used_++]));
    }
    Row& text(const char* value) { return text(std::string_view(value)); }
    Row& text(const std::string& value) { return text(std::string_view(value)); }
    Row& date(std::string_view value) {
        cells_.push_back(Cell::date(value));
        return *this;
    }
    Row& count(std::uint64_t value) { return keep(std::to_string(value), 0); }
    Row& amount(const metering::Decimal& value, int digits) { return keep(value.text(digits), digits); }
    // The formula, where it comes to the value: where all it reckons with are numbers. Else the value.
    Row& reckoned(bool exact, std::string text, std::string value, int digits) {
        return exact && Cell::holds(value) ? formula(std::move(text), std::move(value), digits) : keep(std::move(value), digits);
    }
    Status to(ports::Workbook& book, std::size_t sheet) {
        auto done = book.row(sheet, cells_);
        cells_.clear();
        used_ = 0;
        return done;
    }

  private:
    Row& formula(std::string text, std::string value, int digits) {
        kept_[used_] = std::move(text);
        kept_[used_ + 1] = std::move(value);
        cells_.push_back(Cell::formula(kept_[used_], kept_[used_ + 1], digits));
        used_ += 2;
        return *this;
    }
    Row& keep(std::string value, int digits) {
        kept_[used_] = std::move(value);
        cells_.push_back(Cell::number(kept_[used_], digits));
        ++used_;
        return *this;
    }
    std::vector<Cell> cells_;
    std::array<std::string, 24> kept_;
    std::size_t used_ = 0;
};

Status write_line(ports::Workbook& book, std::size_t sheet, const ports::Account& a, const ports::AccountLine& l) {
    Row row;
    row.text(l.contract)
        .text(l.party)
        .count(l.no)
        .text(ports::line_kind_name(l.kind))
        .text(l.product)
        .text(l.region)
        .date(l.day)
        .text(l.view)
        .text(l.purpose);
    row.text(l.jurisdiction).count(l.events).count(l.bytes).count(l.minutes).text(l.currency).amount(l.amount, a.exponent).text(l.charge_period);
    return row.text(l.reason).to(book, sheet);
}

metering::Decimal difference(const metering::Decimal& a, const metering::Decimal& b) {
    const std::string text = b.text(metering::Decimal::kScale);
    auto out = metering::Decimal::parse(text.front() == '-' ? text.substr(1) : "-" + text).value_or(metering::Decimal{});
    out += a;
    return out;
}

bool all_held(std::initializer_list<std::uint64_t> counts) {
    return std::all_of(counts.begin(), counts.end(), [](std::uint64_t count) { return Cell::holds(std::to_string(count)); });
}

std::string quoted(const std::string& sheet) { return "'" + sheet + "'"; }

}  // namespace

Status WorkbookLayout::add_lines_sheet() {
    const std::string name = lines_.empty() ? "Lines" : "Lines " + std::to_string(lines_.size() + 1);
    const auto sheet = book_.add_sheet(name, line_columns());
    if (!sheet) return sheet.error();
    lines_.push_back(*sheet);
    lines_names_.push_back(name);
    return success();
}

Status WorkbookLayout::begin(const std::vector<ports::Account>& accounts, std::string&) {
    accounts_ = accounts;
    const auto add = [&](std::size_t& to, const std::string& name, const std::vector<SheetColumn>& columns) -> Status {
        const auto sheet = book_.add_sheet(name, columns);
        if (!sheet) return sheet.error();
        to = *sheet;
        return success();
    };
    auto done = add(summary_, "Summary",
                    {{"Contract", 28},
                     {"Party", 20},
                     {"Name", 28},
                     {"Country", 9},
                     {"Status", 9},
                     {"Period", 10},
                     {"Currency", 9},
                     {"Lines", 10},
                     {"Events", 14},
                     {"Bytes", 16},
                     {"Total", 16},
                     {"Sum of lines", 16},
                     {"Difference", 12}});
    // Sheets stand in the order they were made, and how many lines there are is known before.
    std::uint64_t lines = 0;
    for (const auto& account : accounts_) lines += account.lines;
    do {
        if (done) done = add_lines_sheet();
    } while (done && static_cast<std::uint64_t>(lines_.size()) * (ports::Workbook::kRowsMax - 1) < lines);
    if (done)
        done = add(days_sheet_, "Usage by day",
                   {{"Day", 11}, {"Contract", 28}, {"Product", 28}, {"Currency", 9}, {"Events", 14}, {"Bytes", 16}, {"Minutes", 10}, {"Amount", 16}});
    if (done) done = add(corrections_, "Corrections", line_columns());
    if (done)
        done = add(reconciliation_, "Reconciliation",
                   {{"Contract", 28},
                    {"Status", 9},
                    {"Delivered events", 16},
                    {"Billed events", 16},
                    {"Unbilled events", 16},
                    {"Difference", 12},
                    {"Suspense offsets", 16},
                    {"Delivered bytes", 18},
                    {"Billed bytes", 18},
                    {"Unbilled bytes", 18},
                    {"Difference", 12},
                    {"Events in lines", 16},
                    {"Bytes in lines", 18},
                    {"Replayed events", 16},
                    {"Replayed bytes", 18},
                    {"Difference", 12}});
    if (done)
        done = add(signature_, "Signature",
                   {{"Contract", 28},
                    {"Status", 9},
                    {"Statement", 10},
                    {"Closed at", 22},
                    {"Root", 68},
                    {"Previous", 68},
                    {"Hash", 68},
                    {"Key", 24},
                    {"Signature", 92}});
    return done;
}

Status WorkbookLayout::line(const ports::Account& account, const ports::AccountLine& line, std::string&) {
    at_.line(line);
    totals_.add(line.currency, account.exponent, line.amount);
    exact_ = exact_ && Cell::holds(line.amount.text(account.exponent));
    if (line.kind == ports::LineKind::usage)
        if (auto added = days_.add(account, line); !added) return added;
    if (book_.rows(lines_[lines_at_]) == ports::Workbook::kRowsMax && ++lines_at_ == lines_.size())
        if (auto added = add_lines_sheet(); !added) return added;  // a draft that grew
    if (line.kind == ports::LineKind::correction && !corrections_full_) {
        corrections_full_ = book_.rows(corrections_) == ports::Workbook::kRowsMax - 1;
        auto done = corrections_full_ ? Row().text("More corrections are in the sheets of lines").to(book_, corrections_)
                                      : write_line(book_, corrections_, account, line);
        if (!done) return done;
    }
    auto done = write_line(book_, lines_[lines_at_], account, line);
    last_ = {lines_at_, book_.rows(lines_[lines_at_])};
    if (first_.row == 0) first_ = last_;
    return done;
}

Status WorkbookLayout::account_end(const ports::Account& account, std::string&) {
    const auto found =
        std::lower_bound(accounts_.begin(), accounts_.end(), account.contract, [](const auto& a, const auto& name) { return a.contract < name; });
    if (found == accounts_.end() || found->contract != account.contract) return Error{Errc::internal, "an account that was not there at first", {}};
    exact_ = exact_ && Cell::holds(account.total.text(account.exponent)) && Cell::holds(at_.sum.text(account.exponent));
    if (!exact_) inexact_.insert(account.currency);
    done_.push_back({&*found, at_, first_, last_, exact_});
    exact_ = true;
    at_ = {};
    first_ = last_ = {};
    return success();
}

Status WorkbookLayout::end(std::string&) {
    auto done = summary();
    if (done) done = by_day();
    if (done) done = reconciliation();
    if (done) done = signatures();
    return done;
}

// Rounded: a spreadsheet adds in binary.
std::string WorkbookLayout::sum_over_lines(const std::string& currency, int exponent) const {
    std::string out = "=ROUND(";
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const std::string last = std::to_string(std::max(2u, book_.rows(lines_[i])));
        const auto range = [&](std::string_view column) {
            return quoted(lines_names_[i]) + "!$" + std::string(column) + "$2:$" + std::string(column) + "$" + last;
        };
        out += (i > 0 ? "+" : "") + std::string("SUMIFS(") + range(kAmountColumn) + "," + range(kCurrencyColumn) + ",\"" + currency + "\")";
    }
    return out + "," + std::to_string(exponent) + ")";
}

// An account's lines stand together, over the end of a sheet too.
std::string WorkbookLayout::sum_of_account(const Done& done) const {
    if (done.first.row == 0) return "=0";
    std::string out = "=ROUND(";
    for (std::size_t i = done.first.sheet; i <= done.last.sheet; ++i) {
        const std::uint32_t from = i == done.first.sheet ? done.first.row : 2, to = i == done.last.sheet ? done.last.row : book_.rows(lines_[i]);
        const std::string column(kAmountColumn);
        out += (i > done.first.sheet ? "+" : "") + std::string("SUM(") + quoted(lines_names_[i]) + "!" + column + std::to_string(from) + ":" +
               column + std::to_string(to) + ")";
    }
    return out + "," + std::to_string(done.account->exponent) + ")";
}

Status WorkbookLayout::summary() {
    Row row;
    for (const auto& one : done_) {
        const auto* a = one.account;
        const auto& lines = one.lines;
        const std::string at = std::to_string(book_.rows(summary_) + 1);
        row.text(a->contract).text(a->party).text(a->party_title).text(a->party_country).text(a->closed ? "closed" : "open").text(a->period);
        row.text(a->currency).count(a->lines).count(lines.billed.events).count(lines.billed.bytes).amount(a->total, a->exponent);
        row.reckoned(one.exact, sum_of_account(one), lines.sum.text(a->exponent), a->exponent)
            .reckoned(one.exact, "=ROUND(K" + at + "-L" + at + "," + std::to_string(a->exponent) + ")",
                      difference(a->total, lines.sum).text(a->exponent), a->exponent);
        if (auto done = row.to(book_, summary_); !done) return done;
    }
    const std::string last = std::to_string(std::max(2u, book_.rows(summary_)));
    for (const auto& [currency, total] : totals_.all()) {
        const std::string value = total.amount.text(total.exponent);
        row.text("Total of lines, " + currency).text("").text("").text("").text("").text("").text(currency).text("").text("").text("");
        const bool exact = !inexact_.contains(currency);
        row.reckoned(exact, "=ROUND(SUMIFS(L$2:L$" + last + ",G$2:G$" + last + ",\"" + currency + "\")," + std::to_string(total.exponent) + ")",
                     value, total.exponent);
        row.reckoned(exact, sum_over_lines(currency, total.exponent), value, total.exponent);
        if (auto done = row.to(book_, summary_); !done) return done;
    }
    return Row().text("As of " + date_time(now_) + " (UTC)").to(book_, summary_);
}

Status WorkbookLayout::by_day() {
    Row row;
    std::uint64_t events = 0, bytes = 0;
    bool exact = true;
    for (const auto& [key, sum] : days_.all()) {
        exact = exact && all_held({sum.events, sum.bytes});
        row.date(key[0])
            .text(key[1])
            .text(key[2])
            .text(key[3])
            .count(sum.events)
            .count(sum.bytes)
            .count(sum.minutes)
            .amount(sum.amount, sum.exponent);
        if (auto done = row.to(book_, days_sheet_); !done) return done;
        events += sum.events;
        bytes += sum.bytes;
    }
    if (days_.all().empty()) return success();
    const std::string last = std::to_string(book_.rows(days_sheet_));
    row.text("Total").text("").text("").text("").reckoned(exact, "=SUM(E2:E" + last + ")", std::to_string(events), 0);
    return row.reckoned(exact, "=SUM(F2:F" + last + ")", std::to_string(bytes), 0).to(book_, days_sheet_);
}

Status WorkbookLayout::reconciliation() {
    Row row;
    const auto difference = [](std::uint64_t delivered, std::uint64_t billed, std::uint64_t unbilled) {
        const auto rest = static_cast<std::int64_t>(delivered - billed - unbilled);  // below zero when more was billed than delivered
        return std::to_string(rest);
    };
    for (const auto& [a, lines, first, last, exact] : done_) {
        const auto& b = a->books;
        const std::string at = std::to_string(book_.rows(reconciliation_) + 1);
        row.text(a->contract).text(a->closed ? "closed" : "open").count(b.delivered.events).count(b.billed.events).count(b.unbilled.events);
        row.reckoned(all_held({b.delivered.events, b.billed.events, b.unbilled.events}), "=C" + at + "-D" + at + "-E" + at,
                     difference(b.delivered.events, b.billed.events, b.unbilled.events), 0)
            .count(b.suspense_offsets);
        row.count(b.delivered.bytes).count(b.billed.bytes).count(b.unbilled.bytes);
        row.reckoned(all_held({b.delivered.bytes, b.billed.bytes, b.unbilled.bytes}), "=H" + at + "-I" + at + "-J" + at,
                     difference(b.delivered.bytes, b.billed.bytes, b.unbilled.bytes), 0);
        row.count(lines.billed.events).count(lines.billed.bytes).count(b.replayed.events).count(b.replayed.bytes);
        row.reckoned(all_held({lines.billed.events, b.billed.events, b.replayed.events}), "=L" + at + "-D" + at + "-N" + at,
                     difference(lines.billed.events, b.billed.events, b.replayed.events), 0);
        if (auto done = row.to(book_, reconciliation_); !done) return done;
    }
    return success();
}

Status WorkbookLayout::signatures() {
    Row row;
    for (const auto& [a, lines, first, last, exact] : done_) {
        row.text(a->contract).text(a->closed ? "closed" : "open: not signed");
        if (a->closed)
            row.count(a->statement).text(date_time(a->closed_at)).text(a->root).text(a->previous).text(a->hash).text(a->key_id).text(a->signature);
        if (auto done = row.to(book_, signature_); !done) return done;
    }
    return success();
}

}  // namespace licet::exports
