// Our decimals and the rational arithmetic of rating against the test cases of General Decimal Arithmetic. LICET_DECIMALS names a folder that holds
// them (*.decTest). What runs: every case whose operands and result a numeric(38,14) holds, that rounds half up (away from zero, in their words) or
// not at all. Their zeros have signs, ours none. Without the folder: skipped.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

#include "metering/exact.h"
#include "tests/conformance/dectest.h"

namespace {

using namespace licet;
using namespace licet::metering;
using namespace licet::testing;

const char* const folder = std::getenv("LICET_DECIMALS");

std::optional<Decimal> decimal(const std::string& text) {
    const auto number = dec_number(text);
    return number ? Decimal::parse(number->plain()) : std::nullopt;
}

Exact exact_of(const DecNumber& number) {
    const Integer digits(number.digits.find_first_not_of('0') == std::string::npos ? "0"
                                                                                   : number.digits.substr(number.digits.find_first_not_of('0')));
    const Integer scale = boost::multiprecision::pow(Integer(10), static_cast<unsigned>(std::abs(number.exponent)));
    const Exact value = number.exponent < 0 ? Exact(digits, scale) : Exact(digits * scale);
    return number.minus ? Exact(-value) : value;
}

enum class Outcome { right, wrong, special, range, rounding, notation, other };
constexpr const char* kOutcomes[] = {
    "right", "wrong", "special values and signals", "beyond numeric(38,14)", "rounded another way", "another notation", "other"};

// The value in the place their result ends in, and, where our decimals reach that far, as they write it.
Outcome compared(const Exact& value, const DecNumber& wanted, bool inexact) {
    if (!inexact) return value == exact_of(wanted) ? Outcome::right : Outcome::wrong;
    const Integer units = rounded(value, -wanted.exponent);
    if (Exact(units) != exact_of({wanted.minus, wanted.digits, 0})) return Outcome::wrong;
    if (wanted.exponent < -Decimal::kScale || wanted.exponent > 0) return Outcome::right;
    const auto text = decimal_of(units, -wanted.exponent);
    return !text ? Outcome::range : text->text(-wanted.exponent) == wanted.plain() ? Outcome::right : Outcome::wrong;
}

Outcome read(const DecCase& c) {
    const auto& text = c.operands[0];
    if (c.result == "NaN" && c.conditions.count("conversion_syntax") != 0) return Decimal::parse(text) ? Outcome::wrong : Outcome::right;
    const auto wanted = dec_number(c.result);
    if (!wanted || c.conditions.count("rounded") != 0) return Outcome::special;
    const bool ours = text.find_first_of("eE+") == std::string::npos && !text.starts_with(".") && !text.starts_with("-.") && !text.ends_with(".");
    if (!ours) return Outcome::notation;
    const auto value = Decimal::parse(text);
    if (!value) return Outcome::range;
    return wanted->exponent <= 0 && value->text(-wanted->exponent) == wanted->plain() ? Outcome::right : Outcome::wrong;
}

Outcome quantized(const DecCase& c, Decimal value) {
    const auto like = dec_number(c.operands[1]);
    const auto wanted = dec_number(c.result);
    if (!like || !wanted) return Outcome::special;
    if (like->exponent > 0 || like->exponent < -Decimal::kScale) return Outcome::range;
    return value.rounded(-like->exponent).text(-like->exponent) == wanted->plain() ? Outcome::right : Outcome::wrong;
}

Outcome run(const DecCase& c) {
    for (const char* signal : {"clamped", "subnormal", "underflow", "overflow", "division_by_zero", "division_undefined", "invalid_operation"})
        if (c.conditions.count(signal) != 0) return Outcome::special;
    if (c.operation == "tosci") return read(c);
    if (c.operands.size() != 2) return Outcome::other;
    const bool inexact = c.conditions.count("inexact") != 0;
    if (inexact && c.rounding != "half_up") return Outcome::rounding;
    for (const auto& operand : c.operands)
        if (!dec_number(operand) && operand.find_first_of("eE") == std::string::npos) return Outcome::special;
    const auto a = decimal(c.operands[0]), b = decimal(c.operands[1]);
    if (c.operation == "quantize") return a ? quantized(c, *a) : Outcome::range;
    if (!a || !b) return Outcome::range;
    const auto wanted = dec_number(c.result);
    if (!wanted || !Decimal::parse(DecNumber{wanted->minus, wanted->digits, std::max(wanted->exponent, -Decimal::kScale)}.plain()))
        return Outcome::range;
    if (c.operation == "compare") return exact_of(*wanted) == (*a < *b ? -1 : *a == *b ? 0 : 1) ? Outcome::right : Outcome::wrong;
    if (c.operation == "add") {
        const auto sum = a->plus(*b);
        if (sum && exact(*sum) != exact(*a) + exact(*b)) return Outcome::wrong;
        return compared(exact(*a) + exact(*b), *wanted, inexact);
    }
    if (c.operation == "subtract") return compared(exact(*a) - exact(*b), *wanted, inexact);
    if (c.operation == "multiply") return compared(exact(*a) * exact(*b), *wanted, inexact);
    if (c.operation == "divide") return compared(exact(*a) / exact(*b), *wanted, inexact);
    return Outcome::other;
}

}  // namespace

TEST_CASE("decimals: the cases of General Decimal Arithmetic that are in the domain of money" * doctest::skip(folder == nullptr)) {
    // What must have run at least, so that a change of the reader does not leave cases out in silence.
    const std::map<std::string, std::size_t> floors{{"add", 764},      {"base", 216},     {"compare", 425},  {"divide", 330},
                                                    {"multiply", 182}, {"quantize", 254}, {"rounding", 244}, {"subtract", 436}};
    std::size_t all = 0, ran = 0;
    for (const auto& [name, floor] : floors) {
        CAPTURE(name);
        const auto cases = read_dectest(std::string(folder) + "/" + name + ".decTest");
        std::map<Outcome, std::size_t> count;
        for (const auto& c : cases) {
            const auto outcome = run(c);
            ++count[outcome];
            CHECK_MESSAGE(outcome != Outcome::wrong, c.id << " " << c.operation << " -> " << c.result);
        }
        std::string text;
        for (const auto& [outcome, n] : count)
            text += (text.empty() ? "" : ", ") + std::to_string(n) + " " + kOutcomes[static_cast<std::size_t>(outcome)];
        MESSAGE(name << ": " << cases.size() << " cases: " << text);
        CHECK(count[Outcome::right] >= floor);
        all += cases.size();
        ran += count[Outcome::right] + count[Outcome::wrong];
    }
    MESSAGE("of " << all << " cases " << ran << " are in the domain");
}
