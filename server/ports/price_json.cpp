#include "server/ports/price_json.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "base/time.h"
#include "base/usage_limits.h"

namespace licet::ports {
namespace {

using metering::Charge;
using metering::ChargeModel;
using metering::Decimal;
using metering::Metric;
using metering::Price;
using metering::Tier;
using nlohmann::json;

constexpr std::size_t kUnitPlaces = 14, kVolumePlaces = 8;  // of a price per unit; of one per megabyte, which is a price per byte with six more

// The first mistake wins; what is read after it does not matter.
class Reader {
  public:
    std::optional<Error> error;

    void fail(const std::string& at, std::string what) {
        if (!error) error = Error{Errc::invalid_document, std::move(what), at};
    }
    // Whether `value` is an object of no other members than these.
    bool object(const json& value, const std::string& at, std::initializer_list<std::string_view> members) {
        if (!value.is_object()) return fail(at, "expected an object"), false;
        for (const auto& [name, ignored] : value.items())
            if (std::find(members.begin(), members.end(), name) == members.end())
                return fail((json::json_pointer(at) / name).to_string(), "is not a member of this object"), false;
        return true;
    }
    Decimal amount(const json& in, const std::string& at, const char* key, std::size_t places = kUnitPlaces) {
        const std::string text = in.contains(key) && in[key].is_string() ? in[key].get<std::string>() : "";
        const auto value = Decimal::parse(text);
        const auto point = text.find('.');
        if (!value || value->negative() || (point != std::string::npos && text.size() - point - 1 > places)) {
            fail(at + "/" + key, "expected a decimal string that is not negative, with at most " + std::to_string(places) + " decimals");
            return {};
        }
        return *value;
    }
    Decimal amount_or_zero(const json& in, const std::string& at, const char* key, std::size_t places = kUnitPlaces) {
        return in.contains(key) ? amount(in, at, key, places) : Decimal{};
    }
    const json& list(const json& in, const std::string& at, const char* key, std::size_t most) {
        static const json none = json::array();
        if (!in.contains(key)) return none;
        if (in[key].is_array() && in[key].size() <= most) return in[key];
        fail(at + "/" + key, "expected a list of at most " + std::to_string(most));
        return none;
    }
};

std::vector<Tier> tiers_of(Reader& r, const json& charge, const std::string& at, std::size_t places) {
    std::vector<Tier> out;
    const auto& list = r.list(charge, at, "tiers", limits::price_tiers_max);
    for (std::size_t i = 0; i < list.size() && !r.error; ++i) {
        const std::string here = at + "/tiers/" + std::to_string(i);
        if (!r.object(list[i], here, {"upTo", "unitPrice", "flatFee"})) break;
        const bool last = i + 1 == list.size();
        if (last == list[i].contains("upTo"))
            r.fail(here + "/upTo", last ? "the last tier has no end" : "is required: only the last tier has no end");
        Tier tier{std::nullopt, r.amount(list[i], here, "unitPrice", places), r.amount_or_zero(list[i], here, "flatFee")};
        if (!last) {
            tier.up_to = r.amount(list[i], here, "upTo");
            if (*tier.up_to <= (out.empty() ? Decimal{} : *out.back().up_to)) r.fail(here + "/upTo", "expected more than the tier before");
        }
        out.push_back(tier);
    }
    if (out.empty()) r.fail(at + "/tiers", "at least one tier is required");
    return out;
}

Charge charge_of(Reader& r, const json& in, const std::string& at) {
    Charge out;
    const auto named = [&](const char* key) { return in.is_object() && in.contains(key) && in[key].is_string() ? in[key].get<std::string>() : ""; };
    const auto metric = metering::parse_metric(named("metric"));
    const auto model = metering::parse_charge_model(named("model"));
    if (!in.is_object()) return r.fail(at, "expected an object"), out;
    if (!metric) return r.fail(at + "/metric", "expected events, megabytes or minutes"), out;
    if (!model) return r.fail(at + "/model", "expected flat, graduated, volume or package"), out;
    out.metric = *metric;
    out.model = *model;
    const std::size_t places = *metric == Metric::megabytes ? kVolumePlaces : kUnitPlaces;
    out.included = r.amount_or_zero(in, at, "included");
    switch (*model) {
        case ChargeModel::flat:
            if (r.object(in, at, {"metric", "model", "included", "unitPrice"}))
                out.tiers = {{std::nullopt, r.amount(in, at, "unitPrice", places), {}}};
            break;
        case ChargeModel::graduated:
        case ChargeModel::volume:
            if (r.object(in, at, {"metric", "model", "included", "tiers"})) out.tiers = tiers_of(r, in, at, places);
            break;
        case ChargeModel::package:
            if (!r.object(in, at, {"metric", "model", "included", "packageSize", "packagePrice"})) break;
            out.package_size = r.amount(in, at, "packageSize");
            out.package_price = r.amount(in, at, "packagePrice");
            if (!r.error && out.package_size == Decimal{}) r.fail(at + "/packageSize", "expected more than 0");
    }
    return out;
}

Price price_of(Reader& r, const json& in, const std::string& at) {
    Price out;
    if (!in.is_object()) return r.fail(at, "is required: {currency, perEvent, perMb} or {currency, charges}"), out;
    out.currency = in.contains("currency") && in["currency"].is_string() ? in["currency"].get<std::string>() : "";
    if (!metering::currency_exponent(out.currency)) return r.fail(at + "/currency", "expected an ISO 4217 code"), out;
    if (!in.contains("charges")) {
        if (r.object(in, at, {"from", "replays", "currency", "perEvent", "perMb"}))
            out = metering::flat_price(out.currency, r.amount(in, at, "perEvent"), r.amount(in, at, "perMb", kVolumePlaces));
        return out;
    }
    if (!r.object(in, at, {"from", "replays", "currency", "charges", "discountPercent", "minimum", "cap"})) return out;
    const auto& charges = r.list(in, at, "charges", limits::price_charges_max);
    for (std::size_t i = 0; i < charges.size() && !r.error; ++i)
        out.charges.push_back(charge_of(r, charges[i], at + "/charges/" + std::to_string(i)));
    out.discount_percent = r.amount_or_zero(in, at, "discountPercent");
    if (out.discount_percent > Decimal::of(100)) r.fail(at + "/discountPercent", "expected at most 100");
    if (in.contains("minimum")) out.minimum = r.amount(in, at, "minimum");
    if (in.contains("cap")) out.cap = r.amount(in, at, "cap");
    if (out.minimum && out.cap && *out.cap < *out.minimum) r.fail(at + "/cap", "is less than the minimum");
    return out;
}

bool replays_billed(Reader& r, const json& price) {
    if (!price.is_object() || !price.contains("replays")) return false;
    const json& replays = price["replays"];
    if (replays != "free" && replays != "billed") r.fail("/price/replays", "expected free or billed");
    return replays == "billed";
}

std::optional<metering::DatedPrice> change_of(Reader& r, const json& in, const std::string& at, const metering::DatedPrice& before) {
    metering::DatedPrice out{"", price_of(r, in, at)};
    if (r.error) return std::nullopt;
    if (in.contains("from") && in["from"].is_string()) out.from = in["from"];
    if (out.from.size() != 10 || !parse_date(out.from))
        r.fail(at + "/from", "expected a date, YYYY-MM-DD");
    else if (out.from <= before.from)
        r.fail(at + "/from", "expected a later day than the price before");
    if (out.price.currency != before.price.currency) r.fail(at + "/currency", "a contract has one currency");
    if (in.contains("replays")) r.fail(at + "/replays", "is the same for all prices of a contract: it is said in price");
    return out;
}

bool is_flat(const Charge& c, Metric metric) { return c.metric == metric && c.model == ChargeModel::flat && c.included == Decimal{}; }

json to_json(const Charge& c) {
    json out{{"metric", metering::metric_name(c.metric)}, {"model", metering::charge_model_name(c.model)}};
    if (c.included != Decimal{}) out["included"] = c.included.shortest();
    if (c.model == ChargeModel::flat) {
        out["unitPrice"] = c.tiers[0].unit_price.shortest();
    } else if (c.model == ChargeModel::package) {
        out["packageSize"] = c.package_size.shortest();
        out["packagePrice"] = c.package_price.shortest();
    } else {
        out["tiers"] = json::array();
        for (const auto& t : c.tiers) {
            json tier{{"unitPrice", t.unit_price.shortest()}};
            if (t.up_to) tier["upTo"] = t.up_to->shortest();
            if (t.flat_fee != Decimal{}) tier["flatFee"] = t.flat_fee.shortest();
            out["tiers"].push_back(std::move(tier));
        }
    }
    return out;
}

json to_json(const Price& p) {
    json out{{"currency", p.currency}};
    const bool plain = p.discount_percent == Decimal{} && !p.minimum && !p.cap && p.charges.size() == 2;
    if (plain && is_flat(p.charges[0], Metric::events) && is_flat(p.charges[1], Metric::megabytes)) {
        out["perEvent"] = p.charges[0].tiers[0].unit_price.shortest();
        out["perMb"] = p.charges[1].tiers[0].unit_price.shortest();
        return out;
    }
    out["charges"] = json::array();
    for (const auto& c : p.charges) out["charges"].push_back(to_json(c));
    if (p.discount_percent != Decimal{}) out["discountPercent"] = p.discount_percent.shortest();
    if (p.minimum) out["minimum"] = p.minimum->shortest();
    if (p.cap) out["cap"] = p.cap->shortest();
    return out;
}

}  // namespace

Result<PriceTerms> price_terms_from(const json& contract) {
    Reader r;
    PriceTerms out;
    const json price = contract.is_object() && contract.contains("price") ? contract["price"] : json();
    out.prices.push_back({"", price_of(r, price, "/price")});
    if (price.is_object() && price.contains("from")) r.fail("/price/from", "is for later prices: this one is the price from the beginning");
    out.replays_billed = replays_billed(r, price);
    const auto& changes = r.list(contract, "", "priceChanges", limits::price_changes_max);
    for (std::size_t i = 0; i < changes.size() && !r.error; ++i)
        if (auto change = change_of(r, changes[i], "/priceChanges/" + std::to_string(i), out.prices.back())) out.prices.push_back(*std::move(change));
    if (r.error) return *r.error;
    return out;
}

void put_price_terms(const PriceTerms& terms, json& contract) {
    if (terms.prices.empty()) return;
    contract["price"] = to_json(terms.prices.front().price);
    if (terms.replays_billed) contract["price"]["replays"] = "billed";
    for (std::size_t i = 1; i < terms.prices.size(); ++i) {
        json change = to_json(terms.prices[i].price);
        change["from"] = terms.prices[i].from;
        contract["priceChanges"].push_back(std::move(change));
    }
}

}  // namespace licet::ports
