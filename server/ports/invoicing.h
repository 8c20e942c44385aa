// Who bills, and what tax: as configured, and as a statement has it once and for all. Configured by server/main, written into statements by
// server/app, printed by server/exports. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace licet::ports {

// What is empty is stated as missing, never made up.
struct Issuer {
    std::string name;
    std::vector<std::string> address;
    std::string country, vat_id, registration, payment_terms;
    bool operator==(const Issuer&) const = default;
};

// A VAT category (UNCL 5305), its rate in percent as decimal text, and why none is charged.
struct TaxTerms {
    std::string category, rate, reason;
    bool operator==(const TaxTerms&) const = default;
};

// What usage of a month is taxed as.
struct TaxOf {
    std::string month;              // YYYY-MM
    std::optional<TaxTerms> terms;  // nullopt: nobody said
    std::uint64_t corrects = 0;     // number of the statement of that month, where lines put it right; 0: there was none, or it is this one
    bool operator==(const TaxOf&) const = default;
};

// Of one account: its own month first, then those its corrections are of.
struct Invoicing {
    Issuer issuer;
    std::string buyer_vat_id;
    std::vector<TaxOf> taxes;
    bool operator==(const Invoicing&) const = default;
};

// As configured, now.
struct InvoicingConfig : Issuer {
    // From a month on, until there are later terms of the same buyers: of a party by its name, or of all of the issuer's own country.
    struct Tax {
        std::string from, buyers, category, rate, reason;
    };
    std::vector<Tax> tax;
    std::map<std::string, std::string> buyer_vat_ids;  // by party
};

// For usage of a month (YYYY-MM). What is said of the party holds before what is said of its country, and of a country only the issuer's own is
// asked: what a buyer abroad is charged depends on who it is. Nullopt: nobody said.
[[nodiscard]] std::optional<TaxTerms> tax_terms(const InvoicingConfig& config, std::string_view party, std::string_view country,
                                                std::string_view month);

// As it stands in a statement: members `issuer`, `buyer` and `tax`.
void add_invoicing_json(const Invoicing& invoicing, nlohmann::json& document);
// Nullopt: the document says nothing of it.
[[nodiscard]] std::optional<Invoicing> invoicing_from(const nlohmann::json& document);

}  // namespace licet::ports
