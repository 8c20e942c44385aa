// FOCUS 1.4: our table of columns against the published model (LICET_FOCUS), and the rows against the table.
#include "metering/focus.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "server/exports/layout.h"
#include "tests/support/csv_reader.h"
#include "tests/support/fake_accounts.h"

using namespace licet;
using namespace licet::metering;
using licet::testing::FakeAccounts;
using nlohmann::json;

namespace {

constexpr FocusDataset kAll[] = {FocusDataset::cost_and_usage, FocusDataset::invoice_detail, FocusDataset::billing_period};
const std::map<FocusDataset, std::string> kNames{{FocusDataset::cost_and_usage, "Cost and Usage"},
                                                 {FocusDataset::invoice_detail, "Invoice Detail"},
                                                 {FocusDataset::billing_period, "Billing Period"}};
const std::map<FocusDataset, const char*> kReports{{FocusDataset::cost_and_usage, "cost-and-usage"},
                                                   {FocusDataset::invoice_detail, "invoice-detail"},
                                                   {FocusDataset::billing_period, "billing-period"}};

using Row = std::map<std::string, std::string>;

std::vector<Row> rows(ports::Accounts& accounts, FocusDataset dataset) {
    const auto wanted = exports::parse_wanted(kReports.at(dataset), "csv", "2026-11", "", "");
    REQUIRE(wanted);
    exports::Issuer issuer;
    issuer.name = "=Seller, Inc.";
    issuer.region = "eu";
    std::string csv;
    REQUIRE(exports::run(
        accounts, *wanted, *exports::make_layout(*wanted, issuer, *parse_rfc3339("2026-11-21T12:00:00Z")),
        [&](std::string_view bytes) {
            csv += bytes;
            return success();
        },
        [](const exports::Progress&, const exports::Place*) { return success(); }));
    const auto records = licet::testing::read_csv(csv);
    REQUIRE(records);
    std::vector<Row> out;
    for (std::size_t i = 1; i < records->size(); ++i) {
        Row row;
        for (std::size_t j = 0; j < (*records)[i].size(); ++j) CHECK(row.emplace((*records)[0][j], (*records)[i][j]).second);
        out.push_back(std::move(row));
    }
    return out;
}

bool is_decimal(const std::string& text) {
    const auto digits = text.find_first_not_of("-0123456789.");
    return !text.empty() && digits == std::string::npos && Decimal::parse(text).has_value();
}

FakeAccounts two() {
    FakeAccounts::Contract open, closed;
    open.lines = 3000;
    closed = open;
    closed.name = "zeta";
    closed.closed = true;
    closed.statement = 12;
    return FakeAccounts({open, closed});
}

}  // namespace

TEST_CASE("every mandatory column is written, nothing but columns of the standard and own ones, each once") {
    for (const auto dataset : kAll) {
        std::set<std::string_view> written;
        for (const auto name : focus_written(dataset)) {
            CHECK(written.insert(name).second);
            const auto columns = focus_columns(dataset);
            const bool known = std::any_of(columns.begin(), columns.end(), [&](const auto& c) { return c.name == name; });
            CHECK_MESSAGE((known || name.starts_with("x_")), name);
        }
        for (const auto& column : focus_columns(dataset))
            if (column.level == FocusLevel::mandatory) CHECK_MESSAGE(written.contains(column.name), column.name);
    }
    CHECK(focus_columns(FocusDataset::cost_and_usage).size() == 65);
    const auto columns = focus_columns(FocusDataset::cost_and_usage);
    CHECK(std::count_if(columns.begin(), columns.end(), [](const auto& c) { return c.level == FocusLevel::mandatory; }) == 21);
}

