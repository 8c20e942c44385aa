// A snapshot from a configuration and, as far as it still holds, from the snapshot before it: what an epoch does not touch is not read or compiled
// again.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "policy/concerns.h"
#include "server/app/licences.h"
#include "server/app/snapshot.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

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

// Every member, by name: one that is added must be compared too, or this does not compile.
auto members(const ports::Licence& l) {
    const auto& [name, title, version, permits, requires_, prohibits] = l;
    return std::tie(name, title, version, permits, requires_, prohibits);
}
auto members(const policy::Entitlement& e) {
    const auto& [product, contract, party, collections, country, purposes, tools, schemes, scope, recipients, action] = e;
    return std::tie(product, contract, party, collections, country, purposes, tools, schemes, scope, recipients, action);
}
bool same(const std::vector<ports::Licence>& a, const std::vector<ports::Licence>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return members(x) == members(y); });
}

}  // namespace

class SnapshotBuilder {
  public:
    SnapshotBuilder(const ports::Configuration& configuration, const std::shared_ptr<const policy::Vocabulary>& tables, const Snapshot* previous)
        : configuration_(configuration), out_(std::make_shared<Snapshot>()) {
        // Policies name licences, and licences decide: under other ones nothing that was read before holds.
        const bool holds = previous != nullptr && previous->tables_ == tables && same(previous->licences_, configuration.licences);
        previous_ = holds ? previous : nullptr;
        vocabulary_ = holds ? previous->vocabulary_ : with_own(tables, configuration.licences);
        out_->tables_ = tables;
        out_->licences_ = configuration.licences;
        out_->vocabulary_ = vocabulary_;
    }

    std::shared_ptr<const Snapshot> build(std::string region, std::shared_ptr<policy::ConsentIndex> consents) {
        out_->epoch = configuration_.epochs.sum();
        out_->global_epoch = configuration_.epochs.global;
        out_->region = std::move(region);
        out_->consents = std::move(consents);
        out_->regions_ = configuration_.regions;
        out_->consent_recipients_ = configuration_.consent_recipients;
        std::sort(out_->consent_recipients_.begin(), out_->consent_recipients_.end(), [](const auto& a, const auto& b) { return a.no < b.no; });
        for (const auto& p : configuration_.parties) out_->parties_.emplace(p.name, p);
        for (const auto& c : configuration_.clients) out_->clients_.emplace(c.id, c);
        for (const auto& p : configuration_.products) add_product(p);
        read_policies();
        read_shadow();
        for (const auto& c : configuration_.contracts) add_contract(c);
        return out_;
    }

  private:
    using Read = Snapshot::Read;

