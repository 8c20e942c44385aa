#include "metering/invoice.h"

#include <algorithm>

namespace licet::metering {
namespace {

__extension__ typedef __int128 Wide;

// Counts of 1e-14, by way of the text, which is exact.
Wide units(const Decimal& value) {
    Wide out = 0;
    const std::string text = value.text(Decimal::kScale);
    for (const char c : text)
        if (c >= '0' && c <= '9') out = out * 10 + (c - '0');
    return text.front() == '-' ? -out : out;
}

std::optional<Decimal> from_units(Wide value) {
    const bool negative = value < 0;
    if (negative) value = -value;
    std::string digits;
    for (; value > 0; value /= 10) digits += static_cast<char>('0' + static_cast<int>(value % 10));
    while (digits.size() <= Decimal::kScale) digits += '0';
    std::reverse(digits.begin(), digits.end());
    digits.insert(digits.size() - Decimal::kScale, ".");
    return Decimal::parse((negative ? "-" : "") + digits);
}

std::optional<Decimal> sum_of(const std::vector<InvoiceItem>& items) {
    Decimal out;
    for (const auto& item : items) out += item.net;
    return out;
}

std::optional<Decimal> combine(const Decimal& a, int sign, const Decimal& b) {
    Wide out = 0;
    const Wide left = units(a), right = sign * units(b);
    if (__builtin_add_overflow(left, right, &out)) return std::nullopt;
    return from_units(out);
}

// rate percent of the net, rounded half away from zero to the currency's digits.
std::optional<Decimal> tax_of(const Decimal& net, const Decimal& rate, int exponent) {
    constexpr Wide kUnit = 100'000'000'000'000;  // 1e14
    constexpr Wide kPercentScale = 1'000'000;    // rates have at most 6 decimals
    Wide step = kUnit;                           // of one currency unit, in units
    for (int i = 0; i < exponent; ++i) step /= 10;
    const Wide minor = units(net) / step, percent = units(rate) / (kUnit / kPercentScale);
    Wide product = 0;
    if (__builtin_mul_overflow(minor, percent, &product)) return std::nullopt;
    constexpr Wide kDivisor = 100 * kPercentScale;
    const bool negative = product < 0;
    if (negative) product = -product;
    const Wide rounded = (product + kDivisor / 2) / kDivisor;
    Wide out = 0;
    if (__builtin_mul_overflow(rounded, step, &out)) return std::nullopt;
    return from_units(negative ? -out : out);
}

bool within_one(const Decimal& a, const Decimal& b) {
    constexpr Wide kUnit = 100'000'000'000'000;
    const Wide difference = units(a) - units(b);
    return difference < kUnit && -difference < kUnit;
}

void gather(std::vector<TaxSubtotal>& taxes, const std::vector<InvoiceItem>& items, int sign, bool& fits) {
    for (const auto& item : items) {
        if (!item.tax) continue;
        auto found = std::find_if(taxes.begin(), taxes.end(), [&](const auto& t) { return t.tax == *item.tax; });
        if (found == taxes.end()) found = taxes.insert(taxes.end(), TaxSubtotal{*item.tax, {}, {}});
        const auto sum = combine(found->taxable, sign, item.net);
        fits = fits && sum;
        if (sum) found->taxable = *sum;
    }
}

}  // namespace

std::optional<InvoiceTotals> invoice_totals(const InvoiceParts& parts, int exponent) {
    InvoiceTotals out;
    out.lines = *sum_of(parts.lines);
    out.allowances = *sum_of(parts.allowances);
    out.charges = *sum_of(parts.charges);
    bool fits = true;
    gather(out.taxes, parts.lines, 1, fits);
    gather(out.taxes, parts.allowances, -1, fits);
    gather(out.taxes, parts.charges, 1, fits);
    std::sort(out.taxes.begin(), out.taxes.end(), [](const auto& a, const auto& b) {
        return a.tax.category != b.tax.category ? a.tax.category < b.tax.category : units(a.tax.rate) < units(b.tax.rate);
    });
    for (auto& subtotal : out.taxes) {
        const auto amount = tax_of(subtotal.taxable, subtotal.tax.rate, exponent);
        if (!amount) return std::nullopt;
        subtotal.amount = *amount;
        out.tax += *amount;
    }
    out.paid = parts.paid;
    out.rounding = parts.rounding;
    const auto less = combine(out.lines, -1, out.allowances);
    if (!fits || !less) return std::nullopt;
    out.net = *less;
    out.net += out.charges;
    out.gross = out.net;
    out.gross += out.tax;
    const auto due = combine(out.gross, -1, out.paid);
    if (!due) return std::nullopt;
    out.payable = *due;
    out.payable += out.rounding;
    return out;
}

std::vector<std::string_view> broken_rules(const InvoiceParts& parts, const InvoiceTotals& stated, int exponent) {
    std::vector<std::string_view> out;
    const auto rule = [&](bool met, std::string_view name) {
        if (!met) out.push_back(name);
    };
    const auto equals = [](const Decimal& value, std::optional<Decimal> expected) { return expected && value == *expected; };
    rule(equals(stated.lines, sum_of(parts.lines)), "BR-CO-10");
    rule(equals(stated.allowances, sum_of(parts.allowances)), "BR-CO-11");
    rule(equals(stated.charges, sum_of(parts.charges)), "BR-CO-12");
    auto net = combine(stated.lines, -1, stated.allowances);
    if (net) net = combine(*net, 1, stated.charges);
    rule(equals(stated.net, net), "BR-CO-13");
    Decimal taxes;
    for (const auto& subtotal : stated.taxes) taxes += subtotal.amount;
    rule(stated.tax == taxes, "BR-CO-14");
    rule(equals(stated.gross, combine(stated.net, 1, stated.tax)), "BR-CO-15");
    auto payable = combine(stated.gross, -1, stated.paid);
    if (payable) payable = combine(*payable, 1, stated.rounding);
    rule(equals(stated.payable, payable), "BR-CO-16");
    bool each = true;
    for (const auto& subtotal : stated.taxes) {
        const auto amount = tax_of(subtotal.taxable, subtotal.tax.rate, exponent);
        each = each && amount && within_one(subtotal.amount, *amount);
    }
    rule(each, "BR-CO-17");
    return out;
}

}  // namespace licet::metering
