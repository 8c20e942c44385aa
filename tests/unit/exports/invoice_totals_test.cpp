// The totals of invoices: by hand, by rule over made-up invoices, and against the published cases of EN 16931 (LICET_EN16931).
#include "metering/invoice.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/support/small_xml.h"

using namespace licet::metering;
using licet::testing::read_xml;
using licet::testing::Xml;

namespace {

Decimal d(std::string_view text) {
    // XML Schema's decimals may begin with the point; ours do not.
    std::string digits(text.empty() ? "0" : text);
    if (const auto point = digits.find('.'); point != std::string::npos && (point == 0 || digits[point - 1] == '-')) digits.insert(point, "0");
    const auto value = Decimal::parse(digits);
    REQUIRE_MESSAGE(value, text);
    return *value;
}
// Before there is a test that could fail.
const TaxClass kStandard{"S", *Decimal::parse("19")}, kReduced{"S", *Decimal::parse("7")}, kNone{"Z", *Decimal::parse("0")};

// An invoice in UBL: its parts, and what it states.
struct Read {
    InvoiceParts parts;
    InvoiceTotals stated;
};
InvoiceItem item_of(const Xml& xml, const char* amount, const Xml* category) {
    InvoiceItem out{d(xml.at(amount)), std::nullopt};
    if (category != nullptr) out.tax = TaxClass{category->at("ID"), d(category->at("Percent"))};
    return out;
}
Read read_invoice(const Xml& xml) {
    Read out;
    for (const char* kind : {"InvoiceLine", "CreditNoteLine"})
        for (const Xml* line : xml.all(kind)) {
            const Xml* product = line->child("Item");
            out.parts.lines.push_back(item_of(*line, "LineExtensionAmount", product == nullptr ? nullptr : product->child("ClassifiedTaxCategory")));
        }
    for (const Xml* a : xml.all("AllowanceCharge"))
        (a->at("ChargeIndicator") == "true" ? out.parts.charges : out.parts.allowances).push_back(item_of(*a, "Amount", a->child("TaxCategory")));
    const Xml none;
    const Xml* found = xml.child("LegalMonetaryTotal");
    const Xml& total = found == nullptr ? none : *found;
    auto& s = out.stated;
    s.lines = d(total.at("LineExtensionAmount"));
    s.allowances = d(total.at("AllowanceTotalAmount"));
    s.charges = d(total.at("ChargeTotalAmount"));
    s.net = d(total.at("TaxExclusiveAmount"));
    s.gross = d(total.at("TaxInclusiveAmount"));
    s.paid = out.parts.paid = d(total.at("PrepaidAmount"));
    s.rounding = out.parts.rounding = d(total.at("PayableRoundingAmount"));
    s.payable = d(total.at("PayableAmount"));
    const auto currency = xml.at("DocumentCurrencyCode");
    for (const Xml* tax : xml.all("TaxTotal")) {
        const Xml* amount = tax->child("TaxAmount");
        if (amount != nullptr && !currency.empty() && amount->attributes.contains("currencyID") && amount->attributes.at("currencyID") != currency)
            continue;
        s.tax = d(tax->at("TaxAmount"));
        for (const Xml* sub : tax->all("TaxSubtotal"))
            s.taxes.push_back({{sub->at("TaxCategory/ID"), d(sub->at("TaxCategory/Percent"))}, d(sub->at("TaxableAmount")), d(sub->at("TaxAmount"))});
    }
    return out;
}

Xml read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    REQUIRE_MESSAGE(in, path);
    const auto xml = read_xml(std::string(std::istreambuf_iterator<char>(in), {}));
    REQUIRE_MESSAGE(xml, path);
    return *xml;
}

}  // namespace

TEST_CASE("tax is rounded once per category, on the summed net") {
    InvoiceParts parts;
    // 0.19 * 0.05 = 0.0095: rounded per line it would be 0.03.
    for (int i = 0; i < 3; ++i) parts.lines.push_back({d("0.05"), kStandard});
    parts.lines.push_back({d("100.00"), kReduced});
    parts.lines.push_back({d("10.00"), kNone});
    parts.allowances.push_back({d("0.10"), kStandard});
    parts.charges.push_back({d("1.00"), kReduced});
    parts.paid = d("5.00");
    const auto totals = invoice_totals(parts, 2);
    REQUIRE(totals);
    CHECK(totals->lines == d("110.15"));
    CHECK(totals->net == d("111.05"));
    CHECK(totals->taxes ==
          std::vector<TaxSubtotal>{{kReduced, d("101.00"), d("7.07")}, {kStandard, d("0.05"), d("0.01")}, {kNone, d("10.00"), d("0")}});
    CHECK(totals->tax == d("7.08"));
    CHECK(totals->gross == d("118.13"));
    CHECK(totals->payable == d("113.13"));
    CHECK(broken_rules(parts, *totals, 2).empty());
}