TEST_CASE("the table of columns is the published model's") {
    const char* folder = std::getenv("LICET_FOCUS");
    if (folder == nullptr) return;
    const auto model = json::parse(std::ifstream(std::string(folder) + "/model/focus_1_4_model.json"));
    const std::map<FocusFormat, std::set<std::string>> formats{{FocusFormat::text, {"Unspecified"}},
                                                               {FocusFormat::decimal, {"Decimal (any)"}},
                                                               {FocusFormat::decimal_not_negative, {"Decimal (non-negative)"}},
                                                               {FocusFormat::date_time, {"Date/Time"}},
                                                               {FocusFormat::currency, {"Currency"}},
                                                               {FocusFormat::unit, {"Unit"}},
                                                               {FocusFormat::allowed, {"Allowed Values"}},
                                                               {FocusFormat::json, {"JSON Object"}},
                                                               {FocusFormat::key_value, {"Key-Value"}}};
    const std::map<FocusLevel, std::string> levels{
        {FocusLevel::mandatory, "Mandatory"}, {FocusLevel::conditional, "Conditional"}, {FocusLevel::recommended, "Recommended"}};
    for (const auto dataset : kAll) {
        const auto& columns = model["datasets"][kNames.at(dataset)]["columns"];
        CHECK(columns.size() == focus_columns(dataset).size());
        for (const auto& column : focus_columns(dataset)) {
            const std::string name(column.name);
            REQUIRE_MESSAGE(columns.contains(name), name);
            CHECK_MESSAGE(columns[name]["feature_level"] == levels.at(column.level), name);
            CHECK_MESSAGE(formats.at(column.format).contains(columns[name]["value_format"].get<std::string>()), name);
            CHECK_MESSAGE(columns[name]["allows_nulls"].get<bool>() == (column.nulls == FocusNulls::yes), name);
        }
    }
}

TEST_CASE("every cell is of its column's format, and there where it must be") {
    auto accounts = two();
    const char* folder = std::getenv("LICET_FOCUS");
    const json model = folder == nullptr ? json() : json::parse(std::ifstream(std::string(folder) + "/model/focus_1_4_model.json"));
    for (const auto dataset : kAll) {
        const auto all = rows(accounts, dataset);
        REQUIRE_FALSE(all.empty());
        for (const auto& row : all)
            for (const auto& column : focus_columns(dataset)) {
                const auto found = row.find(std::string(column.name));
                if (found == row.end()) continue;
                const std::string& cell = found->second;
                if (cell.empty()) {
                    CHECK_MESSAGE(column.nulls == FocusNulls::yes, column.name);
                    continue;
                }
                if (column.format == FocusFormat::decimal) CHECK_MESSAGE(is_decimal(cell), column.name << " " << cell);
                if (column.format == FocusFormat::date_time) CHECK_MESSAGE((cell.size() == 20 && parse_rfc3339(cell)), column.name << " " << cell);
                if (column.format == FocusFormat::currency) CHECK(cell == "EUR");
                if (column.format == FocusFormat::key_value || column.format == FocusFormat::json) CHECK(json::accept(cell));
                if (column.format == FocusFormat::allowed && !model.is_null()) {
                    const auto& allowed = model["datasets"][kNames.at(dataset)]["columns"][found->first]["allowed_values"];
                    CHECK_MESSAGE(std::find(allowed.begin(), allowed.end(), cell) != allowed.end(), column.name << " " << cell);
                }
            }
    }
}

TEST_CASE("a correction is charged in the open period and says which one it corrects") {
    auto accounts = two();
    int corrections = 0;
    for (const auto& row : rows(accounts, FocusDataset::cost_and_usage)) {
        CHECK(row.at("BillingPeriodStart") == "2026-11-01T00:00:00Z");
        CHECK(row.at("BillingPeriodEnd") == "2026-12-01T00:00:00Z");
        CHECK((row.at("ChargeClass") == "Correction") == (row.at("x_LineKind") == "correction"));
        if (row.at("x_LineKind") == "correction") {
            ++corrections;
            CHECK(row.at("ChargePeriodStart") == "2026-09-01T00:00:00Z");
            CHECK(row.at("ChargePeriodEnd") == "2026-10-01T00:00:00Z");
            CHECK(row.at("PricingQuantity").empty());
            CHECK(row.at("PricingUnit").empty());
        } else if (row.at("x_LineKind") == "usage") {
            CHECK(row.at("ChargeCategory") == "Usage");
            CHECK(row.at("ConsumedUnit") == "Events");
            CHECK(row.at("PricingUnit") == "Events");
            CHECK(row.at("PricingQuantity") == row.at("ConsumedQuantity"));
            CHECK(row.at("ChargePeriodStart").substr(0, 8) == "2026-11-");
        } else {
            CHECK(row.at("ChargeCategory") == "Adjustment");
            CHECK(row.at("PricingQuantity").empty());
        }
    }
    CHECK(corrections == 6);
}

