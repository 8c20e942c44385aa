#include "server/stream/delivery/delivery.h"

#include <atomic>

#include "server/ports/log.h"
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

// Runs `done` when the last of `count` shards has called it.
std::function<void()> after_all(std::size_t count, std::function<void()> done) {
    auto left = std::make_shared<std::atomic<std::size_t>>(count);
    return [left, done = std::move(done)] {
        if (left->fetch_sub(1) == 1 && done) done();
    };
}

class AllShards final : public Delivery {
  public:
    AllShards(std::vector<boost::asio::io_context*> shards, DeliveryServices services, std::shared_ptr<const app::Snapshot> snapshot)
        : services_(std::move(services)),
          meters_(services_.usage_ranges),
          readers_(services_.log_reader_threads),
          gate_(services_.lease, services_.clock) {
        for (auto* io : shards) {
            shards_.push_back(std::make_unique<Shard>(*io, services_, meters_, readers_, gate_, snapshot, [this] { wake_all(); }));
        }
        if (services_.quotas) services_.quotas->on_grant([this] { wake_all(); });
    }
    ~AllShards() override {
        if (services_.quotas) services_.quotas->on_grant({});
        readers_.stop();
    }

    void serve(std::size_t shard, ReadRequest request, std::unique_ptr<Transport> connection, Handback handback) override {
        shards_[shard]->serve(std::move(request), std::move(connection), std::move(handback));
    }

    void on_appended(std::shared_ptr<const ports::LogBatch> batch) override {
        for (auto& shard : shards_) shard->post([&shard, batch] { shard->on_batch(batch); });
    }

    void apply(app::EpochChange change, std::function<void()> acknowledged) override {
        const auto turn = gate_.begin_change();
        const auto until = change.consents_until;
        const auto done = after_all(shards_.size(), [this, turn, until, acknowledged = std::move(acknowledged)] {
            if (until) {
                gate_.end_change(turn, until->value == 0 ? WriteGate::kNever : until->value);
                for (auto& shard : shards_) shard->post([&shard] { shard->release(); });
            }
            if (acknowledged) acknowledged();
        });
        for (auto& shard : shards_)
            shard->post([&shard, change, done] {
                shard->apply(change);
                done();
            });
    }

    void drain(std::function<void()> done, int over_ms) override {
        const auto all = after_all(shards_.size(), [this, done = std::move(done)] {
            auto unused = meters_.abandon(services_.clock->utc_now());
            // A journal that refuses leaves them to suspense: visible, and settled by the subscribers' cursors.
            if (!unused.empty() && !services_.journal->append(std::move(unused), {})) log::error("delivery.intents_left_open");
            if (done) done();
        });
        for (auto& shard : shards_) shard->post([&shard, all, over_ms] { shard->drain(over_ms, all); });
    }

    void tick(std::function<void()> done) override {
        const auto all = after_all(shards_.size(), std::move(done));
        for (auto& shard : shards_)
            shard->post([&shard, all] {
                shard->tick();
                all();
            });
    }

    void consents_end_at(UtcMillis at) override { gate_.limit(at.value == 0 ? WriteGate::kNever : at.value); }

    void set_delivering(bool on, std::function<void()> done) override {
        if (!on) gate_.close();
        // After whatever the shards were told, or have begun to write, before.
        const auto all = after_all(shards_.size(), std::move(done));
        for (auto& shard : shards_)
            shard->post([&shard, on, opening = gate_.closings(), all] {
                if (on) shard->opened(opening);
                all();
            });
    }

  private:
    void wake_all() {
        for (auto& shard : shards_) shard->post([&shard] { shard->wake(); });
    }

    const DeliveryServices services_;
    Meters meters_;
    Readers readers_;
    WriteGate gate_;
    std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace

std::shared_ptr<Delivery> Delivery::create(std::vector<boost::asio::io_context*> shards, DeliveryServices services,
                                           std::shared_ptr<const app::Snapshot> snapshot) {
    return std::make_shared<AllShards>(std::move(shards), std::move(services), std::move(snapshot));
}

}  // namespace licet::stream
