// The governance snapshot: the immutable in-memory image of the catalog that the data plane works from, replaced whole at each governance epoch.
// Built by app::Governance; read by shards without locks (each holds its own shared_ptr).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "event/mapping.h"
#include "policy/consent_index.h"
#include "policy/engine.h"
#include "server/app/shadow.h"
#include "server/ports/catalog.h"

namespace licet::app {

struct ProductEntry {
    ports::Product product;
    std::vector<std::shared_ptr<const event::Mapping>> mappings;                      // index = version - 1
    [[nodiscard]] const event::Mapping& mapping() const { return *mappings.back(); }  // the current one
};

class Snapshot {
  public:
    GovernanceEpoch epoch;
    std::uint64_t global_epoch = 0;                  // the configuration's part of it
    std::string region;                              // this node's
    std::shared_ptr<policy::ConsentIndex> consents;  // shared by all snapshots; changes under its own revision

    [[nodiscard]] const ProductEntry* product(std::string_view name) const;
    [[nodiscard]] const ProductEntry* product(ProductNo no) const;
    [[nodiscard]] const ports::Party* party(std::string_view name) const;
    // Whether a party belongs to it.
    [[nodiscard]] bool knows_collection(std::string_view name) const;
    [[nodiscard]] const ports::Contract* contract(std::string_view name) const;
    [[nodiscard]] const ports::Contract* contract(ContractNo no) const;
    [[nodiscard]] std::vector<const ProductEntry*> all_products() const;                  // by name
    [[nodiscard]] std::vector<const ports::Contract*> all_contracts() const;              // by name
    [[nodiscard]] std::vector<std::string> contracts_on(std::string_view product) const;  // their names, sorted
    [[nodiscard]] const ports::Client* client(std::string_view id) const;
    [[nodiscard]] const ports::Region* region_named(std::string_view name) const;
    // Recipients that consents of the region name.
    [[nodiscard]] const std::vector<ports::ConsentRecipient>& consent_recipients() const { return consent_recipients_; }
    [[nodiscard]] bool knows_recipient(policy::RecipientNo no) const;
    [[nodiscard]] const std::vector<ports::Region>& regions() const { return regions_; }
    // The tables of this build and the licences of this configuration.
    [[nodiscard]] const std::shared_ptr<const policy::Vocabulary>& vocabulary() const { return vocabulary_; }

    // The contract under which `party` reads `product` at `now`: in force, active, naming the product. `chosen` picks one by name when there are
    // several (else: invalid_parameter naming query:contract). Errors: no_contract.
    [[nodiscard]] Result<const ports::Contract*> contract_for(std::string_view party, std::string_view product, std::string_view chosen,
                                                              UtcMillis now) const;

    // The compiled entitlement of a contract for a product; compiled when the snapshot was built. Error (internal) when compilation failed: the
    // caller withholds.
    [[nodiscard]] Result<std::shared_ptr<const policy::Program>> program(ContractNo contract, ProductNo product) const;
    // The same with what the shadow policies would give; `shadow` is null when there are none.
    [[nodiscard]] Result<Rights> rights(ContractNo contract, ProductNo product) const;
    // name@version of the policies in the shadow, sorted.
    [[nodiscard]] const std::vector<std::string>& shadow_policies() const noexcept { return shadow_policies_; }

  private:
    friend class SnapshotBuilder;
    static std::uint64_t program_key(ContractNo contract, ProductNo product) { return std::uint64_t{contract.value} << 32 | product.value; }
    std::vector<ports::Region> regions_;
    std::vector<ports::ConsentRecipient> consent_recipients_;  // by number
    std::shared_ptr<const policy::Vocabulary> vocabulary_;
    std::unordered_map<std::string, std::shared_ptr<const ProductEntry>> products_;
    std::unordered_map<ProductNo, std::shared_ptr<const ProductEntry>> products_by_no_;
    std::unordered_map<std::string, ports::Party> parties_;
    std::unordered_map<std::string, std::shared_ptr<const ports::Contract>> contracts_;
    std::unordered_map<ContractNo, std::shared_ptr<const ports::Contract>> contracts_by_no_;
    std::unordered_map<std::string, ports::Client> clients_;
    struct Compiled {
        policy::Entitlement entitlement;
        Result<std::shared_ptr<const policy::Program>> program;
        std::shared_ptr<const policy::Program> shadow;  // null when there is none
    };
    std::unordered_map<std::uint64_t, std::shared_ptr<const Compiled>> programs_;  // by program_key
    std::vector<std::string> shadow_policies_;
    // What it was compiled from, for the next to take over what has not changed.
    struct Read {
        policy::PolicyVersion policy;
        std::size_t hash;  // of the document
    };
    std::shared_ptr<const policy::Vocabulary> tables_;  // of the build
    std::vector<ports::Licence> licences_;              // laid over them
    using Policies = std::shared_ptr<const std::vector<Read>>;
    Policies active_, shadowed_;  // null: one of them could not be read; nothing is in the shadow
};

// Compiles a configuration into a snapshot. What cannot be compiled is kept as an error for those it concerns: they are withheld from, the others
// served. From `previous`, if given, is taken over what this configuration does not change: policies and mappings read before, and the program of
// every contract whose own terms, product, and matching policies are the same.
[[nodiscard]] std::shared_ptr<const Snapshot> build_snapshot(const ports::Configuration& configuration, std::string region,
                                                             std::shared_ptr<policy::ConsentIndex> consents,
                                                             const std::shared_ptr<const policy::Vocabulary>& vocabulary,
                                                             const Snapshot* previous = nullptr);
// The same configuration at a later epoch of the region's own data.
[[nodiscard]] std::shared_ptr<const Snapshot> at_epoch(const Snapshot& snapshot, GovernanceEpoch epoch);

// The entitlement a contract gives its party for one product. `recipients`: those that consents name.
[[nodiscard]] policy::Entitlement entitlement_of(const ports::Contract& contract, const ports::Party& party, const std::string& product,
                                                 std::span<const ports::ConsentRecipient> recipients);

}  // namespace licet::app
