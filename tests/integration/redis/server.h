// A Redis of its own, started and killed by a test.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "server/redis/connection.h"

inline std::uint16_t free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
    getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    close(fd);
    return ntohs(at.sin_port);
}

class RedisServer {
  public:
    RedisServer() : port(free_port()) {
        char name[] = "/tmp/licet-redis-XXXXXX";
        dir_ = mkdtemp(name);
        start();
    }
    ~RedisServer() {
        kill();
        std::filesystem::remove_all(dir_);
    }
    void start() {
        const std::string number = std::to_string(port);
        pid_ = fork();
        if (pid_ == 0) {
            execlp("redis-server", "redis-server", "--port", number.c_str(), "--bind", "127.0.0.1", "--save", "", "--dir", dir_.c_str(), "--logfile",
                   "redis.log", nullptr);
            _exit(127);
        }
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        licet::redis::Connection ping("127.0.0.1", port, 200);
        while (!ping.command({"PING"})) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            std::this_thread::yield();
        }
    }
    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    const std::uint16_t port;

  private:
    std::string dir_;
    pid_t pid_ = 0;
};
