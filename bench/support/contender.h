// One of those compared in a benchmark: a node, a floor or a peer, with the rounds it played. All play the same sizes in turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/peers/peer.h"
#include "bench/support/crowd.h"
#include "bench/support/feed.h"
#include "bench/support/floor.h"
#include "bench/support/node.h"

namespace licet::bench {

struct Window {
    std::uint32_t batch = 256, batches = 4;  // events of a batch; how many batches may be under way
};

struct Series {
    std::vector<double> rate, cpu_ns;  // deliveries per second; processor nanoseconds per delivery, of the whole process for a node
};

class Contender {
  public:
    Contender(Crowd& crowd, std::uint32_t target, std::string name) : crowd_(crowd), target_(target), name_(std::move(name)) {}
    virtual ~Contender() = default;
    Contender(const Contender&) = delete;
    [[nodiscard]] const std::string& name() const { return name_; }
    // Messages have this size from here on: finds out how to make them, and the best window.
    virtual void prepare(std::size_t message_bytes) = 0;
    virtual void play() = 0;
    // `seconds` of events at `rate` per second, one at a time, each measured; at most `batch` of them in a request. What was measured is in
    // crowd.samples().
    virtual Outcome pace(double rate, double seconds, std::uint32_t batch) = 0;
    [[nodiscard]] const Series& series() const { return series_; }
    void forget() { series_ = {}; }
    [[nodiscard]] double last_rate() const { return series_.rate.back(); }

  protected:
    void add(double deliveries, double seconds, double cpu_seconds) {
        series_.rate.push_back(deliveries / seconds);
        series_.cpu_ns.push_back(cpu_seconds * 1e9 / deliveries);
    }
    Crowd& crowd_;
    const std::uint32_t target_;

  private:
    const std::string name_;
    Series series_;
};

struct NodeRounds {
    std::uint32_t publishers = 4;
    Window window;
    std::uint64_t events = 8192;  // of a round
    bool tls = false;
    std::uint32_t subscribers = kSubscribers;
};

class NodeContender final : public Contender {
  public:
    NodeContender(Crowd& crowd, std::uint32_t target, std::string name, const NodeOptions& options, const NodeRounds& rounds);
    void prepare(std::size_t message_bytes) override;
    void play() override;
    Outcome pace(double rate, double seconds, std::uint32_t batch) override;
    // A paced round of the node's product (rate 0: nothing is published) while `replayers` more subscribers read all there was when it began.
    Outcome replay(std::uint32_t replayers, std::uint64_t bytes, double rate, double seconds);
    // Ends the node. Every delivered event was billed once to its contract: the journal as the flusher brought it into the ledger.
    [[nodiscard]] bool metered();
    // What each subscriber got in the last round.
    [[nodiscard]] std::string last_bytes() const { return std::string(crowd_.capture(), order_.batches * order_.batch_bytes); }
    [[nodiscard]] const Order& order() const { return order_; }
    // Of all messages that each subscriber got so far.
    [[nodiscard]] std::uint64_t delivered_events() const { return delivered_events_; }
    [[nodiscard]] std::uint64_t frames_bytes() const { return frames_bytes_; }
    [[nodiscard]] double deliveries() const { return static_cast<double>(order_.batches * delivered_of_batch()) * rounds_.subscribers; }

  private:
    [[nodiscard]] bool governed() const { return options_.governance != Governance::none; }
    [[nodiscard]] std::uint64_t delivered_of_batch() const {
        return governed() ? rounds_.window.batch / kConsentedOf * kConsented : rounds_.window.batch;
    }
    std::uint64_t probe(std::uint64_t pad);
    std::uint64_t next_event();
    [[nodiscard]] Order paced(double rate, double seconds, std::uint32_t batch);
    void account(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t batches, std::uint64_t batch_events);

    const NodeOptions options_;
    const NodeRounds rounds_;
    std::unique_ptr<Node> node_;
    Order order_;
    std::uint64_t next_event_ = 0, frame_bytes_ = 0, delivered_events_ = 0, delivered_bytes_ = 0, frames_bytes_ = 0;
};

// Sends what a node just sent to each of its subscribers.
class FloorContender final : public Contender {
  public:
    FloorContender(Crowd& crowd, std::uint32_t target, std::string name, const NodeContender& of, const Certificate& certificate);
    void prepare(std::size_t) override {}
    void play() override;
    Outcome pace(double, double, std::uint32_t) override { return {}; }  // it is not published to: the relay is

  private:
    const NodeContender& of_;
    Floor floor_;
};

class PeerContender final : public Contender {
  public:
    PeerContender(Crowd& crowd, std::uint32_t target, RunningPeer running);
    void prepare(std::size_t message_bytes) override;
    void play() override;
    Outcome pace(double rate, double seconds, std::uint32_t batch) override;
    [[nodiscard]] const Window& window() const { return window_; }

  private:
    double play(const Window& window, std::uint64_t events);
    const std::unique_ptr<Peer> peer_;
    std::unique_ptr<Program> program_;
    Order order_;
    Window window_;
    std::size_t message_bytes_ = 0;
    double events_per_s_ = 0;
};

}  // namespace licet::bench
