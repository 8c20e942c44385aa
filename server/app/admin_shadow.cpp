// Shadow mode over REST: start, end, and what was counted.
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "server/app/admin.h"

namespace licet::app {

using nlohmann::json;

Result<Reply> Admin::shadow_policy(const Actor& actor, const std::string& name, std::string_view version) {
    if (auto error = only_where_authored()) return *error;
    std::uint32_t number = 0;
    const auto read = std::from_chars(version.data(), version.data() + version.size(), number);
    if (read.ec != std::errc{} || read.ptr != version.data() + version.size() || number == 0)
        return Error{Errc::invalid_parameter, "expected a version number", "path:version"};
    parts_.shadow->clear();
    return held(parts_.catalog->shadow_policy(name, number, {actor.client, "policy.shadow", name, {{"version", number}}}),
                {{"name", name}, {"version", number}, {"state", "shadow"}});
}

Result<Reply> Admin::end_shadow(const Actor& actor, const std::string& name) {
    if (auto error = only_where_authored()) return *error;
    return held(parts_.catalog->shadow_policy(name, 0, {actor.client, "policy.shadow", name, {{"version", nullptr}}}),
                {{"name", name}, {"state", "draft"}});
}

Result<Reply> Admin::shadow_counts() const {
    const auto snapshot = now();
    json rows = json::array();
    std::set<std::pair<ProductNo, std::string>> keys;
    for (const auto* product : snapshot->all_products()) {
        // Contracts of equal rights are decided together.
        std::map<std::string, std::vector<std::string>> contracts;
        for (const auto& name : snapshot->contracts_on(product->product.name)) {
            const auto rights = snapshot->rights(snapshot->contract(name)->no, product->product.no);
            if (rights && rights->shadow != nullptr) contracts[rights->key()].push_back(name);
        }
        for (const auto& [key, names] : contracts) {
            keys.emplace(product->product.no, key);
            const auto tally = parts_.shadow->of(product->product.no, key);
            json differences = json::array();
            for (const auto& [reasons, events] : tally.differing)
                differences.push_back(
                    {{"now", policy::reason_name(reasons.first)}, {"shadow", policy::reason_name(reasons.second)}, {"events", events}});
            rows.push_back({{"product", product->product.name},
                            {"contracts", names},
                            {"decided", tally.decided},
                            {"changed", tally.changed},
                            {"differences", std::move(differences)}});
        }
    }
    parts_.shadow->keep_only(keys);
    return Reply{200, {{"policies", snapshot->shadow_policies()}, {"counts", std::move(rows)}, {"epoch", snapshot->epoch.value}}};
}

}  // namespace licet::app
