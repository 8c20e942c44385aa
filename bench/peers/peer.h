// A server of somebody else that fans messages out, as a benchmark sees it: the parent starts it, the crowd subscribes and publishes. Used through
// make_peer() in both processes; what it needs to know of the other side is the port.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/support/client.h"
#include "bench/support/crowd.h"
#include "bench/support/program.h"
#include "bench/support/stream_counter.h"

namespace licet::bench {

class Peer {
  public:
    virtual ~Peer() = default;
    [[nodiscard]] virtual const char* name() const = 0;
    // Starts it on `core` with its files below `directory`, listening on `port` of 127.0.0.1. Null when it is not installed.
    [[nodiscard]] virtual std::unique_ptr<Program> start(const std::string& directory, int core, std::uint16_t port) const = 0;

    // On a fresh connection: everything until messages come, or may be published.
    [[nodiscard]] virtual std::vector<Step> subscribing() const = 0;
    [[nodiscard]] virtual std::vector<Step> publishing() const { return {}; }
    [[nodiscard]] virtual std::string publication(std::string_view message) const = 0;
    // What a subscriber's connection brings for a message of that size, as StreamCounter counts it.
    [[nodiscard]] virtual Framing framing() const = 0;
    [[nodiscard]] virtual std::uint64_t delivered_bytes(std::size_t message) const = 0;
    // Messages that not everyone has yet; one more, and it would disconnect somebody.
    [[nodiscard]] virtual std::uint32_t most_under_way() const { return UINT32_MAX; }
    // Publications one after the other as one request.
    [[nodiscard]] virtual std::string request(std::string_view publications) const { return std::string(publications); }
};

[[nodiscard]] std::unique_ptr<Peer> make_peer(Service service);
[[nodiscard]] std::unique_ptr<Peer> make_relay();  // ours: the floor of a server that is published to
[[nodiscard]] std::unique_ptr<Peer> make_centrifugo();
[[nodiscard]] std::unique_ptr<Peer> make_mercure();

struct RunningPeer {
    Service service{};
    std::uint16_t port = 0;
    std::unique_ptr<Program> program;
};
// Those that are installed; of the others it says that they are not.
[[nodiscard]] std::vector<RunningPeer> start_peers(const std::vector<Service>& services, const std::string& directory, int core);

// What several of them need.
[[nodiscard]] std::string client_frame(std::string_view payload, unsigned char opcode);  // WebSocket, masked with zero
[[nodiscard]] Step upgrade(const std::string& path);
void write_file(const std::string& path, std::string_view text);

}  // namespace licet::bench
