// What is billed to whom, gathered, and kept as text with the cut of a period.
#include "server/app/period_accounts.h"
#include "server/app/statement_documents.h"
#include "server/ports/catalog_json.h"

namespace licet::app {

using nlohmann::json;

namespace {

std::string member(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

json invoicing_json(const ports::InvoicingConfig& config) {
    json tax = json::array();
    for (const auto& t : config.tax)
        tax.push_back({{"from", t.from}, {"buyers", t.buyers}, {"category", t.category}, {"rate", t.rate}, {"reason", t.reason}});
    return {{"name", config.name},    {"address", config.address},           {"country", config.country},
            {"vatId", config.vat_id}, {"registration", config.registration}, {"paymentTerms", config.payment_terms},
            {"tax", std::move(tax)},  {"buyerVatIds", config.buyer_vat_ids}};
}

// What invoicing_json wrote.
ports::InvoicingConfig invoicing_from(const json& in) {
    ports::InvoicingConfig out;
    if (!in.is_object()) return out;
    out.name = member(in, "name");
    const json lines = in.value("address", json::array()), taxes = in.value("tax", json::array()), buyers = in.value("buyerVatIds", json::object());
    for (const auto& line : lines)
        if (line.is_string()) out.address.push_back(line.get<std::string>());
    out.country = member(in, "country");
    out.vat_id = member(in, "vatId");
    out.registration = member(in, "registration");
    out.payment_terms = member(in, "paymentTerms");
    for (const auto& t : taxes)
        if (t.is_object()) out.tax.push_back({member(t, "from"), member(t, "buyers"), member(t, "category"), member(t, "rate"), member(t, "reason")});
    for (const auto& [party, id] : buyers.items())
        if (id.is_string()) out.buyer_vat_ids.emplace(party, id.get<std::string>());
    return out;
}

}  // namespace

BillingTerms terms_of(const Snapshot& snapshot) {
    BillingTerms out;
    for (const auto* contract : snapshot.all_contracts()) {
        out.contracts.emplace(contract->no, *contract);
        if (const auto* party = snapshot.party(contract->party)) out.parties.emplace(party->name, *party);
    }
    for (const auto* product : snapshot.all_products()) out.products.emplace(product->product.no, product->product.name);
    return out;
}

BillingTerms terms_of(const ports::Configuration& configuration) {
    BillingTerms out;
    for (const auto& contract : configuration.contracts) out.contracts.emplace(contract.no, contract);
    for (const auto& party : configuration.parties) out.parties.emplace(party.name, party);
    for (const auto& product : configuration.products) out.products.emplace(product.no, product.name);
    return out;
}

std::string terms_text(const BillingTerms& terms) {
    std::string out;
    const auto line = [&](const json& object) { out += canonical(object) + "\n"; };
    for (const auto& [no, contract] : terms.contracts) line({{"contract", contract.name}, {"no", no.value}, {"terms", ports::to_json(contract)}});
    for (const auto& [name, party] : terms.parties) line({{"party", name}, {"title", party.title}, {"country", party.country}});
    for (const auto& [no, name] : terms.products) line({{"product", name}, {"no", no.value}});
    if (terms.invoicing) line({{"invoicing", invoicing_json(*terms.invoicing)}});
    return out;
}

Result<BillingTerms> parse_terms(const std::string& text) {
    BillingTerms out;
    for (std::size_t from = 0; from < text.size();) {
        const auto end = std::min(text.find('\n', from), text.size());
        const json line =
            json::parse(text.begin() + static_cast<std::ptrdiff_t>(from), text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
        from = end + 1;
        const auto text_of = [&](const char* key) {
            return line.is_object() && line.contains(key) && line[key].is_string() ? line[key].get<std::string>() : "";
        };
        const auto no = line.is_object() ? line.value("no", json()) : json();
        if (const auto contract = text_of("contract"); !contract.empty() && no.is_number_unsigned()) {
            auto read = ports::contract_from(contract, line.value("terms", json::object()));
            read.no = {no.get<std::uint32_t>()};
            out.contracts.emplace(read.no, std::move(read));
        } else if (const auto party = text_of("party"); !party.empty()) {
            out.parties.emplace(party, ports::Party{party, text_of("title"), text_of("country"), {}, {}});
        } else if (const auto product = text_of("product"); !product.empty() && no.is_number_unsigned()) {
            out.products.emplace(ProductNo{no.get<std::uint32_t>()}, product);
        } else if (line.is_object() && line.contains("invoicing")) {
            out.invoicing = std::make_shared<const ports::InvoicingConfig>(invoicing_from(line["invoicing"]));
        } else {
            return Error{Errc::corrupt, "the terms of the period cannot be read", {}};
        }
    }
    return out;
}

}  // namespace licet::app
