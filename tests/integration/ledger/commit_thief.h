// A proxy in front of PostgreSQL that passes a COMMIT on and, once the server has answered it, drops the connection: the reply is lost. Private to
// this folder.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string_view>
#include <thread>

namespace licet::testing {

class CommitThief {
  public:
    explicit CommitThief(std::uint16_t server_port) : server_port_(server_port), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        auto address = loopback(0);
        socklen_t size = sizeof address;
        (void)::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
        (void)::listen(listener_, 8);
        (void)::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~CommitThief() {
        stopping_ = true;
        thread_.join();
        ::close(listener_);
    }
    std::uint16_t port = 0;
    std::atomic<bool> armed{false};  // steal the next reply; disarms itself
    std::atomic<int> stolen{0};

  private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    static bool ready(int fd) {
        pollfd p{fd, POLLIN, 0};
        return ::poll(&p, 1, 50) > 0;
    }
    // One connection at a time: a pool that lost one opens the next.
    void run() {
        while (!stopping_) {
            if (!ready(listener_)) continue;
            const int client = ::accept(listener_, nullptr, nullptr), server = ::socket(AF_INET, SOCK_STREAM, 0);
            const auto address = loopback(server_port_);
            if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) carry(client, server);
            ::close(client);
            ::close(server);
        }
    }
    void carry(int client, int server) {
        char bytes[65536];
        bool steal = false;
        while (!stopping_) {
            pollfd both[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
            if (::poll(both, 2, 50) <= 0) continue;
            if (both[0].revents != 0) {
                const auto n = ::read(client, bytes, sizeof bytes);
                if (n <= 0 || ::write(server, bytes, static_cast<std::size_t>(n)) != n) return;
                if (std::string_view(bytes, static_cast<std::size_t>(n)).find("COMMIT") != std::string_view::npos) steal = armed.exchange(false);
            }
            if (both[1].revents != 0) {
                const auto n = ::read(server, bytes, sizeof bytes);
                if (steal) {
                    ++stolen;
                    return;
                }
                if (n <= 0 || ::write(client, bytes, static_cast<std::size_t>(n)) != n) return;
            }
        }
    }

    const std::uint16_t server_port_;
    const int listener_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace licet::testing
