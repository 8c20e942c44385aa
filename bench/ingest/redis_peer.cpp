#include "bench/ingest/redis_peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "bench/support/client.h"

namespace licet::bench {
namespace {

std::vector<std::string> arguments(const std::string& directory, std::uint16_t port) {
    std::filesystem::create_directories(directory);
    return {"redis-server",
            "--port",
            std::to_string(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            directory,
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
            "--auto-aof-rewrite-percentage",
            "0"};
}

void append_argument(std::string& out, std::string_view argument) {
    out += '$';
    out += std::to_string(argument.size());
    out += "\r\n";
    out += argument;
    out += "\r\n";
}

void append_xadds(std::string& out, const std::vector<std::string>& documents) {
    for (const auto& document : documents) {
        out += "*5\r\n$4\r\nXADD\r\n$6\r\nevents\r\n$1\r\n*\r\n$4\r\ndata\r\n";
        append_argument(out, document);
    }
}

}  // namespace

RedisPeer::RedisPeer(const std::string& directory, int core)
    : port_(free_port()), program_(arguments(directory, port_), core, directory + "/redis.log") {
    program_.await_port(port_);
}

std::string RedisPeer::version() const {
    const int fd = connect_loopback(port_);
    send_all(fd, "INFO server\r\n");
    std::array<char, 4096> buffer{};
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size() - 1, 0);
    ::close(fd);
    const std::string_view text(buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    constexpr std::string_view kName = "redis_version:";
    const auto at = text.find(kName);
    if (at == std::string_view::npos) return "unknown";
    const auto rest = text.substr(at + kName.size());
    return std::string(rest.substr(0, rest.find('\r')));
}

RedisRequest pipelined_xadd(const std::vector<std::string>& documents) {
    RedisRequest out;
    append_xadds(out.bytes, documents);
    out.answer_lines = 2 * documents.size();  // a length and an id each
    return out;
}

RedisRequest transaction_xadd(const std::vector<std::string>& documents) {
    RedisRequest out{"*1\r\n$5\r\nMULTI\r\n", 1 + documents.size() + 1 + 2 * documents.size()};  // OK, QUEUED each, an array of the answers
    append_xadds(out.bytes, documents);
    out.bytes += "*1\r\n$4\r\nEXEC\r\n";
    return out;
}

}  // namespace licet::bench
