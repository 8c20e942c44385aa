// The reconciliation page: per contract, what the ledger took as delivered, billed and unbilled, what is in suspense, and what the lines say, to the
// event.
#include <nlohmann/json.hpp>

#include "server/exports/layouts.h"
#include "server/exports/reconciled.h"
#include "server/exports/text.h"

namespace licet::exports {

void Reconciled::line(const ports::AccountLine& line) {
    sum += line.amount;
    // Usage that came late is a correction with its counts; all others have none.
    if (line.kind != ports::LineKind::usage && line.kind != ports::LineKind::correction) return;
    billed.events += line.events;
    billed.bytes += line.bytes;
}

bool Reconciled::books_balance(const ports::Account& a) {
    return a.books.delivered.events == a.books.billed.events + a.books.unbilled.events &&
           a.books.delivered.bytes == a.books.billed.bytes + a.books.unbilled.bytes;
}

bool Reconciled::lines_agree(const ports::Account& a) const {
    const auto& b = a.books;
    return billed == ports::UsageCount{b.billed.events + b.replayed.events, b.billed.bytes + b.replayed.bytes} && sum == a.total;
}

namespace {

class Json final : public Layout {
  public:
    Json(std::string period, UtcMillis now) : period_(std::move(period)), now_(now) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out += "{\"period\":" + json_text(period_) + ",\"at\":" + json_text(date_time(now_)) + ",\"contracts\":[";
        return success();
    }
    Status line(const ports::Account&, const ports::AccountLine& line, std::string&) override {
        at_.line(line);
        return success();
    }
    Status account_end(const ports::Account& a, std::string& out) override {
        const auto count = [](const ports::UsageCount& c) { return nlohmann::json{{"events", c.events}, {"bytes", c.bytes}}; };
        const bool balanced = Reconciled::books_balance(a), agree = at_.lines_agree(a);
        all_ = all_ && balanced && (agree || !a.closed);
        const nlohmann::json row{{"contract", a.contract},
                                 {"status", a.closed ? "closed" : "open"},
                                 {"delivered", count(a.books.delivered)},
                                 {"billed", count(a.books.billed)},
                                 {"unbilled", count(a.books.unbilled)},
                                 {"replayed", count(a.books.replayed)},
                                 {"suspenseOffsets", a.books.suspense_offsets},
                                 {"lines", count(at_.billed)},
                                 {"currency", a.currency},
                                 {"total", a.total.text(a.exponent)},
                                 {"sumOfLines", at_.sum.text(a.exponent)},
                                 {"balanced", balanced},
                                 {"linesAgree", agree}};
        out += (first_ ? "\n" : ",\n") + row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        first_ = false;
        at_ = {};
        return success();
    }
    Status end(std::string& out) override {
        out += std::string("],\n\"reconciled\":") + (all_ ? "true" : "false") + "}\n";
        return success();
    }

  private:
    const std::string period_;
    const UtcMillis now_;
    Reconciled at_;
    bool first_ = true, all_ = true;
};

constexpr std::string_view kStyle =
    "@page{size:A4 landscape;margin:14mm}body{font:10pt/1.4 sans-serif;color:#111}table{border-collapse:collapse;width:100%}th,td{padding:1mm 2mm;"
    "border-bottom:.2mm solid #bbb;text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}thead{display:table-header-group}"
    ".no{color:#a00;font-weight:bold}";

class Html final : public Layout {
  public:
    Html(std::string period, UtcMillis now) : period_(std::move(period)), now_(now) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out += "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Reconciliation " + html_text(period_) + "</title><style>" +
               std::string(kStyle) + "</style></head><body>\n<h1>Reconciliation " + html_text(period_) + "</h1>\n<p>As of " + date_time(now_) +
               ". Events and bytes of what the ledger took as delivered are billed or explicitly unbilled. Suspense counts offsets of which a crash "
               "left "
               "open whether they were delivered: they are in no other column until they are settled. Replays that are paid for are in the lines, "
               "beside what was billed at first.</p>\n<table><thead><tr><th>Contract</th><th>Status"
               "</th><th class=\"n\">Delivered</th><th class=\"n\">Billed</th><th class=\"n\">Unbilled</th><th class=\"n\">Suspense (offsets)</th>"
               "<th class=\"n\">Replayed</th><th class=\"n\">Delivered bytes</th><th class=\"n\">Billed bytes</th><th class=\"n\">Unbilled "
               "bytes</th><th class=\"n\">Events in lines"
               "</th><th class=\"n\">Total</th><th class=\"n\">Sum of lines</th><th>Reconciled</th></tr></thead><tbody>\n";
        return success();
    }
    Status line(const ports::Account&, const ports::AccountLine& line, std::string&) override {
        at_.line(line);
        return success();
    }
    Status account_end(const ports::Account& a, std::string& out) override {
        const auto cell = [&](const std::string& text) { out += "<td class=\"n\">" + text + "</td>"; };
        const bool balanced = Reconciled::books_balance(a), agree = at_.lines_agree(a);
        out += "<tr><td>" + html_text(a.contract) + "</td><td>" + (a.closed ? "closed" : "open") + "</td>";
        const auto& b = a.books;
        for (const auto value : {b.delivered.events, b.billed.events, b.unbilled.events, b.suspense_offsets, b.replayed.events, b.delivered.bytes,
                                 b.billed.bytes, b.unbilled.bytes, at_.billed.events})
            cell(std::to_string(value));
        cell(a.total.text(a.exponent) + " " + html_text(a.currency));
        cell(at_.sum.text(a.exponent));
        // Usage goes on being delivered while a draft is read.
        out += balanced && agree       ? "<td>yes</td></tr>\n"
               : balanced && !a.closed ? "<td>moved while it was read</td></tr>\n"
                                       : "<td class=\"no\">NO</td></tr>\n";
        at_ = {};
        return success();
    }
    Status end(std::string& out) override {
        out += "</tbody></table></body></html>\n";
        return success();
    }

  private:
    const std::string period_;
    const UtcMillis now_;
    Reconciled at_;
};

}  // namespace

std::unique_ptr<Layout> reconciliation_layout(const Wanted& wanted, UtcMillis now) {
    if (wanted.format == Format::json) return std::make_unique<Json>(wanted.accounts.period, now);
    return std::make_unique<Html>(wanted.accounts.period, now);
}

}  // namespace licet::exports
