// What can be asked for, by the names of the API.
#include <algorithm>
#include <array>

#include "base/ids.h"
#include "metering/month.h"
#include "server/exports/groups.h"
#include "server/exports/layouts.h"
#include "server/exports/text.h"

namespace licet::exports {
namespace {

struct Kind {
    Report report;
    std::string_view name;
    std::vector<Format> formats;  // the first when none is named
};
const std::array<Kind, 6>& kinds() {
    static const std::array<Kind, 6> all{{{Report::lines, "lines", {Format::csv, Format::json, Format::xlsx}},
                                          {Report::cost_and_usage, "cost-and-usage", {Format::csv}},
                                          {Report::invoice_detail, "invoice-detail", {Format::csv}},
                                          {Report::billing_period, "billing-period", {Format::csv}},
                                          {Report::invoice, "invoice", {Format::html}},
                                          {Report::reconciliation, "reconciliation", {Format::json, Format::html}}}};
    return all;
}

}  // namespace

std::string_view name_of(Report report) noexcept {
    for (const auto& kind : kinds())
        if (kind.report == report) return kind.name;
    return {};
}

std::string_view name_of(Format format) noexcept {
    constexpr std::array<std::string_view, 4> kNames{"csv", "json", "xlsx", "html"};
    return kNames[static_cast<std::size_t>(format)];
}

std::string_view media_type_of(Format format) noexcept {
    constexpr std::array<std::string_view, 4> kTypes{"text/csv; charset=utf-8", "application/json",
                                                     "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/html; charset=utf-8"};
    return kTypes[static_cast<std::size_t>(format)];
}

std::string file_name_of(const Wanted& wanted) {
    std::string out = "licet-" + wanted.accounts.period + "-" + std::string(name_of(wanted.report));
    if (!wanted.accounts.contract.empty()) out += "-" + wanted.accounts.contract;
    return out + "." + std::string(name_of(wanted.format));
}

Result<Wanted> parse_wanted(std::string_view report, std::string_view format, std::string_view period, std::string_view group,
                            std::string_view contract) {
    const auto kind = std::find_if(kinds().begin(), kinds().end(), [&](const auto& k) { return k.name == report; });
    if (kind == kinds().end())
        return Error{Errc::invalid_parameter, "expected lines, cost-and-usage, invoice-detail, billing-period, invoice or reconciliation",
                     "query:report"};
    Wanted out;
    out.report = kind->report;
    out.format = kind->formats.front();
    if (!format.empty()) {
        const auto found = std::find_if(kind->formats.begin(), kind->formats.end(), [&](Format f) { return name_of(f) == format; });
        if (found == kind->formats.end()) {
            std::string known;
            for (const auto f : kind->formats) known += (known.empty() ? "" : " or ") + std::string(name_of(f));
            return Error{Errc::invalid_parameter, "expected " + known, "query:format"};
        }
        out.format = *found;
    }
    if (!metering::parse_month(period)) return Error{Errc::invalid_parameter, "expected YYYY-MM", "query:period"};
    out.accounts.period = period;
    auto groups = parse_groups(group);
    if (!groups) return groups.error();
    if (!groups->empty() && (out.report != Report::lines || out.format == Format::xlsx))
        return Error{Errc::invalid_parameter, "only lines as csv or json are grouped", "query:group"};
    out.group = *std::move(groups);
    if (!contract.empty() && !valid_slug(contract))
        return Error{Errc::invalid_parameter, "a name is 1-64 characters of a-z 0-9 . _ - starting with a letter or digit", "query:contract"};
    out.accounts.contract = contract;
    return out;
}

std::unique_ptr<Layout> make_layout(const Wanted& wanted, const Issuer& issuer, UtcMillis now) {
    switch (wanted.report) {
        case Report::lines:
            return lines_layout(wanted);
        case Report::invoice:
            return invoice_layout(wanted, issuer, now);
        case Report::reconciliation:
            return reconciliation_layout(wanted, now);
        case Report::cost_and_usage:
        case Report::invoice_detail:
        case Report::billing_period:
            break;
    }
    return focus_layout(wanted, issuer, now);
}

}  // namespace licet::exports
