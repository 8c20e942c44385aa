#include "server/app/shadow.h"

#include "base/limits.h"

namespace licet::app {

std::string Rights::key() const {
    std::string out = program->view_key();
    if (shadow == nullptr) return out;
    const std::uint64_t size = out.size();
    out.append(shadow->view_key());
    return out.append(reinterpret_cast<const char*>(&size), sizeof size);  // says where one ends and the other begins
}

ShadowTally& ShadowTally::operator+=(const ShadowTally& other) {
    decided += other.decided;
    changed += other.changed;
    for (const auto& [reasons, events] : other.differing) differing[reasons] += events;
    return *this;
}

void ShadowCounts::add(ProductNo product, const std::string& key, const ShadowTally& tally) {
    const std::lock_guard lock(mutex_);
    const auto at = tallies_.find({product, key});
    if (at != tallies_.end())
        at->second += tally;
    else if (tallies_.size() < limits::shadow_tallies_max)
        tallies_.emplace(std::pair(product, key), tally);
}

ShadowTally ShadowCounts::of(ProductNo product, const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto at = tallies_.find({product, key});
    return at == tallies_.end() ? ShadowTally{} : at->second;
}

void ShadowCounts::keep_only(const std::set<std::pair<ProductNo, std::string>>& keys) {
    const std::lock_guard lock(mutex_);
    std::erase_if(tallies_, [&](const auto& entry) { return !keys.contains(entry.first); });
}

void ShadowCounts::clear() {
    const std::lock_guard lock(mutex_);
    tallies_.clear();
}

}  // namespace licet::app