    // A mapping is read once: compiled programs are the same as long as their mappings are these very ones.
    void add_product(const ports::Product& product) {
        const ProductEntry* before = previous_ == nullptr ? nullptr : previous_->product(product.name);
        if (before != nullptr && before->product.no != product.no) before = nullptr;
        auto entry = std::make_shared<ProductEntry>();
        entry->product = product;
        for (std::size_t i = 0; i < product.mappings.size(); ++i) {
            if (before != nullptr && i < before->mappings.size() && before->product.mappings[i] == product.mappings[i]) {
                entry->mappings.push_back(before->mappings[i]);
                continue;
            }
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

    // A version is never edited; its hash is there for the draft of a simulation, which has no version yet.
    Result<Read> read(const ports::PolicyRow& row) {
        const std::size_t hash = std::hash<nlohmann::json>{}(row.document);
        if (row.version != 0) {
            if (before_.empty() && previous_ != nullptr)
                for (const auto* held : {previous_->active_.get(), previous_->shadowed_.get()})
                    if (held != nullptr)
                        for (const auto& r : *held) before_.emplace(r.policy.name + "@" + std::to_string(r.policy.version), &r);
            const auto known = before_.find(row.name + "@" + std::to_string(row.version));
            if (known != before_.end() && known->second->hash == hash) return *known->second;
        }
        auto document = policy::parse_policy(row.document, *vocabulary_);
        if (!document) return document.error();
        return Read{{row.name, row.version, *std::move(document)}, hash};
    }

    // A policy that cannot be read could have prohibited anything: nothing is compiled then.
    void read_policies() {
        auto all = std::make_shared<std::vector<Read>>();
        for (const auto& row : configuration_.active_policies) {
            auto one = read(row);
            if (one) {
                all->push_back(*std::move(one));
                continue;
            }
            log::error("governance.policy_unreadable", {{"policy", row.name}, {"version", row.version}, {"pointer", one.error().pointer}});
            policy_error_ = Error{Errc::internal, "an active policy cannot be read: everything is withheld", {}};
        }
        policies_ = versions(*all);
        if (!policy_error_) out_->active_ = std::move(all);
        if (previous_ != nullptr && previous_->active_ != nullptr && out_->active_ != nullptr)
            changed_ = difference(*previous_->active_, *out_->active_);
    }

    // What would be active: each shadow in the place of the active version of its policy. One that cannot be read is no shadow.
    void read_shadow() {
        if (configuration_.shadow_policies.empty() || out_->active_ == nullptr) return;
        auto with = std::make_shared<std::vector<Read>>(*out_->active_);
        for (const auto& row : configuration_.shadow_policies) {
            auto one = read(row);
            if (!one) {
                log::error("governance.shadow_unreadable", {{"policy", row.name}, {"version", row.version}, {"pointer", one.error().pointer}});
                continue;
            }
            std::erase_if(*with, [&](const Read& r) { return r.policy.name == row.name; });
            with->push_back(*std::move(one));
            out_->shadow_policies_.push_back(row.name + "@" + std::to_string(row.version));
        }
        if (out_->shadow_policies_.empty()) return;
        shadow_policies_ = versions(*with);
        out_->shadowed_ = std::move(with);
        if (previous_ != nullptr && previous_->shadowed_ != nullptr) shadow_changed_ = difference(*previous_->shadowed_, *out_->shadowed_);
    }

    static std::vector<policy::PolicyVersion> versions(const std::vector<Read>& all) {
        std::vector<policy::PolicyVersion> out;
        out.reserve(all.size());
        for (const auto& r : all) out.push_back(r.policy);
        return out;
    }

    // The policies that are in one and not in the other: what they do not concern is as it was.
    static std::vector<policy::PolicyVersion> difference(const std::vector<Read>& a, const std::vector<Read>& b) {
        std::unordered_map<const policy::PolicyDocument*, const Read*> once;
        for (const auto* side : {&a, &b})
            for (const auto& r : *side)
                if (!once.emplace(r.policy.document.get(), &r).second) once.erase(r.policy.document.get());
        std::vector<policy::PolicyVersion> out;
        for (const auto& [document, r] : once) out.push_back(r->policy);
        return out;
    }

    void add_contract(const ports::Contract& contract) {
        auto shared = std::make_shared<const ports::Contract>(contract);
        out_->contracts_.emplace(contract.name, shared);
        out_->contracts_by_no_.emplace(contract.no, shared);
        const ports::Party* party = out_->party(contract.party);
        for (const auto& name : contract.products)
            if (const ProductEntry* product = out_->product(name))
                out_->programs_.emplace(Snapshot::program_key(contract.no, product->product.no), compiled(contract, party, *product));
    }

    std::shared_ptr<const Snapshot::Compiled> compiled(const ports::Contract& contract, const ports::Party* party, const ProductEntry& product) {
        if (party == nullptr) return failed({Errc::internal, "the contract's party is unknown", {}});
        if (policy_error_) return failed(*policy_error_);
        auto who = entitlement_of(contract, *party, product.product.name, out_->consent_recipients_);
        const auto before = taken_over(contract, product, who);
        const bool keep = before != nullptr && before->program.ok() && changed_ && !touched_by(*changed_, who);
        const bool keep_shadow = before != nullptr && before->shadow != nullptr && shadow_changed_ && !touched_by(*shadow_changed_, who);
        if (keep && (keep_shadow || (out_->shadowed_ == nullptr && before->shadow == nullptr))) return before;
        auto out = std::make_shared<Snapshot::Compiled>(
            Snapshot::Compiled{who, keep ? before->program : compile(contract, who, product), keep_shadow ? before->shadow : nullptr});
        if (out_->shadowed_ != nullptr && out->shadow == nullptr) {
            auto shadow = policy::compile(who, shadow_policies_, product.mappings, vocabulary_);
            if (shadow)
                out->shadow = *std::move(shadow);
            else
                log::warn("governance.shadow_not_compiled",
                          {{"contract", contract.name}, {"product", product.product.name}, {"detail", shadow.error().detail}});
        }
        return out;
    }

    // What the contract had before, when its terms and the product are the same.
    std::shared_ptr<const Snapshot::Compiled> taken_over(const ports::Contract& contract, const ProductEntry& product,
                                                         const policy::Entitlement& who) const {
        if (previous_ == nullptr) return nullptr;
        const auto at = previous_->programs_.find(Snapshot::program_key(contract.no, product.product.no));
        const ProductEntry* then = previous_->product(product.product.no);
        if (at == previous_->programs_.end() || then == nullptr || then->mappings != product.mappings) return nullptr;
        if (members(at->second->entitlement) != members(who)) return nullptr;
        return at->second;
    }

    static bool touched_by(const std::vector<policy::PolicyVersion>& changed, const policy::Entitlement& who) {
        return std::any_of(changed.begin(), changed.end(), [&](const auto& p) { return policy::concerns(p, who); });
    }

    static std::shared_ptr<const Snapshot::Compiled> failed(Error error) {
        return std::make_shared<Snapshot::Compiled>(Snapshot::Compiled{{}, std::move(error), nullptr});
    }

    Result<std::shared_ptr<const policy::Program>> compile(const ports::Contract& contract, const policy::Entitlement& who,
                                                           const ProductEntry& product) const {
        auto program = policy::compile(who, policies_, product.mappings, vocabulary_);
        if (program) return program;
        log::error("governance.compile_failed", {{"contract", contract.name}, {"product", product.product.name}, {"detail", program.error().detail}});
        return Error{Errc::internal, "the contract's rights cannot be compiled: " + program.error().detail, {}};
    }

    const ports::Configuration& configuration_;
    const Snapshot* previous_ = nullptr;  // null: nothing of it holds
    std::shared_ptr<const policy::Vocabulary> vocabulary_;
    std::shared_ptr<Snapshot> out_;
    std::unordered_map<std::string, const Read*> before_;  // what the previous one read, by name@version
    std::vector<policy::PolicyVersion> policies_, shadow_policies_;
    std::optional<std::vector<policy::PolicyVersion>> changed_, shadow_changed_;  // nothing: all of them
    std::optional<Error> policy_error_;
};

std::shared_ptr<const Snapshot> build_snapshot(const ports::Configuration& configuration, std::string region,
                                               std::shared_ptr<policy::ConsentIndex> consents,
                                               const std::shared_ptr<const policy::Vocabulary>& vocabulary, const Snapshot* previous) {
    return SnapshotBuilder(configuration, vocabulary, previous).build(std::move(region), std::move(consents));
}

}  // namespace licet::app
