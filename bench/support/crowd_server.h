// One server as the crowd knows it: the subscribers' and publishers' connections, and who has read how much. Part of the crowd's process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/peers/peer.h"
#include "bench/support/client.h"
#include "bench/support/crowd.h"
#include "bench/support/stream_counter.h"

namespace licet::bench {

inline constexpr int kIdleMs = 20'000;  // a round in which nothing happens for so long has failed
inline constexpr std::uint64_t kSourceTag = 1u << 20, kReplayTag = 1u << 21;
inline constexpr char kPing[2] = {static_cast<char>(0x89), 0};  // the heartbeat of a stream that had nothing to say

class CrowdServer {
  public:
    CrowdServer(const Order& order, SharedPage& page, const std::string& secret);  // connects
    [[nodiscard]] bool is_floor() const { return service_ == Service::floor || service_ == Service::floor_tls; }
    [[nodiscard]] bool is_node() const { return service_ == Service::licet || service_ == Service::licet_tls; }
    [[nodiscard]] int epoll() const { return epoll_; }
    [[nodiscard]] std::vector<std::unique_ptr<Source>>& sources() { return sources_; }
    [[nodiscard]] std::size_t subscribers() const { return subscribers_.size(); }

    // What one request says of events `first`.. as the order numbers them.
    [[nodiscard]] std::string request(const Order& order, std::uint64_t first, std::uint64_t events) const;
    // Nobody has read anything of `units` pieces of `unit_bytes`; what came while nobody measured (heartbeats) is dropped. A size of 0: the one piece
    // is whatever comes.
    void begin(std::uint64_t units, std::uint64_t unit_bytes);
    // Subscriber `index` reads; returns how many pieces are now with everybody.
    std::uint64_t read(std::uint64_t index);
    [[nodiscard]] std::uint64_t received(std::uint64_t index) const { return subscribers_[index].received; }
    [[nodiscard]] std::uint64_t frame_bytes() const;  // of the first message in the capture
    // Subscribers of a node do not see pings, as they count bytes and no more: they give a sign of themselves between rounds.
    void give_sign();
    // A fresh subscriber that begins at the beginning of the node's log; blocking.
    [[nodiscard]] int open_replay(std::uint64_t index) const;

  private:
    struct Subscriber {
        int fd = -1;
        SSL* ssl = nullptr;  // for signs; what comes is not opened
        StreamCounter counter;
        std::uint64_t received = 0;
    };
    [[nodiscard]] std::int64_t capture();
    void drain();
    void watch(int fd, std::uint32_t what, std::uint64_t tag) const;

    SharedPage& page_;
    const std::uint32_t target_;
    const Service service_;
    const std::uint16_t port_;
    const std::unique_ptr<Peer> peer_;
    const int epoll_;
    std::vector<std::string> tokens_;
    std::string token_;
    SSL* captured_ = nullptr;  // of subscriber 0 over TLS
    std::vector<Subscriber> subscribers_;
    std::vector<std::unique_ptr<Source>> sources_;
    std::int64_t signed_ns_ = 0;
    std::uint64_t units_ = 0, unit_bytes_ = 0, with_everybody_ = 0;
    std::vector<std::uint32_t> passed_;  // per piece: how many subscribers have it whole
};

// Publishes at a steady rate and measures each event; meanwhile, or alone, the log is replayed. crowd_pace.cpp.
[[nodiscard]] Outcome pace(const Order& order, CrowdServer& server, SharedPage& page);

}  // namespace licet::bench
