// Prices as contracts state them: what is taken, what is refused and where, and that it is written back as it was.
#include "server/ports/price_json.h"

#include <doctest/doctest.h>

#include "server/app/contract_bill.h"

using namespace licet;
using nlohmann::json;

namespace {

// The example of docs/finance.md.
json long_form() {
    return json::parse(R"({
      "price": {
        "currency": "EUR",
        "charges": [
          {"metric": "events", "model": "graduated", "included": "10000",
           "tiers": [{"upTo": "1000000", "unitPrice": "0.0005", "flatFee": "20"}, {"unitPrice": "0.0002"}]},
          {"metric": "megabytes", "model": "flat", "unitPrice": "0.12"},
          {"metric": "minutes", "model": "volume", "tiers": [{"upTo": "600", "unitPrice": "0.02"}, {"unitPrice": "0.015"}]}
        ],
        "discountPercent": "10", "minimum": "150", "cap": "5000", "replays": "billed"
      },
      "priceChanges": [
        {"from": "2027-07-01", "currency": "EUR", "minimum": "200",
         "charges": [{"metric": "events", "model": "package", "packageSize": "100000", "packagePrice": "55"}]},
        {"from": "2027-07-02", "currency": "EUR", "perEvent": "1", "perMb": "0"}
      ]})");
}

std::string mistake(const json& contract) {
    const auto read = ports::price_terms_from(contract);
    if (read) return "none";
    CHECK(read.error().code == Errc::invalid_document);
    return read.error().pointer;
}

// The pointer refused when `value` stands at `at` instead (null: when nothing does).
std::string refused(const char* at, json value) {
    json c = long_form();
    const json::json_pointer pointer(at);
    if (value.is_null())
        c.at(pointer.parent_pointer()).erase(pointer.back());
    else
        c[pointer] = std::move(value);
    return mistake(c);
}

}  // namespace

TEST_CASE("price documents: both forms are read, and written back as they were") {
    const auto read = ports::price_terms_from(long_form());
    REQUIRE_MESSAGE(read.ok(), (read.ok() ? "" : read.error().pointer));
    CHECK(read->prices.size() == 3);
    CHECK(read->replays_billed);
    json written;
    ports::put_price_terms(*read, written);
    CHECK(written == long_form());
    const json plain = json::parse(R"({"price": {"currency": "JPY", "perEvent": "0.5", "perMb": "0"}})");
    json again;
    ports::put_price_terms(*ports::price_terms_from(plain), again);
    CHECK(again == plain);
    CHECK_FALSE(ports::price_terms_from(plain)->replays_billed);
    CHECK_FALSE(
        ports::price_terms_from(json::parse(R"({"price": {"currency": "JPY", "perEvent": "0", "perMb": "0", "replays": "free"}})"))->replays_billed);
    // A charge of megabytes only is not the short form, and stays what it is.
    const json one = json::parse(R"({"price": {"currency": "EUR", "charges": [{"metric": "megabytes", "model": "flat", "unitPrice": "1"}]}})");
    json same;
    ports::put_price_terms(*ports::price_terms_from(one), same);
    CHECK(same == one);
    CHECK(mistake(json::parse(R"({"price": {"currency": "EUR", "charges": [], "minimum": "99.90"}})")) == "none");
}

