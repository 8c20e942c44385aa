#include "server/app/policy_check.h"

#include <algorithm>

#include "policy/findings.h"
#include "server/app/snapshot.h"

namespace licet::app {

using nlohmann::json;

Error policy_mistakes(const policy::PolicyCheck& check) {
    const Error& first = check.mistakes.front();
    std::string detail = first.detail;
    for (std::size_t i = 1; i < check.mistakes.size(); ++i)
        detail += (i == 1 ? "; and at " : "; at ") + ("/document" + check.mistakes[i].pointer) + ": " + check.mistakes[i].detail;
    return {first.code, std::move(detail), "/document" + first.pointer};
}

json policy_findings(const policy::PolicyDocument& document, const std::string& name, const ports::Configuration& configuration,
                     const std::shared_ptr<const policy::Vocabulary>& vocabulary) {
    std::vector<policy::PolicyVersion> active;
    for (const auto& row : configuration.active_policies) {
        if (row.name == name) continue;
        if (auto parsed = policy::parse_policy(row.document, *vocabulary)) active.push_back({row.name, row.version, *std::move(parsed)});
    }
    std::vector<policy::Entitlement> contracts;
    for (const auto& contract : configuration.contracts) {
        const auto party =
            std::find_if(configuration.parties.begin(), configuration.parties.end(), [&](const ports::Party& p) { return p.name == contract.party; });
        if (contract.state != ports::ContractState::active || party == configuration.parties.end()) continue;
        for (const auto& product : contract.products)
            contracts.push_back(entitlement_of(contract, *party, product, configuration.consent_recipients));
    }
    std::vector<policy::FindingContext::ProductMapping> mappings;
    for (const auto& product : configuration.products) {
        if (product.mappings.empty()) continue;
        if (auto mapping = event::parse_mapping(product.mappings.back(), static_cast<std::uint32_t>(product.mappings.size())))
            mappings.push_back({product.name, std::make_shared<const event::Mapping>(*std::move(mapping))});
    }
    policy::FindingContext context;
    context.active = active;
    context.contracts = contracts;
    context.contracts_known = true;
    context.mappings = mappings;
    json out = json::array();
    for (const auto& f : policy::examine(document, context, vocabulary)) {
        json one{{"kind", policy::finding_name(f.kind)}, {"rule", f.rule}, {"pointer", "/document" + f.pointer}, {"detail", f.detail}};
        if (!f.other_rule.empty()) one["by"] = {{"policy", f.other_policy.empty() ? name : f.other_policy}, {"rule", f.other_rule}};
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace licet::app
