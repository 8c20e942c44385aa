#include <chrono>
#include <condition_variable>
#include <mutex>

#include "server/redis/cluster.h"

namespace licet::redis {
namespace {

class SingleNode final : public ports::Cluster {
  public:
    explicit SingleNode(std::string node) : node_(std::move(node)) { lease_->until_ns = ports::Lease::kAlways; }
    void start(std::function<void(std::optional<ports::FenceTime>)> report) override { report(ports::kNoFence); }
    std::shared_ptr<const ports::Lease> lease() const override { return lease_; }
    void acknowledge(GovernanceEpoch epoch) override {
        const std::lock_guard lock(mutex_);
        if (epoch > acknowledged_) acknowledged_ = epoch;
        changed_.notify_all();
    }
    Result<Nodes> await(GovernanceEpoch epoch, int timeout_ms) override {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return acknowledged_ >= epoch; })) return Nodes{{}, {node_}};
        return Nodes{{node_}, {}};
    }
    void stop() override {}

  private:
    const std::string node_;
    const std::shared_ptr<ports::Lease> lease_ = std::make_shared<ports::Lease>();
    std::mutex mutex_;
    std::condition_variable changed_;
    GovernanceEpoch acknowledged_;
};

}  // namespace

std::shared_ptr<ports::Cluster> make_single_node(std::string node) { return std::make_shared<SingleNode>(std::move(node)); }

}  // namespace licet::redis
