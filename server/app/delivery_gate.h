// Opens and closes delivery with the node's lease. A change made before the lease was held was not waited for by its barrier: the catalog is read
// after the lease is held, and before delivery opens. While anything may be written, the fence stands where the lease was last said to reach. Built
// by main between the cluster, governance and the data plane. docs/models/revocation.pml is a model of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.h"
#include "server/ports/fence.h"

namespace licet::app {

class DeliveryGate {
  public:
    // `refresh` may block; it runs on a thread of the gate's own, never on the one that holds the lease, and again until it succeeds. `set` must not
    // block; it is called in order, and calls `done` from elsewhere when all that could write has heard it. `fence` may be null: a node alone.
    using Set = std::function<void(bool on, std::function<void()> done)>;
    DeliveryGate(std::function<Status()> refresh, Set set, std::shared_ptr<ports::Fence> fence);
    ~DeliveryGate() { stop(); }

    // Any thread, does not block. What the cluster says of the lease: held, and until when; or lost.
    void lease(std::optional<ports::FenceTime> until);
    [[nodiscard]] bool open() const noexcept { return open_; }
    void stop();  // leaves delivery and the fence as they are
    void lift();  // nothing of this node writes any more

  private:
    void run();
    void closed(std::uint64_t turn);

    const std::function<Status()> refresh_;
    const Set set_;
    const std::shared_ptr<ports::Fence> fence_;
    std::atomic<bool> open_{false};
    std::mutex mutex_;  // held while `set_` runs, not while `refresh_` does
    std::condition_variable changed_;
    bool held_ = false, stopping_ = false, over_ = false;
    std::uint64_t turn_ = 0;  // counts changes of `held_`
    std::thread thread_;
};

}  // namespace licet::app