TEST_CASE("halves go away from zero, for credit too, in currencies of no and of three digits") {
    const auto tax = [](const char* net, const char* rate, int exponent) {
        InvoiceParts parts;
        parts.lines.push_back({d(net), TaxClass{"S", d(rate)}});
        return invoice_totals(parts, exponent)->tax.text(exponent);
    };
    CHECK(tax("0.50", "1", 2) == "0.01");
    CHECK(tax("-0.50", "1", 2) == "-0.01");
    CHECK(tax("0.49", "1", 2) == "0.00");
    CHECK(tax("5", "10", 0) == "1");
    CHECK(tax("-5", "10", 0) == "-1");
    CHECK(tax("1.005", "7.5", 3) == "0.075");
    CHECK(tax("999999999999999.99", "19", 2) == "190000000000000.00");
}

TEST_CASE("made-up invoices meet every rule, and miss the right one when a total is wrong") {
    std::mt19937_64 random(6);
    for (int i = 0; i < 2000; ++i) {
        InvoiceParts parts;
        const auto item = [&] {
            const auto minor = static_cast<std::int64_t>(random() % 2'000'000) - 500'000;
            const TaxClass classes[] = {kStandard, kReduced, kNone, {"S", d("5.5")}};
            const std::string sign = minor < 0 ? "-" : "", digits = std::to_string(1'000'000'000 + std::abs(minor)).substr(1);
            return InvoiceItem{d(sign + digits.substr(0, 7) + "." + digits.substr(7)), classes[random() % 4]};
        };
        for (auto n = random() % 20; n > 0; --n) parts.lines.push_back(item());
        for (auto n = random() % 3; n > 0; --n) parts.allowances.push_back(item());
        for (auto n = random() % 3; n > 0; --n) parts.charges.push_back(item());
        const auto totals = invoice_totals(parts, 2);
        REQUIRE(totals);
        CHECK(broken_rules(parts, *totals, 2).empty());
        auto wrong = *totals;
        wrong.payable += d("0.01");
        CHECK(broken_rules(parts, wrong, 2) == std::vector<std::string_view>{"BR-CO-16"});
        wrong = *totals;
        wrong.lines += d("0.01");
        CHECK(broken_rules(parts, wrong, 2) == std::vector<std::string_view>{"BR-CO-10", "BR-CO-13"});
    }
}

TEST_CASE("what the published cases of EN 16931 accept is accepted, what they refuse refused by the same rule") {
    const char* folder = std::getenv("LICET_EN16931");
    if (folder == nullptr) return;
    int cases = 0, refused = 0;
    for (const char* rule : {"BR-CO-10", "BR-CO-13", "BR-CO-14", "BR-CO-15", "BR-CO-16", "BR-CO-17"}) {
        const Xml set = read_file(std::string(folder) + "/unit/" + rule + ".xml");
        for (const Xml* test : set.all("test")) {
            const Xml* document = test->child("Invoice") != nullptr ? test->child("Invoice") : test->child("CreditNote");
            REQUIRE(document != nullptr);
            const bool expected = test->child("assert")->child("success") != nullptr;
            const auto read = read_invoice(*document);
            const auto broken = broken_rules(read.parts, read.stated, 2);
            CHECK_MESSAGE((std::find(broken.begin(), broken.end(), rule) == broken.end()) == expected, rule << " case " << cases);
            ++cases;
            refused += !expected;
        }
    }
    CHECK(cases > 40);
    CHECK(refused > 10);
}

TEST_CASE("our totals of the published invoices are theirs") {
    const char* folder = std::getenv("LICET_EN16931");
    if (folder == nullptr) return;
    for (const char* name : {"creditnote1", "example1", "example2", "example4", "example5", "example9"}) {
        const auto read = read_invoice(read_file(std::string(folder) + "/ubl-tc434-" + name + ".xml"));
        REQUIRE_FALSE(read.parts.lines.empty());
        const auto ours = invoice_totals(read.parts, 2);
        REQUIRE(ours);
        auto theirs = read.stated;
        std::sort(theirs.taxes.begin(), theirs.taxes.end(), [](const auto& a, const auto& b) {
            return a.tax.category != b.tax.category ? a.tax.category < b.tax.category : a.taxable.text(14) < b.taxable.text(14);
        });
        auto taxes = ours->taxes;
        std::sort(taxes.begin(), taxes.end(), [](const auto& a, const auto& b) {
            return a.tax.category != b.tax.category ? a.tax.category < b.tax.category : a.taxable.text(14) < b.taxable.text(14);
        });
        CHECK_MESSAGE(taxes == theirs.taxes, name);
        CHECK_MESSAGE(ours->net == theirs.net, name);
        CHECK_MESSAGE(ours->tax == theirs.tax, name);
        CHECK_MESSAGE(ours->gross == theirs.gross, name);
        CHECK_MESSAGE(ours->payable == theirs.payable, name);
        CHECK_MESSAGE(broken_rules(read.parts, read.stated, 2).empty(), name);
    }
}