TEST_CASE("invoice details come to what cost and usage comes to, by the same identifiers") {
    auto accounts = two();
    std::map<std::string, Decimal> usage, details;
    for (const auto& row : rows(accounts, FocusDataset::cost_and_usage)) {
        CHECK(row.at("InvoiceId").empty() == (row.at("SubAccountId") == "acme"));  // a draft has no invoice
        if (row.at("SubAccountId") == "zeta") {
            CHECK(row.at("InvoiceId") == "eu-12");
            usage[row.at("InvoiceDetailId")] += *Decimal::parse(row.at("BilledCost"));
        }
    }
    Decimal total;
    for (const auto& row : rows(accounts, FocusDataset::invoice_detail)) {
        CHECK(row.at("InvoiceIssueStatus") == (row.at("x_Contract") == "zeta" ? "Issued" : "Open"));
        CHECK(row.at("PaymentTerms") == "Not stated");
        CHECK(row.at("InvoiceIssuerName") == "'=Seller, Inc.");
        if (row.at("x_Contract") != "zeta") continue;
        CHECK(details.emplace(row.at("InvoiceDetailId"), *Decimal::parse(row.at("BilledCost"))).second);
        total += *Decimal::parse(row.at("BilledCost"));
    }
    CHECK(usage == details);
    CHECK(total == accounts.list()[1].total);
}

TEST_CASE("what is priced is what the contract's prices count") {
    FakeAccounts::Contract bytes, minutes;
    bytes.priced = Metric::megabytes;
    minutes.name = "zeta";
    minutes.priced = Metric::minutes;
    FakeAccounts accounts({bytes, minutes});
    std::map<std::string, int> seen;
    for (auto& row : rows(accounts, FocusDataset::cost_and_usage)) {
        CHECK(row.at("ConsumedUnit") == "Events");
        ++seen[row.at("PricingUnit")];
        if (row.at("PricingUnit") == "Minutes") CHECK(row.at("PricingQuantity") == row.at("x_Minutes"));
        if (row.at("PricingUnit") != "MB") continue;
        auto back = Decimal{};
        const auto megabytes = Decimal::parse(row.at("PricingQuantity"));
        REQUIRE(megabytes);
        for (int i = 0; i < 1000; ++i) back += *megabytes;
        CHECK(back.text(3) == row.at("x_Bytes").insert(row.at("x_Bytes").size() - 3, "."));
        CHECK(row.at("PricingQuantity").back() != '.');
    }
    CHECK(seen == std::map<std::string, int>{{"MB", 10}, {"Minutes", 10}});
}

TEST_CASE("the period is closed when it was closed, with accounts or without any") {
    FakeAccounts::Contract closed;
    closed.closed = true;
    FakeAccounts one({closed});
    auto both = two();
    FakeAccounts none({});
    FakeAccounts empty({});
    empty.closed = parse_rfc3339("2026-12-03T11:00:00Z");
    CHECK(rows(empty, FocusDataset::billing_period)[0].at("BillingPeriodStatus") == "Closed");
    CHECK(rows(empty, FocusDataset::billing_period)[0].at("BillingPeriodLastUpdated") == "2026-12-03T11:00:00Z");
    CHECK(rows(one, FocusDataset::billing_period)[0].at("BillingPeriodStatus") == "Closed");
    CHECK(rows(one, FocusDataset::billing_period)[0].at("BillingPeriodLastUpdated") == "2026-12-02T10:00:00Z");
    CHECK(rows(both, FocusDataset::billing_period)[0].at("BillingPeriodStatus") == "Open");
    CHECK(rows(none, FocusDataset::billing_period)[0].at("BillingPeriodStatus") == "Open");
    CHECK(both.pages == 0);
}
