#include "server/app/contract_bills.h"

#include <map>

namespace licet::app {
namespace {

Error unknown_usage(ContractNo contract, ProductNo product) {
    return {Errc::internal,
            "the ledger holds usage of contract number " + std::to_string(contract.value) + " on product number " + std::to_string(product.value) +
                ", which the catalog does not hold",
            {}};
}

}  // namespace

ContractUsage contract_usage(const ports::UsageTotal& total, const std::string& product) {
    return {product, total.region, total.day, total.view, total.events + total.replayed_events, total.bytes + total.replayed_bytes, total.minutes};
}

Result<std::vector<ContractBill>> bill_contracts(const Snapshot& snapshot, const BillsWanted& wanted, const std::vector<ports::UsageTotal>& totals) {
    std::map<std::string, std::vector<ContractUsage>, std::less<>> usage;
    for (const auto& total : totals) {
        const auto* contract = snapshot.contract(total.contract);
        if (!wanted.party.empty() && (contract == nullptr || contract->party != wanted.party)) continue;
        const auto* product = snapshot.product(total.product);
        if (contract == nullptr || product == nullptr) return unknown_usage(total.contract, total.product);
        usage[contract->name].push_back(contract_usage(total, product->product.name));
    }
    std::vector<ContractBill> out;
    for (const auto* contract : snapshot.all_contracts()) {
        if (!wanted.party.empty() && contract->party != wanted.party) continue;
        const auto* party = snapshot.party(contract->party);
        auto bill =
            bill_contract({*contract, party == nullptr ? "" : party->country, wanted.region, wanted.period, wanted.finished}, usage[contract->name]);
        if (!bill) return bill.error();
        out.push_back(*std::move(bill));
    }
    return out;
}

}  // namespace licet::app
