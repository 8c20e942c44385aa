#include "bench/support/program.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/support/machine.h"

namespace licet::bench {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
}

bool accepts(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    const bool up = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return up;
}

double cpu_seconds_of(pid_t pid) {
    const std::string at = "/proc/" + std::to_string(pid);
    std::ifstream in(at + "/stat");
    std::string line;
    std::getline(in, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    double out = (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    std::ifstream children(at + "/task/" + std::to_string(pid) + "/children");
    for (pid_t child = 0; children >> child;) out += cpu_seconds_of(child);
    return out;
}

}  // namespace

std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        die("no free port");
    ::close(fd);
    return ntohs(address.sin_port);
}

bool in_path(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/sbin");
    for (std::string folder; std::getline(folders, folder, ':');)
        if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
    return false;
}

std::string installed(const std::string& program) {
    const char* given = std::getenv("LICET_BENCH_BIN");
    const std::string own = std::string(given != nullptr ? given : "build/bench/bin") + "/" + program;
    if (::access(own.c_str(), X_OK) == 0) return own;
    return in_path(program) ? program : std::string();
}

Program::Program(const std::vector<std::string>& arguments, int core, const std::string& log_file)
    : Program(arguments.at(0), core, log_file, [&] {
          std::vector<char*> argv;
          for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
          argv.push_back(nullptr);
          ::setenv("PATH", (std::string(std::getenv("PATH")) + ":/usr/sbin").c_str(), 1);
          ::execvp(argv[0], argv.data());
          std::perror(argv[0]);
          ::_exit(127);
      }) {}

Program::Program(const std::string& name, int core, const std::string& log_file, const std::function<void()>& body) : name_(name), log_(log_file) {
    const pid_t parent = ::getpid();
    child_ = ::fork();
    if (child_ < 0) die("cannot fork");
    if (child_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(0);
    pin_to(core);
    const int out = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    body();
    ::_exit(0);
}

Program::~Program() {
    ::kill(child_, SIGTERM);
    ::waitpid(child_, nullptr, 0);
}

bool Program::running() const { return ::waitpid(child_, nullptr, WNOHANG) == 0; }

void Program::complain() const {
    std::ifstream in(log_);
    std::stringstream said;
    said << in.rdbuf();
    die(name_ + " does not start: " + said.str());
}

void Program::await_port(std::uint16_t port) {
    for (int tries = 0; !accepts(port); ++tries) {
        if (tries == 1000 || !running()) complain();
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

double Program::cpu_seconds() const { return cpu_seconds_of(child_); }

}  // namespace licet::bench
