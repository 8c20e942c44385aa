#include "server/app/snapshot.h"

#include <algorithm>

namespace licet::app {
namespace {

template <class Map, class Key>
const typename Map::mapped_type* find_in(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

}  // namespace

const ProductEntry* Snapshot::product(std::string_view name) const {
    const auto* p = find_in(products_, std::string(name));
    return p == nullptr ? nullptr : p->get();
}
const ProductEntry* Snapshot::product(ProductNo no) const {
    const auto* p = find_in(products_by_no_, no);
    return p == nullptr ? nullptr : p->get();
}
const ports::Party* Snapshot::party(std::string_view name) const { return find_in(parties_, std::string(name)); }
bool Snapshot::knows_collection(std::string_view name) const {
    return std::any_of(parties_.begin(), parties_.end(), [&](const auto& entry) {
        const auto& collections = entry.second.collections;
        return std::find(collections.begin(), collections.end(), name) != collections.end();
    });
}
const ports::Contract* Snapshot::contract(std::string_view name) const {
    const auto* c = find_in(contracts_, std::string(name));
    return c == nullptr ? nullptr : c->get();
}
const ports::Contract* Snapshot::contract(ContractNo no) const {
    const auto* c = find_in(contracts_by_no_, no);
    return c == nullptr ? nullptr : c->get();
}
std::vector<const ProductEntry*> Snapshot::all_products() const {
    std::vector<const ProductEntry*> out;
    for (const auto& [name, entry] : products_) out.push_back(entry.get());
    std::sort(out.begin(), out.end(), [](const ProductEntry* a, const ProductEntry* b) { return a->product.name < b->product.name; });
    return out;
}
std::vector<const ports::Contract*> Snapshot::all_contracts() const {
    std::vector<const ports::Contract*> out;
    for (const auto& [name, contract] : contracts_) out.push_back(contract.get());
    std::sort(out.begin(), out.end(), [](const ports::Contract* a, const ports::Contract* b) { return a->name < b->name; });
    return out;
}
std::vector<std::string> Snapshot::contracts_on(std::string_view product) const {
    std::vector<std::string> out;
    for (const auto& [name, contract] : contracts_)
        if (std::find(contract->products.begin(), contract->products.end(), product) != contract->products.end()) out.push_back(name);
    std::sort(out.begin(), out.end());
    return out;
}
const ports::Client* Snapshot::client(std::string_view id) const { return find_in(clients_, std::string(id)); }
bool Snapshot::knows_recipient(policy::RecipientNo no) const {
    return no == 0 || std::binary_search(consent_recipients_.begin(), consent_recipients_.end(), ports::ConsentRecipient{no, {}},
                                         [](const auto& a, const auto& b) { return a.no < b.no; });
}
const ports::Region* Snapshot::region_named(std::string_view name) const {
    const auto at = std::find_if(regions_.begin(), regions_.end(), [&](const ports::Region& r) { return r.name == name; });
    return at == regions_.end() ? nullptr : &*at;
}

Result<const ports::Contract*> Snapshot::contract_for(std::string_view party, std::string_view product, std::string_view chosen,
                                                      UtcMillis now) const {
    const ports::Contract* found = nullptr;
    for (const auto& [name, contract] : contracts_) {
        const bool in_force = contract->state == ports::ContractState::active && contract->valid_from <= now &&
                              (contract->valid_until.value == 0 || now < contract->valid_until);
        const bool names_it = std::find(contract->products.begin(), contract->products.end(), product) != contract->products.end();
        if (!in_force || contract->party != party || !names_it || (!chosen.empty() && chosen != name)) continue;
        if (found != nullptr) return Error{Errc::invalid_parameter, "several contracts are in force for this product: name one", "query:contract"};
        found = contract.get();
    }
    if (found == nullptr)
        return Error{Errc::no_contract, "no contract in force between this client's party and the product's owner names the product", {}};
    return found;
}

Result<std::shared_ptr<const policy::Program>> Snapshot::program(ContractNo contract, ProductNo product) const {
    const auto* found = find_in(programs_, program_key(contract, product));
    if (found == nullptr) return Error{Errc::no_contract, "the contract does not name the product", {}};
    return (*found)->program;
}

Result<Rights> Snapshot::rights(ContractNo contract, ProductNo product) const {
    auto found = program(contract, product);
    if (!found) return found.error();
    return Rights{*std::move(found), programs_.at(program_key(contract, product))->shadow};
}

std::shared_ptr<const Snapshot> at_epoch(const Snapshot& snapshot, GovernanceEpoch epoch) {
    auto out = std::make_shared<Snapshot>(snapshot);
    out->epoch = epoch;
    return out;
}

policy::Entitlement entitlement_of(const ports::Contract& contract, const ports::Party& party, const std::string& product,
                                   std::span<const ports::ConsentRecipient> recipients) {
    policy::Entitlement out{product,
                            contract.name,
                            party.name,
                            party.collections,
                            party.country,
                            contract.purposes,
                            contract.transfer_tools,
                            party.adequacy_schemes,
                            contract.pseudonym_scope};
    for (const auto& recipient : recipients) {
        const bool named = recipient.name == "party:" + party.name ||
                           std::any_of(party.collections.begin(), party.collections.end(),
                                       [&](const std::string& collection) { return recipient.name == "category:" + collection; });
        if (named) out.consent_recipients.push_back(recipient.no);
    }
    return out;
}

}  // namespace licet::app
