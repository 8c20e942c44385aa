// Opens and closes delivery with the node's lease. A change made before the lease was held was not waited for by its barrier: the catalog is read
// after the lease is held, and before delivery opens. Built by main between the cluster, governance and the data plane.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/result.h"

namespace licet::app {

class DeliveryGate {
  public:
    // `refresh` may block; it runs on a thread of the gate's own, never on the one that holds the lease, and again until it succeeds. `set` must not
    // block; it is called in order.
    DeliveryGate(std::function<Status()> refresh, std::function<void(bool)> set);
    ~DeliveryGate() { stop(); }

    // Any thread, does not block. When it returns for a lease that was lost, delivery is closed.
    void lease(bool held);
    [[nodiscard]] bool open() const noexcept { return open_; }
    void stop();  // leaves delivery as it is

  private:
    void run();

    const std::function<Status()> refresh_;
    const std::function<void(bool)> set_;
    std::atomic<bool> open_{false};
    std::mutex mutex_;  // held while `set_` runs, not while `refresh_` does
    std::condition_variable changed_;
    bool held_ = false, stopping_ = false;
    std::uint64_t turn_ = 0;  // counts what the cluster said of the lease
    std::thread thread_;
};

}  // namespace licet::app
