#include "bench/ingest/redis_peer.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/support/client.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        die("no free port");
    ::close(fd);
    return ntohs(address.sin_port);
}

bool answers(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::array<char, 16> pong{};
    const bool up = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
                    ::recv(fd, pong.data(), pong.size(), 0) >= 5 && std::string_view(pong.data(), 5) == "+PONG";
    ::close(fd);
    return up;
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

RedisPeer::RedisPeer(const std::string& directory, int core) : port_(free_port()) {
    std::filesystem::create_directories(directory);
    const std::string port = std::to_string(port_);
    child_ = ::fork();
    if (child_ < 0) die("cannot fork");
    if (child_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_to(core);
        ::execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--dir", directory.c_str(), "--appendonly", "yes",
                 "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0", "--logfile", "redis.log",
                 static_cast<char*>(nullptr));
        std::perror("redis-server");
        ::_exit(127);
    }
    for (int tries = 0; !answers(port_); ++tries) {
        if (tries == 1000 || ::waitpid(child_, nullptr, WNOHANG) != 0) die("redis-server does not start");
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

RedisPeer::~RedisPeer() {
    ::kill(child_, SIGKILL);  // its data is thrown away
    ::waitpid(child_, nullptr, 0);
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

double RedisPeer::cpu_seconds() const {
    std::ifstream in("/proc/" + std::to_string(child_) + "/stat");
    std::string line;
    std::getline(in, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
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
