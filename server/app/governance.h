// Governance: keeps the node at the catalog's epoch. Loads configuration and consents, builds snapshots, hands changes to the data plane in order,
// ends consents when their time is up, and answers the barrier. Built by main; used by Admin and by the edge (snapshot()).
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/app/barrier_audit.h"
#include "server/app/barriers.h"
#include "server/app/consent_steps.h"
#include "server/app/data_plane.h"
#include "server/app/snapshot.h"
#include "server/app/subject_keys.h"
#include "server/ports/catalog.h"
#include "server/ports/cluster.h"

namespace licet::app {

class Governance {
  public:
    struct Parts {
        std::string region;
        std::shared_ptr<ports::Catalog> catalog;
        std::shared_ptr<ports::Cluster> cluster;
        std::shared_ptr<const policy::Vocabulary> vocabulary;
        std::shared_ptr<const Clock> clock;
        std::function<void(BarrierOutcome)> barrier_ended = {};  // of every call of hold(); does not block. Empty: nobody asks
        std::shared_ptr<ports::Metrics> metrics = nullptr;       // null: nothing is counted
        std::shared_ptr<SubjectKeys> subject_keys = nullptr;     // null: this node keeps none
    };
    explicit Governance(Parts parts);
    ~Governance();

    // Reads everything once. Errors: unavailable.
    [[nodiscard]] Status load();
    // From here on changes go to `plane` (which must outlive stop()), and the catalog is watched.
    void start(std::shared_ptr<DataPlane> plane);
    void stop();

    // Any thread.
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const { return snapshot_.load(); }
    // Catches up with the catalog; returns once the data plane was given the change. Any thread but a shard's: blocks.
    [[nodiscard]] Status refresh();
    // Refreshes, then waits until a change that made `epoch` holds on this node and on every live node of the region, at most
    // limits::barrier_wait_max_ms. Incomplete: the change is made and will hold when they follow, which is looked after here.
    [[nodiscard]] Barrier hold(GovernanceEpoch epoch);
    // The same of any epoch, without a report. Errors: not_found (no such epoch yet), unavailable.
    [[nodiscard]] Result<Barrier> barrier(GovernanceEpoch epoch, int wait_ms);

  private:
    [[nodiscard]] std::vector<std::vector<policy::ConsentIndex::Entry>> entries_of(const std::vector<ports::ConsentRow>& rows) const;
    void give(GovernanceEpoch epoch, const std::vector<SubjectKey>& subjects, bool configuration);
    [[nodiscard]] UtcMillis next_end() const;  // of a consent; 0: none will
    void expire_loop();

    const Parts parts_;
    std::atomic<std::shared_ptr<const Snapshot>> snapshot_;
    std::shared_ptr<policy::ConsentIndex> index_;  // written under state_mutex_
    std::shared_ptr<DataPlane> plane_;

    std::mutex refresh_mutex_;  // one catch-up at a time; held across catalog reads
    // Taken under it or alone, never across I/O: consents must run out on time also while the catalog does not answer.
    std::mutex state_mutex_;
    std::uint64_t revision_ = 0;  // under refresh_mutex_
    std::condition_variable expiry_changed_;
    bool stopping_ = false;
    std::thread expirer_;
    std::unique_ptr<Barriers> barriers_;
};

}  // namespace licet::app
