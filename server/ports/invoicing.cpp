#include "server/ports/invoicing.h"

#include <nlohmann/json.hpp>

namespace licet::ports {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

TaxOf tax_from(const json& in) {
    TaxOf out;
    if (!in.is_object()) return out;
    out.month = text_of(in, "chargePeriod");
    if (in.contains("category")) out.terms = TaxTerms{text_of(in, "category"), text_of(in, "rate"), text_of(in, "reason")};
    if (const auto at = in.find("corrects"); at != in.end() && at->is_number_unsigned()) out.corrects = at->get<std::uint64_t>();
    return out;
}

}  // namespace

std::optional<TaxTerms> tax_terms(const InvoicingConfig& config, std::string_view party, std::string_view country, std::string_view month) {
    const auto latest = [&](std::string_view buyers) {
        const InvoicingConfig::Tax* out = nullptr;
        for (const auto& tax : config.tax)
            if (tax.buyers == buyers && tax.from <= month && (out == nullptr || tax.from > out->from)) out = &tax;
        return out;
    };
    const auto* tax = latest(party);
    if (tax == nullptr && !country.empty() && country == config.country) tax = latest(country);
    if (tax == nullptr) return std::nullopt;
    return TaxTerms{tax->category, tax->rate, tax->reason};
}

void add_invoicing_json(const Invoicing& invoicing, json& document) {
    const auto& i = invoicing.issuer;
    document["issuer"] = {{"name", i.name},    {"address", i.address},           {"country", i.country},
                          {"vatId", i.vat_id}, {"registration", i.registration}, {"paymentTerms", i.payment_terms}};
    document["buyer"] = {{"vatId", invoicing.buyer_vat_id}};
    json taxes = json::array();
    for (const auto& tax : invoicing.taxes) {
        json one{{"chargePeriod", tax.month}};
        if (tax.terms) one.update({{"category", tax.terms->category}, {"rate", tax.terms->rate}, {"reason", tax.terms->reason}});
        if (tax.corrects != 0) one["corrects"] = tax.corrects;
        taxes.push_back(std::move(one));
    }
    document["tax"] = std::move(taxes);
}

std::optional<Invoicing> invoicing_from(const json& document) {
    const auto issuer = document.find("issuer"), tax = document.find("tax");
    if (issuer == document.end() || !issuer->is_object() || tax == document.end() || !tax->is_array()) return std::nullopt;
    Invoicing out;
    out.issuer.name = text_of(*issuer, "name");
    if (const auto lines = issuer->find("address"); lines != issuer->end() && lines->is_array())
        for (const auto& line : *lines)
            if (line.is_string()) out.issuer.address.push_back(line.get<std::string>());
    out.issuer.country = text_of(*issuer, "country");
    out.issuer.vat_id = text_of(*issuer, "vatId");
    out.issuer.registration = text_of(*issuer, "registration");
    out.issuer.payment_terms = text_of(*issuer, "paymentTerms");
    if (const auto buyer = document.find("buyer"); buyer != document.end() && buyer->is_object()) out.buyer_vat_id = text_of(*buyer, "vatId");
    for (const auto& one : *tax) out.taxes.push_back(tax_from(one));
    return out;
}

}  // namespace licet::ports
