// What each VAT category of EN 16931 asks for beside its totals, by hand from the rules of the standard.
#include "metering/vat.h"

#include <doctest/doctest.h>

using namespace licet::metering;

namespace {

std::string broken(const std::vector<VatClass>& classes, VatSubject seller = {true, true}, VatSubject buyer = {true, true}) {
    std::string out;
    for (const auto& b : broken_vat_rules(classes, seller, buyer)) out += (out.empty() ? "" : " ") + b.rule;
    return out;
}
VatClass of(const char* category, const char* rate, const char* reason = "") { return {category, *Decimal::parse(rate), reason}; }

}  // namespace

TEST_CASE("vat: what each category needs") {
    CHECK(broken({of("S", "19")}).empty());
    CHECK(broken({of("S", "19"), of("S", "7"), of("Z", "0")}).empty());
    CHECK(broken({of("E", "0", "why"), of("AE", "0", "why"), of("K", "0", "why"), of("G", "0", "why")}).empty());
    CHECK(broken({of("O", "0", "why")}, {true, false}, {true, false}).empty());
    CHECK(broken({of("L", "0"), of("M", "4")}).empty());
    CHECK(broken({of("S", "0")}) == "BR-S-05");
    CHECK(broken({of("S", "19", "why")}) == "BR-S-10");
    for (const char* category : {"E", "AE", "G"}) {
        CHECK(broken({of(category, "0")}) == std::string("BR-") + category + "-10");
        CHECK(broken({of(category, "5", "why")}) == std::string("BR-") + category + "-05");
    }
    CHECK(broken({of("K", "0")}) == "BR-IC-10");
    CHECK(broken({of("O", "0")}) == "BR-O-10");
    CHECK(broken({of("Z", "0", "why")}) == "BR-Z-10");
    CHECK(broken({of("X", "0")}) == "BR-CL-17");
}

TEST_CASE("vat: who must be known") {
    const VatSubject named{true, false}, nobody{false, false}, known{true, true};
    for (const char* category : {"S", "L", "M"}) CHECK(broken({of(category, "1")}, named).size() > 0);
    CHECK(broken({of("S", "19")}, known, named).empty());
    CHECK(broken({of("S", "19")}, named, named) == "BR-S-02");
    CHECK(broken({of("AE", "0", "why")}, known, named) == "BR-AE-02");
    CHECK(broken({of("K", "0", "why")}, known, named) == "BR-IC-02");
    CHECK(broken({of("G", "0", "why")}, known, named).empty());
    CHECK(broken({of("E", "0", "why"), of("E", "0", "why")}, named) == "BR-E-02");
    CHECK(broken({of("Z", "0")}, nobody, nobody) == "BR-06 BR-07 BR-Z-02");
    CHECK(broken({of("O", "0", "why"), of("S", "19")}) == "BR-O-11");
    CHECK(broken({}).empty());
}
