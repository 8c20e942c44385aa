// Shadow mode: a stored policy version decided beside what is active, on live traffic. What it would change is counted; nothing is changed for
// anyone. Views count (server/stream/delivery), the control plane reads. Each node counts what its own views decided since it started. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/ids.h"
#include "policy/engine.h"

namespace licet::app {

// What a contract gives for a product: what is in force, and what a shadow would give (null: there is none, or it cannot be compiled).
struct Rights {
    std::shared_ptr<const policy::Program> program, shadow;
    // Names the pair: what is counted under it holds for every contract of an equal key.
    [[nodiscard]] std::string key() const;
};

struct ShadowTally {
    std::uint64_t decided = 0;
    std::uint64_t changed = 0;                                                          // delivered by both, with different data
    std::map<std::pair<policy::Reason, policy::Reason>, std::uint64_t> differing = {};  // active, shadow: delivered by one of them only, or withheld
                                                                                        // by both for different reasons
    ShadowTally& operator+=(const ShadowTally& other);
};

class ShadowCounts {
  public:
    void add(ProductNo product, const std::string& key, const ShadowTally& tally);
    [[nodiscard]] ShadowTally of(ProductNo product, const std::string& key) const;
    void keep_only(const std::set<std::pair<ProductNo, std::string>>& keys);
    void clear();

  private:
    mutable std::mutex mutex_;
    std::map<std::pair<ProductNo, std::string>, ShadowTally> tallies_;  // at most limits::shadow_tallies_max: past that, new ones are not kept
};

}  // namespace licet::app
