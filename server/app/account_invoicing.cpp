#include "server/app/account_invoicing.h"

#include "server/app/statement_documents.h"

namespace licet::app {

Result<ports::Invoicing> account_invoicing(ports::BookedUsage& ledger, const ports::InvoicingConfig& config, const ports::Account& account,
                                           const std::set<std::string>& corrected) {
    const auto configured = [&](const std::string& month) { return ports::tax_terms(config, account.party, account.party_country, month); };
    ports::Invoicing out;
    out.issuer = config;
    if (const auto id = config.buyer_vat_ids.find(account.party); id != config.buyer_vat_ids.end()) out.buyer_vat_id = id->second;
    out.taxes.push_back({account.period, configured(account.period), 0});
    for (const auto& month : corrected) {
        if (month == account.period) continue;
        ports::TaxOf tax{month, std::nullopt, 0};
        const auto stated = ledger.statement_of(month, account.contract);
        if (!stated) return stated.error();
        if (stated->has_value()) {
            tax.corrects = (*stated)->number;
            const auto then = stated_account((*stated)->document);
            if (!then) return then.error();
            if (then->invoicing)
                for (const auto& said : then->invoicing->taxes)
                    if (said.month == month) tax.terms = said.terms;
        }
        if (!tax.terms) tax.terms = configured(month);
        out.taxes.push_back(std::move(tax));
    }
    return out;
}

void keep_invoicing_of(const ports::StatementRow& corrected, ports::Account& account) {
    if (!account.invoicing) return;
    auto& taxes = account.invoicing->taxes;
    std::erase_if(taxes, [&](const ports::TaxOf& tax) { return tax.month != corrected.period; });
    for (auto& tax : taxes) tax.corrects = corrected.number;
}

void Unrated::add(const std::string& contract, const Error& why) { gaps_.push_back({{"contract", contract}, {"reason", why.detail}}); }

Status Unrated::status() const {
    if (gaps_.empty()) return success();
    Error error(Errc::period_open, gaps_.front()["contract"].get<std::string>() + " cannot be rated: " + gaps_.front()["reason"].get<std::string>(),
                {});
    if (gaps_.size() > 1) error.detail += ", and " + std::to_string(gaps_.size() - 1) + " more contracts cannot";
    error.members = nlohmann::json{{"gaps", gaps_}, {"earlier", nlohmann::json::array()}}.dump();
    return error;
}

}  // namespace licet::app
