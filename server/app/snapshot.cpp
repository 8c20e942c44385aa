#include "server/app/snapshot.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/app/licences.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

template <class Map, class Key>
const typename Map::mapped_type* find_in(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? nullptr : &at->second;
}

// Revision: versions only grow, so their sum moves with every change.
std::shared_ptr<const policy::Vocabulary> with_own(const std::shared_ptr<const policy::Vocabulary>& tables,
                                                   const std::vector<ports::Licence>& licences) {
    if (licences.empty()) return tables;
    std::vector<policy::OwnLicence> own;
    std::uint64_t revision = 0;
    for (const auto& l : licences) {
        revision += l.version;
        auto read = own_licence(l);
        if (read) {
            own.push_back(*std::move(read));
            continue;
        }
        // Written by a later version of this program, it may say what this one does not know: its events are withheld.
        log::error("governance.licence_unreadable", {{"licence", l.name}, {"version", l.version}});
    }
    return policy::with_licences(tables, std::move(own), revision);
}

std::uint64_t program_key(ContractNo contract, ProductNo product) { return std::uint64_t{contract.value} << 32 | product.value; }

}  // namespace

class SnapshotBuilder {
  public:
    SnapshotBuilder(const ports::Configuration& configuration, const std::shared_ptr<const policy::Vocabulary>& vocabulary)
        : configuration_(configuration), vocabulary_(with_own(vocabulary, configuration.licences)), out_(std::make_shared<Snapshot>()) {}

    std::shared_ptr<const Snapshot> build(std::string region, std::shared_ptr<policy::ConsentIndex> consents) {
        out_->epoch = configuration_.epochs.sum();
        out_->global_epoch = configuration_.epochs.global;
        out_->region = std::move(region);
        out_->consents = std::move(consents);
        out_->regions_ = configuration_.regions;
        out_->vocabulary_ = vocabulary_;
        for (const auto& p : configuration_.parties) out_->parties_.emplace(p.name, p);
        for (const auto& c : configuration_.clients) out_->clients_.emplace(c.id, c);
        for (const auto& p : configuration_.products) add_product(p);
        for (const auto& p : configuration_.active_policies) add_policy(p);
        add_shadow();
        for (const auto& c : configuration_.contracts) add_contract(c);
        return out_;
    }

  private:
    void add_product(const ports::Product& product) {
        auto entry = std::make_shared<ProductEntry>();
        entry->product = product;
        for (std::size_t i = 0; i < product.mappings.size(); ++i) {
            auto mapping = event::parse_mapping(product.mappings[i], static_cast<std::uint32_t>(i + 1));
            if (!mapping) {
                log::error("governance.mapping_unreadable", {{"product", product.name}, {"version", i + 1}});
                return;
            }
            entry->mappings.push_back(std::make_shared<const event::Mapping>(*std::move(mapping)));
        }
        if (entry->mappings.empty()) return;
        out_->products_.emplace(product.name, entry);
        out_->products_by_no_.emplace(product.no, entry);
    }

    // A policy that cannot be read could have prohibited anything: nothing is compiled then.
    void add_policy(const ports::PolicyRow& row) {
        auto document = policy::parse_policy(row.document, *vocabulary_);
        if (document) {
            policies_.push_back({row.name, row.version, *std::move(document)});
            return;
        }
        log::error("governance.policy_unreadable", {{"policy", row.name}, {"version", row.version}, {"pointer", document.error().pointer}});
        policy_error_ = Error{Errc::internal, "an active policy cannot be read: everything is withheld", {}};
    }

    // What would be active: each shadow in the place of the active version of its policy. One that cannot be read is no shadow.
    void add_shadow() {
        if (configuration_.shadow_policies.empty()) return;
        std::vector<policy::PolicyVersion> with = policies_;
        for (const auto& row : configuration_.shadow_policies) {
            auto document = policy::parse_policy(row.document, *vocabulary_);
            if (!document) {
                log::error("governance.shadow_unreadable", {{"policy", row.name}, {"version", row.version}, {"pointer", document.error().pointer}});
                continue;
            }
            std::erase_if(with, [&](const policy::PolicyVersion& p) { return p.name == row.name; });
            with.push_back({row.name, row.version, *std::move(document)});
            out_->shadow_policies_.push_back(row.name + "@" + std::to_string(row.version));
        }
        if (!out_->shadow_policies_.empty()) shadow_policies_ = std::move(with);
    }