TEST_CASE("price documents: the example of docs/finance.md, to the cent") {
    auto terms = ports::price_terms_from(long_form());
    REQUIRE(terms.ok());
    ports::Contract c;
    c.name = "berlin-lab";
    c.prices = std::move(terms->prices);
    c.valid_from = *parse_rfc3339("2027-01-16T00:00:00Z");
    const std::vector<app::ContractUsage> usage{{"newsroom", "eu", "2027-01-20", "", 1'000'000, 3'000'000'000, 600},
                                                {"newsroom", "eu", "2027-01-21", "", 200'000, 500'000'000, 100}};
    const auto bill = app::bill_contract({c, "DE", "eu", "2027-01", true}, usage);
    REQUIRE(bill.ok());
    REQUIRE(bill->lines.size() == 3);
    CHECK(bill->lines[0].amount.plus(bill->lines[1].amount)->text(2) == "834.63");
    CHECK(bill->lines[2].amount.text(2) == "-83.46");
    CHECK(bill->total.text(2) == "751.17");
}

TEST_CASE("price documents: every mistake is refused where it is") {
    CHECK(mistake(json::object()) == "/price");
    CHECK(mistake(json::array()) == "/price");
    CHECK(refused("/price", "free") == "/price");
    CHECK(refused("/price/currency", nullptr) == "/price/currency");
    CHECK(refused("/price/currency", "XXX") == "/price/currency");
    CHECK(refused("/price/currency", "eur") == "/price/currency");
    CHECK(refused("/price/colour", "red") == "/price/colour");
    CHECK(refused("/price/perEvent", "1") == "/price/perEvent");  // of the other form
    CHECK(refused("/price/from", "2027-01-01") == "/price/from");
    CHECK(refused("/price/replays", "sometimes") == "/price/replays");
    CHECK(refused("/price/replays", true) == "/price/replays");
    CHECK(refused("/price/discountPercent", "100.00000000000001") == "/price/discountPercent");
    CHECK(refused("/price/discountPercent", "100") == "none");
    CHECK(refused("/price/discountPercent", "-1") == "/price/discountPercent");
    CHECK(refused("/price/minimum", 5) == "/price/minimum");
    CHECK(refused("/price/cap", "149.99") == "/price/cap");
    CHECK(refused("/price/cap", "150") == "none");
    CHECK(refused("/price/charges", "none") == "/price/charges");
    CHECK(refused("/price/charges/0", "none") == "/price/charges/0");
    CHECK(refused("/price/charges/0/metric", "seconds") == "/price/charges/0/metric");
    CHECK(refused("/price/charges/0/metric", nullptr) == "/price/charges/0/metric");
    CHECK(refused("/price/charges/0/model", "stairs") == "/price/charges/0/model");
    CHECK(refused("/price/charges/0/model", "flat") == "/price/charges/0/tiers");
    CHECK(refused("/price/charges/0/model", "package") == "/price/charges/0/tiers");
    CHECK(refused("/price/charges/0/included", "-1") == "/price/charges/0/included");
    CHECK(refused("/price/charges/0/tiers", nullptr) == "/price/charges/0/tiers");
    CHECK(refused("/price/charges/0/tiers", json::array()) == "/price/charges/0/tiers");
    CHECK(refused("/price/charges/0/tiers/0/upTo", nullptr) == "/price/charges/0/tiers/0/upTo");
    CHECK(refused("/price/charges/0/tiers/0/upTo", "0") == "/price/charges/0/tiers/0/upTo");
    CHECK(refused("/price/charges/0/tiers/1/upTo", "2000000") == "/price/charges/0/tiers/1/upTo");
    CHECK(refused("/price/charges/0/tiers/0/unitPrice", nullptr) == "/price/charges/0/tiers/0/unitPrice");
    CHECK(refused("/price/charges/0/tiers/0/flatFee", "1e3") == "/price/charges/0/tiers/0/flatFee");
    CHECK(refused("/price/charges/0/tiers/0/fee", "1") == "/price/charges/0/tiers/0/fee");
    CHECK(refused("/price/charges/0/tiers/0", 1) == "/price/charges/0/tiers/0");
    CHECK(refused("/price/charges/1/unitPrice", "0.123456789") == "/price/charges/1/unitPrice");  // a megabyte has 8 digits
    CHECK(refused("/price/charges/1/unitPrice", "0.12345678") == "none");
    CHECK(refused("/price/charges/1/unit~1price", "1") == "/price/charges/1/unit~1price");
    CHECK(refused("/priceChanges", 1) == "/priceChanges");
    CHECK(refused("/priceChanges/0", 1) == "/priceChanges/0");
    CHECK(refused("/priceChanges/0/from", nullptr) == "/priceChanges/0/from");
    CHECK(refused("/priceChanges/0/from", "2027-02-29") == "/priceChanges/0/from");
    CHECK(refused("/priceChanges/0/from", "2027-7-1") == "/priceChanges/0/from");
    CHECK(refused("/priceChanges/1/from", "2027-07-01") == "/priceChanges/1/from");
    CHECK(refused("/priceChanges/1/currency", "USD") == "/priceChanges/1/currency");
    CHECK(refused("/priceChanges/1/replays", "free") == "/priceChanges/1/replays");
    CHECK(refused("/priceChanges/0/charges/0/packageSize", "0") == "/priceChanges/0/charges/0/packageSize");
    CHECK(refused("/priceChanges/0/charges/0/packagePrice", nullptr) == "/priceChanges/0/charges/0/packagePrice");
}

TEST_CASE("price documents: no more charges, tiers and changes than the limits say") {
    json c = long_form();
    const json flat = c["price"]["charges"][1];
    while (c["price"]["charges"].size() < 16) c["price"]["charges"].push_back(flat);
    CHECK(mistake(c) == "none");
    c["price"]["charges"].push_back(flat);
    CHECK(mistake(c) == "/price/charges");
    c = long_form();
    auto& tiers = c["price"]["charges"][0]["tiers"];
    tiers = json::array();
    for (int i = 1; i < 64; ++i) tiers.push_back({{"upTo", std::to_string(i)}, {"unitPrice", "1"}});
    tiers.push_back({{"unitPrice", "1"}});
    CHECK(mistake(c) == "none");
    tiers.insert(tiers.begin(), {{"upTo", "0.5"}, {"unitPrice", "1"}});
    CHECK(mistake(c) == "/price/charges/0/tiers");
    c = long_form();
    c["priceChanges"] = json::array();
    const auto change = [](int i) {
        const std::string day = std::to_string(i % 28 + 101).substr(1), month = std::to_string(i / 28 + 101).substr(1);
        return json{{"from", "2030-" + month + "-" + day}, {"currency", "EUR"}, {"perEvent", "0"}, {"perMb", "0"}};
    };
    for (int i = 0; i < 240; ++i) c["priceChanges"].push_back(change(i));
    CHECK(mistake(c) == "none");
    c["priceChanges"].push_back(change(240));
    CHECK(mistake(c) == "/priceChanges");
}