    void add_contract(const ports::Contract& contract) {
        auto shared = std::make_shared<const ports::Contract>(contract);
        out_->contracts_.emplace(contract.name, shared);
        out_->contracts_by_no_.emplace(contract.no, shared);
        const ports::Party* party = out_->party(contract.party);
        for (const auto& name : contract.products) {
            const ProductEntry* product = out_->product(name);
            if (product == nullptr) continue;
            const auto key = program_key(contract.no, product->product.no);
            out_->programs_.emplace(key, compile(contract, party, *product));
            if (shadow_policies_.empty() || party == nullptr) continue;
            auto shadow = policy::compile(entitlement_of(contract, *party, name), shadow_policies_, product->mappings, vocabulary_);
            if (shadow)
                out_->shadow_programs_.emplace(key, *std::move(shadow));
            else
                log::warn("governance.shadow_not_compiled", {{"contract", contract.name}, {"product", name}, {"detail", shadow.error().detail}});
        }
    }

    Result<std::shared_ptr<const policy::Program>> compile(const ports::Contract& contract, const ports::Party* party, const ProductEntry& product) {
        if (policy_error_) return *policy_error_;
        if (party == nullptr) return Error{Errc::internal, "the contract's party is unknown", {}};
        auto program = policy::compile(entitlement_of(contract, *party, product.product.name), policies_, product.mappings, vocabulary_);
        if (!program) {
            log::error("governance.compile_failed",
                       {{"contract", contract.name}, {"product", product.product.name}, {"detail", program.error().detail}});
            return Error{Errc::internal, "the contract's rights cannot be compiled: " + program.error().detail, {}};
        }
        return program;
    }

    const ports::Configuration& configuration_;
    const std::shared_ptr<const policy::Vocabulary> vocabulary_;
    std::shared_ptr<Snapshot> out_;
    std::vector<policy::PolicyVersion> policies_, shadow_policies_;
    std::optional<Error> policy_error_;
};

const ProductEntry* Snapshot::product(std::string_view name) const {
    const auto* p = find_in(products_, std::string(name));
    return p == nullptr ? nullptr : p->get();
}
const ProductEntry* Snapshot::product(ProductNo no) const {
    const auto* p = find_in(products_by_no_, no);
    return p == nullptr ? nullptr : p->get();
}
const ports::Party* Snapshot::party(std::string_view name) const { return find_in(parties_, std::string(name)); }
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
std::vector<std::string> Snapshot::contracts_on(std::string_view product) const {
    std::vector<std::string> out;
    for (const auto& [name, contract] : contracts_)
        if (std::find(contract->products.begin(), contract->products.end(), product) != contract->products.end()) out.push_back(name);
    std::sort(out.begin(), out.end());
    return out;
}
const ports::Client* Snapshot::client(std::string_view id) const { return find_in(clients_, std::string(id)); }
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
    return *found;
}

Result<Rights> Snapshot::rights(ContractNo contract, ProductNo product) const {
    auto found = program(contract, product);
    if (!found) return found.error();
    const auto* shadow = find_in(shadow_programs_, program_key(contract, product));
    return Rights{*std::move(found), shadow == nullptr ? nullptr : *shadow};
}

std::shared_ptr<const Snapshot> build_snapshot(const ports::Configuration& configuration, std::string region,
                                               std::shared_ptr<policy::ConsentIndex> consents,
                                               const std::shared_ptr<const policy::Vocabulary>& vocabulary) {
    return SnapshotBuilder(configuration, vocabulary).build(std::move(region), std::move(consents));
}

std::shared_ptr<const Snapshot> at_epoch(const Snapshot& snapshot, GovernanceEpoch epoch) {
    auto out = std::make_shared<Snapshot>(snapshot);
    out->epoch = epoch;
    return out;
}

policy::Entitlement entitlement_of(const ports::Contract& contract, const ports::Party& party, const std::string& product) {
    return {product,
            contract.name,
            party.name,
            party.collections,
            party.country,
            contract.purposes,
            contract.transfer_tools,
            party.adequacy_schemes,
            contract.pseudonym_scope};
}

}  // namespace licet::app
